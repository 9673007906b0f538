// gRPC's interop cases against grpc-js's server, over clients of grpc-js and of Connect: bare, under a policy, and with each call's first attempt killed.
import assert from "node:assert/strict";
import { suite, test, type TestContext } from "node:test";
import type { Transport } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import type { ClientOptions } from "@grpc/grpc-js";
import { premeshTransport } from "../../../src/connect.ts";
import { channelOptions } from "../../../src/grpc.ts";
import { createClient, definePolicy, type Policy } from "../../../src/index.ts";
import { healthy } from "../healthy.ts";
import { cases } from "./cases.ts";
import type { InteropClient } from "./exchange.ts";
import { overConnect } from "./over-connect.ts";
import { overGrpcJs } from "./over-grpc-js.ts";
import { openResetting, type Resetting } from "./resetting.ts";
import { openInteropServer } from "./server.ts";

/** A layer of each kind that has no reason to act, save for a retry that may send every method again. */
const retrying: Policy = definePolicy({
  ...healthy,
  layers: healthy.layers.map((layer) => (layer.kind === "retry" ? { ...layer, methods: ["*"] } : layer)),
});

type Address = () => Promise<string>;

interface Library {
  readonly bare: (t: TestContext, address: Address) => InteropClient;
  readonly wrapped: (t: TestContext, address: Address) => InteropClient;
}

const connected = (wrap: (transport: Transport, baseUrl: string) => Transport) => (_t: TestContext, address: Address) =>
  overConnect(async () => {
    const baseUrl = `http://${await address()}`;
    return wrap(createGrpcTransport({ baseUrl }), baseUrl);
  });

const channeled = (t: TestContext, address: Address, options: () => ClientOptions): InteropClient =>
  overGrpcJs(address, options, (client) => t.after(() => client.close()));

const libraries: Readonly<Record<string, Library>> = {
  "grpc-js": {
    bare: (t, address) => channeled(t, address, () => ({})),
    wrapped: (t, address) => channeled(t, address, () => channelOptions(createClient({ policies: [retrying] }))),
  },
  Connect: {
    bare: connected((transport) => transport),
    wrapped: connected((transport, baseUrl) => premeshTransport(createClient({ policies: [retrying] }), transport, { baseUrl })),
  },
};

/** Calls that are ended before a second attempt can come. */
const ENDED_EARLY = new Set(["cancel_after_begin", "timeout_on_sleeping_server"]);

/** Where an interop server of another implementation listens; see ../suites/README.md. */
const elsewhere = process.env["PREMESH_INTEROP_SERVER"];

const open = async (t: TestContext): Promise<string> => elsewhere ?? (await openInteropServer(t)).address;

for (const [library, { bare, wrapped }] of Object.entries(libraries)) {
  suite(`interop over ${library}`, () => {
    for (const [name, run] of Object.entries(cases)) {
      test(`${name}, bare`, async (t) => {
        const address = await open(t);
        await run(bare(t, () => Promise.resolve(address)));
      });

      test(`${name} under a policy`, async (t) => {
        const address = await open(t);
        await run(wrapped(t, () => Promise.resolve(address)));
      });

      test(`${name}, the first connection of each call reset`, async (t) => {
        const address = await open(t);
        const relays: Resetting[] = [];
        const relay = async (): Promise<string> => {
          const opened = await openResetting(t, address);
          relays.push(opened);
          return opened.address;
        };
        await run(wrapped(t, relay));
        if (!ENDED_EARLY.has(name))
          assert.deepEqual(
            relays.map((one) => one.resets()),
            relays.map(() => 1),
          );
      });

      if (elsewhere !== undefined) continue; // it cannot be asked to fail
      for (const afterMessages of name === "client_streaming" ? [0, 1, 3] : [0, 1]) {
        test(`${name}, the first attempt of each call unavailable after ${afterMessages} messages`, async (t) => {
          const { address, killed } = await openInteropServer(t, { afterMessages });
          await run(wrapped(t, () => Promise.resolve(address)));
          if (!ENDED_EARLY.has(name) && !name.startsWith("unimplemented")) assert.ok(killed.length > 0);
        });
      }
    }
  });
}
