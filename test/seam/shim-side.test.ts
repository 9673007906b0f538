// The seam, seen from the shim: what it heeds and from whom, which layers run, and whose state they have.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import {
  breaker,
  createClient,
  definePolicy,
  idempotency,
  type LayerDefinition,
  rateLimit,
  revision,
  retry,
  route,
  sidecar,
  timeout,
} from "../../src/index.ts";
import type { ProxySettings } from "../../src/transports/proxy/context.ts";
import { ask } from "../harness/http-get.ts";
import { openShim, type Shim } from "../harness/shim.ts";
import { openUpstream, type Step, type Upstream } from "../harness/upstream.ts";

interface Scene {
  readonly shim: Shim;
  readonly upstream: Upstream;
  /** The fields that a process would send for a GET to the upstream. */
  readonly fields: Readonly<Record<string, string>>;
}

async function scene(
  t: TestContext,
  layers: readonly LayerDefinition[],
  script: readonly Step[] = [{}],
  settings: Partial<ProxySettings> = {},
): Promise<Scene> {
  const policy = definePolicy({ name: "p", match: [{ host: "*" }], layers });
  const upstream = await openUpstream(t, script);
  const shim = await openShim(t, { policies: [policy] }, settings);
  const fields = {
    host: upstream.host,
    "premesh-policy": `p;rev="${revision(policy)}"`,
    "premesh-call": `target="${upstream.host}", scheme=http, attempt=1`,
  };
  return { shim, upstream, fields };
}

const get = ({ shim }: Scene, headers: Readonly<Record<string, string>>, path = "/"): ReturnType<typeof ask> =>
  ask(shim.address, path, { headers });

test("a call that crossed runs the layers behind the seam, any other all of them; both meet in the same state", async (t) => {
  const it = await scene(
    t,
    [rateLimit({ rate: 0.001, per: "1h", burst: 1 }), sidecar(), breaker({ trip: { consecutive: 2 }, openFor: "1h" })],
    [{ status: 503 }],
  );
  const statuses: unknown[] = [];
  for (const headers of [{ host: it.upstream.host }, { host: it.upstream.host }, it.fields, it.fields]) {
    const { status, headers: got } = await get(it, headers);
    statuses.push([status, String(got["premesh-outcome"]).replace(/retry-after=\d+/, "retry-after=N")]);
  }
  assert.deepEqual(statuses, [
    [503, "undefined"],
    [429, "undefined"], // the limit before the seam
    [503, "attempts=1, sent=1"],
    [503, 'attempts=0, sent=0, code=unavailable, by=breaker, layer="breaker", unsent, when=(refusal), retry-after=N'],
  ]);
  assert.equal(it.upstream.requests.length, 2);
});

test("a call that comes as to a proxy, with a policy, runs no layer twice", async (t) => {
  const it = await scene(t, [retry({ attempts: 3, backoff: { base: "0ms" } }), sidecar(), timeout("5s")], [{ status: 503 }]);
  const { status } = await get(it, it.fields, it.upstream.url);
  assert.equal(status, 503);
  assert.equal(it.upstream.requests.length, 1, "the retry is the process's");
});

test("from whom is not trusted nothing of it counts, and nothing of it goes on", async (t) => {
  const it = await scene(t, [retry({ attempts: 2, backoff: { base: "0ms" } }), sidecar()], [{ status: 503 }], { trusts: () => false });
  const { headers } = await get(it, it.fields);
  assert.equal(headers["premesh-outcome"], undefined);
  assert.equal(it.upstream.requests.length, 2, "all layers run");
  assert.deepEqual(
    Object.keys(it.upstream.requests[0]?.headers ?? {}).filter((name) => name.startsWith("premesh-")),
    [],
  );
});

