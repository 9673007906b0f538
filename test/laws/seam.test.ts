// The seam law: a hop to a sidecar at any place in a list of layers changes neither what an upstream sees nor what a caller gets.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { Metadata } from "@grpc/grpc-js";
import fc from "fast-check";
import { type Client, createClient, definePolicy, type LayerDefinition, PolicyError, sidecar } from "../../src/index.ts";
import { channelOptions } from "../../src/grpc.ts";
import { openShim } from "../harness/shim.ts";
import { echoClient, type EchoClient, start } from "../transports/grpc/calls.ts";
import { type Asked, calls, layerLists, scriptFor } from "./seam-policies.ts";
import { type Arrival, openWorld, type Step, type World } from "./seam-world.ts";

const NAME = "law";

/** What came of one run: everything that may not differ. */
interface Run {
  readonly upstream: readonly Arrival[];
  readonly callers: readonly unknown[];
}

const policyOf = (layers: readonly LayerDefinition[]) => definePolicy({ name: NAME, match: [{ host: "*" }], layers });

/** Keys that are made at random, by the order in which they come up. */
function anonymous(arrivals: readonly Arrival[]): readonly Arrival[] {
  const keys = new Map<string, string>();
  return arrivals.map((arrival) => {
    const key = arrival.fields["idempotency-key"];
    if (key === undefined) return arrival;
    if (!keys.has(key)) keys.set(key, key.startsWith('"mine') ? key : `key ${keys.size}`);
    return { ...arrival, fields: { ...arrival.fields, "idempotency-key": keys.get(key) ?? "" } };
  });
}

/** Sends one call, and gives all that its caller sees. `hangs`: the script has a call that hangs. */
type Send = (asked: Asked, index: number, hangs: boolean) => Promise<unknown>;

async function run(world: World, send: Send, script: readonly Step[], asked: readonly Asked[]): Promise<Run> {
  world.begin(script);
  const callers: unknown[] = [];
  for (const [index, one] of asked.entries()) {
    callers.push(await send(one, index, script.includes("hang")));
    await world.quiet();
  }
  return { upstream: anonymous(world.arrivals()), callers };
}

const fetching =
  (world: World, client: Client, layers: readonly LayerDefinition[]): Send =>
  async (asked, index, hangs) => {
    const keyed = asked.key && layers.some(({ kind }) => kind === "idempotency");
    let response: Response;
    try {
      response = await client.fetch(`${world.origins[0]}${asked.path}`, {
        ...(asked.post ? { method: "POST", body: `body ${index}` } : {}),
        headers: { "x-custom": "1" },
        premesh: {
          ...(asked.idempotent === undefined ? {} : { idempotent: asked.idempotent }),
          ...(keyed ? { idempotencyKey: `mine ${index}` } : {}),
        },
      });
    } catch (error) {
      return { ...told(error), ...known(client, error, hangs) };
    }
    const body = await response.text().catch(() => "broken");
    const headers = [...response.headers].filter(
      ([name]) => !/^(?:date|connection|keep-alive|transfer-encoding|content-length)$/.test(name),
    );
    return { status: response.status, url: response.url, headers, body, ...known(client, response, hangs) };
  };

function told(error: unknown): object {
  if (!(error instanceof PolicyError)) return { error: String(error) };
  const { code, message, policy, layer, attempts, retryAfterMs, cause } = error;
  return {
    code,
    message,
    policy,
    layer,
    attempts: code === "ERR_PREMESH_TIMEOUT" ? "not told yet" : attempts,
    retryAfterMs,
    cause: cause === undefined,
  };
}

/** What explain knows. A call that was ended from before the seam counts once, whatever the sidecar had done by then: see docs/explanation/the-seam.md. */
function known(client: Client, result: unknown, hangs: boolean): object {
  const { attempts, outcome, endpoints } = client.explain(result) ?? {};
  const came = result instanceof TypeError ? "no answer" : outcome; // the word of its socket
  return hangs ? { outcome: came } : { attempts, outcome: came, endpoints };
}

