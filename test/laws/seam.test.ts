// The seam law: a hop to a sidecar at any place in a list of layers changes neither what an upstream sees nor what a caller gets.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Client, createClient, definePolicy, type LayerDefinition, PolicyError, sidecar } from "../../src/index.ts";
import { openShim } from "../harness/shim.ts";
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

async function run(
  world: World,
  client: Client,
  script: readonly Step[],
  asked: readonly Asked[],
  layers: readonly LayerDefinition[],
): Promise<Run> {
  world.begin(script);
  const callers: unknown[] = [];
  for (const [index, one] of asked.entries()) {
    callers.push(await fetched(world, client, one, index, layers, script.includes("hang")));
    await world.quiet();
  }
  return { upstream: anonymous(world.arrivals()), callers };
}

async function fetched(
  world: World,
  client: Client,
  asked: Asked,
  index: number,
  layers: readonly LayerDefinition[],
  hangs: boolean,
): Promise<unknown> {
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
  const headers = [...response.headers].filter(([name]) => !/^(?:date|connection|keep-alive|transfer-encoding|content-length)$/.test(name));
  return { status: response.status, url: response.url, headers, body, ...known(client, response, hangs) };
}

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

test("over HTTP", { timeout: 300_000 }, async (t) => {
  const world = await openWorld(t, "http");
  const cases = layerLists(world).chain((layers) => fc.tuple(fc.constant(layers), scriptFor(layers), calls));
  await fc.assert(
    fc.asyncProperty(cases, async ([layers, script, asked]) => {
      const alone = createClient({ policies: [policyOf(layers)], clock: world.clock });
      const expected = await run(world, alone, script, asked, layers);
      await alone.close();
      for (let at = 0; at <= layers.length; at++) {
        if (isBlind(layers, at)) continue;
        const policy = policyOf([...layers.slice(0, at), sidecar(), ...layers.slice(at)]);
        const after: (() => unknown)[] = [];
        const shim = await openShim({ after: (done: () => unknown) => void after.push(done) } as never, {
          policies: [policy],
          clock: world.clock,
        });
        const client = createClient({ policies: [policy], clock: world.clock, sidecar: shim.url });
        const found = await run(world, client, script, asked, layers);
        const stayed = client.decisions().filter(({ kind, what }) => kind === "sidecar" && what !== "refused-behind");
        await client.close();
        await shim.client.close();
        for (const done of after) done();
        assert.deepEqual(stayed, [], "every call has crossed");
        assert.deepEqual(found, expected, `the seam at ${at} of ${JSON.stringify(layers)}`);
      }
    }),
    {
      numRuns: Number(process.env["SEAM_RUNS"] ?? 25),
      ...(process.env["SEAM_SEED"] === undefined ? {} : { seed: Number(process.env["SEAM_SEED"]) }),
    },
  );
});