test("what it does not have, or cannot read, it does not take; nothing is sent", async (t) => {
  const it = await scene(t, [sidecar(), timeout("5s")]);
  const without = await scene(t, [timeout("5s")]);
  const cases: readonly (readonly [Scene, Record<string, string>, string])[] = [
    [it, { "premesh-policy": 'p;rev="0000000000000000"' }, "unknown-revision"],
    [it, { "premesh-policy": 'q;rev="0000000000000000"' }, "unknown-revision"],
    [it, { "premesh-policy": "p" }, "malformed"],
    [it, { "premesh-call": "((" }, "malformed"],
    [it, { "premesh-call": "attempt=1" }, "malformed"],
    [without, {}, "unknown-revision"],
  ];
  for (const [where, fields, why] of cases) {
    const { status, headers } = await get(where, { ...where.fields, ...fields });
    assert.deepEqual([status, headers["premesh-outcome"]], [421, `unseen, why=${why}`]);
  }
  assert.equal(it.upstream.requests.length + without.upstream.requests.length, 0);
});

test("while it drains it takes none, and says so to those who ask", async (t) => {
  let draining = false;
  const it = await scene(t, [sidecar(), timeout("5s")], [{}], { draining: () => draining });
  const probe = { host: it.shim.address, "premesh-probe": "?1" };
  const asked = async (): Promise<unknown> => {
    const { status, headers } = await ask(it.shim.address, "*", { method: "OPTIONS", headers: probe });
    return [status, headers["premesh-version"]];
  };
  assert.deepEqual(await asked(), [204, "1"]);
  draining = true;
  assert.deepEqual(await asked(), [503, "1"]);
  const { status, headers } = await get(it, it.fields);
  assert.deepEqual([status, headers["premesh-outcome"]], [503, "unseen, why=draining"]);
  assert.equal((await get(it, { host: it.upstream.host })).status, 200, "others have no other way");
  assert.equal(it.upstream.requests.length, 1);
});

test("a call goes on where it stood: its attempts, its key, where it has been", async (t) => {
  const other = await openUpstream(t, [{}]);
  const first = await openUpstream(t, [{}]);
  const endpoints = [first.url.slice(0, -1), other.url.slice(0, -1)];
  const it = await scene(t, [retry(), sidecar(), idempotency({ methods: ["*"] }), route({ to: [{ endpoints }], balance: "round-robin" })]);
  for (let n = 0; n < 4; n++) {
    const call = `${it.fields["premesh-call"]?.replace("attempt=1", "attempt=3")}, sends=2, id="one-for-all", visited=("${endpoints[0]}";n=1)`;
    const { headers } = await get(it, { ...it.fields, "premesh-call": call });
    assert.equal(headers["premesh-outcome"], `attempts=1, sent=1, numbered=3, visited=("${endpoints[1]}";n=3)`);
  }
  assert.deepEqual([first.requests.length, other.requests.length], [0, 4]);
  assert.deepEqual(
    other.requests.map(({ headers }) => [headers["idempotency-key"], headers["x-envoy-attempt-count"]]),
    Array.from({ length: 4 }, () => ['"one-for-all"', "3"]),
  );
});

test("two processes meet in one breaker of the shim", async (t) => {
  const layers = [sidecar(), breaker({ trip: { consecutive: 2 }, openFor: "1h" })];
  const policies = [definePolicy({ name: "p", match: [{ host: "*" }], layers })];
  const upstream = await openUpstream(t, [{ status: 503 }]);
  const shim = await openShim(t, { policies });
  const clients = [1, 2].map(() => createClient({ policies, sidecar: shim.url }));
  t.after(() => Promise.all(clients.map((client) => client.close())));
  const [one, two] = clients;
  assert.equal((await one?.fetch(upstream.url))?.status, 503);
  assert.equal((await two?.fetch(upstream.url))?.status, 503);
  await assert.rejects(one?.fetch(upstream.url) ?? Promise.resolve(), { code: "ERR_PREMESH_BREAKER_OPEN" });
  await assert.rejects(two?.fetch(upstream.url) ?? Promise.resolve(), { code: "ERR_PREMESH_BREAKER_OPEN" });
  assert.equal(upstream.requests.length, 2);
});