/** A route passes over endpoints whose breaker is open, and does not see breakers on the other side: docs/explanation/the-seam.md, and a warning. */
function isBlind(layers: readonly LayerDefinition[], at: number): boolean {
  const route = layers.findIndex(({ kind }) => kind === "route");
  return route !== -1 && route < at && layers.some(({ kind }, index) => kind === "breaker" && index >= at);
}

/** An RPC of the same kind; its caller sees a status with metadata, and a cause where a layer made it. */
const calling =
  (client: Client, echo: EchoClient): Send =>
  async ({ post, idempotent }, index, hangs) => {
    const metadata = new Metadata({ idempotentRequest: idempotent === true });
    metadata.set("x-custom", "1");
    const { code, details, messages, head, trailers, error } = await start(echo, post ? "ServerStream" : "Unary", {
      messages: [`body ${index}`],
      metadata,
    }).came;
    const { cause } = (error ?? {}) as { cause?: unknown }; // the cast: premesh gives errors one
    const broken = code !== 0 && cause === undefined && trailers?.get("x-from").length === 0;
    return {
      code,
      // a broken stream is worded by the socket that saw it break
      details: broken ? "broken" : details,
      messages,
      head: fieldsOf(head),
      trailers: fieldsOf(trailers),
      cause: cause instanceof PolicyError ? told(cause) : cause === undefined ? undefined : "other",
      ...(error === undefined || broken ? {} : known(client, error, hangs)),
    };
  };

const fieldsOf = (metadata: Metadata | undefined): unknown =>
  metadata === undefined
    ? undefined
    : Object.entries(metadata.getMap())
        .filter(([name]) => !/^(?:date|content-type|x-envoy-)/.test(name))
        .toSorted(([a], [b]) => (a < b ? -1 : 1));

async function holds(
  t: TestContext,
  protocol: "http" | "grpc",
  sender: (world: World, client: Client, layers: readonly LayerDefinition[], after: (() => unknown)[]) => Send,
): Promise<void> {
  const world = await openWorld(t, protocol);
  const cases = layerLists(world).chain((layers) => fc.tuple(fc.constant(layers), scriptFor(layers), calls));
  await fc.assert(
    fc.asyncProperty(cases, async ([layers, script, asked]) => {
      const expected = await once(layers, layers, undefined);
      for (let at = 0; at <= layers.length; at++) {
        if (isBlind(layers, at)) continue;
        const found = await once(layers, [...layers.slice(0, at), sidecar(), ...layers.slice(at)], "shim");
        assert.deepEqual(found, expected, `the seam at ${at} of ${JSON.stringify(layers)}`);
      }

      async function once(bare: readonly LayerDefinition[], list: readonly LayerDefinition[], where: "shim" | undefined): Promise<Run> {
        const policies = [policyOf(list)];
        const after: (() => unknown)[] = [];
        const closing = { after: (done: () => unknown) => void after.push(done) } as unknown as TestContext; // the cast: nothing else is asked of it
        const shim = where === undefined ? undefined : await openShim(closing, { policies, clock: world.clock });
        const client = createClient({ policies, clock: world.clock, ...(shim === undefined ? {} : { sidecar: shim.url }) });
        const result = await run(world, sender(world, client, bare, after), script, asked);
        const stayed = client.decisions().filter(({ kind, what }) => kind === "sidecar" && what !== "refused-behind");
        await client.close();
        await shim?.client.close();
        for (const done of after) done();
        assert.deepEqual(stayed, [], "every call has crossed");
        return result;
      }
    }),
    {
      numRuns: Number(process.env["SEAM_RUNS"] ?? 20),
      ...(process.env["SEAM_SEED"] === undefined ? {} : { seed: Number(process.env["SEAM_SEED"]) }),
    },
  );
}

test("over HTTP", { timeout: 300_000 }, (t) => holds(t, "http", fetching));

test("over gRPC", { timeout: 300_000 }, (t) =>
  holds(t, "grpc", (world, client, _layers, after) => {
    const address = String(world.origins[0]).slice("http://".length);
    return calling(client, echoClient({ after: (done: () => unknown) => void after.push(done) }, address, channelOptions(client)));
  }),
);
