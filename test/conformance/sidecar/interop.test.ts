// gRPC's interop cases through the sidecar: by a client that knows nothing of premesh, and by one whose policy has its seam before, within or behind the retry.
import assert from "node:assert/strict";
import { suite, test, type TestContext } from "node:test";
import { channelOptions } from "../../../src/grpc.ts";
import { createClient, definePolicy, type LayerDefinition, sidecar } from "../../../src/index.ts";
import { openShim, type Shim } from "../../harness/shim.ts";
import { cases } from "../grpc/cases.ts";
import type { InteropClient } from "../grpc/exchange.ts";
import { overGrpcJs } from "../grpc/over-grpc-js.ts";
import { openInteropServer } from "../grpc/server.ts";
import { healthy } from "../healthy.ts";

/** A layer of each kind that has no reason to act, save for a retry that may send every method again. */
const layers: readonly LayerDefinition[] = healthy.layers.map((layer) => (layer.kind === "retry" ? { ...layer, methods: ["*"] } : layer));
const retryAt = layers.findIndex(({ kind }) => kind === "retry");

/** Calls that are ended before a second attempt can come. */
const ENDED_EARLY = new Set(["cancel_after_begin", "timeout_on_sleeping_server"]);

interface Through {
  readonly client: InteropClient;
  readonly shim: Shim;
}

type Open = (t: TestContext, server: string) => Promise<Through>;

/** The shim is the client's proxy, and the policy is all the shim's. */
const unknowing: Open = async (t, server) => {
  const shim = await openShim(t, { policies: [definePolicy({ name: "interop", match: [{ service: "*" }], layers })] });
  const options = { "grpc.default_authority": server };
  const client = overGrpcJs(
    () => Promise.resolve(shim.address),
    () => options,
    (made) => t.after(() => made.close()),
  );
  return { client, shim };
};

const seamed =
  (at: number): Open =>
  async (t, server) => {
    const policy = definePolicy({ name: "interop", match: [{ service: "*" }], layers: layers.toSpliced(at, 0, sidecar()) });
    const shim = await openShim(t, { policies: [policy] });
    const premesh = createClient({ policies: [policy], sidecar: shim.url });
    t.after(() => premesh.close());
    const client = overGrpcJs(
      () => Promise.resolve(server),
      () => channelOptions(premesh),
      (made) => t.after(() => made.close()),
    );
    return { client, shim };
  };

const ways: Readonly<Record<string, Open>> = {
  "a client that knows nothing of premesh": unknowing,
  "a policy with its seam first": seamed(0),
  "a policy with its seam before the retry": seamed(retryAt),
  "a policy with its seam behind the retry": seamed(retryAt + 1),
  "a policy with its seam last": seamed(layers.length),
};

for (const [way, open] of Object.entries(ways)) {
  suite(`interop through the sidecar, ${way}`, () => {
    for (const [name, run] of Object.entries(cases)) {
      test(name, async (t) => {
        const { address } = await openInteropServer(t);
        const { client, shim } = await open(t, address);
        await run(client);
        if (!ENDED_EARLY.has(name)) await shim.logged(1);
      });

      for (const afterMessages of [0, 1]) {
        test(`${name}, the first attempt of each call unavailable after ${afterMessages} messages`, async (t) => {
          const { address, killed } = await openInteropServer(t, { afterMessages });
          const { client, shim } = await open(t, address);
          await run(client);
          if (!ENDED_EARLY.has(name)) await shim.logged(1);
          if (!ENDED_EARLY.has(name) && !name.startsWith("unimplemented")) assert.ok(killed.length > 0);
        });
      }
    }
  });
}
