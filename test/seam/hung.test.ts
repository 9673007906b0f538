// A sidecar that is hung, on a clock of the test's: how long it is waited for, what becomes of the calls that it has, and that a slow call is none.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { type Client, createClient, definePolicy, type LayerDefinition, retry, sidecar, timeout } from "../../src/index.ts";
import { virtualClock, type VirtualClock } from "../../src/testing/index.ts";
import { type Crossed, ONE, openSidecar, type ScriptedSidecar } from "../harness/scripted-sidecar.ts";
import { turns, watch } from "../harness/time.ts";
import { openUpstream, type Upstream } from "../harness/upstream.ts";
import { until } from "../transports/fetch/upstream.ts";

/** Calls that wait for so long are reason to ask, and what says nothing for so long again is hung. */
const SILENCE = 1_000;
const PATIENCE = 1_000;

interface Scene {
  readonly client: Client;
  readonly clock: VirtualClock;
  readonly shim: ScriptedSidecar;
  readonly upstream: Upstream;
}

/** A client whose first call has crossed; further ones are answered when the test says so. */
async function scene(t: TestContext, layers: readonly LayerDefinition[]): Promise<Scene> {
  const clock = virtualClock();
  const shim = await openSidecar(t, ({ answer }, nth) => (nth === 1 ? answer(200, ONE) : undefined));
  const upstream = await openUpstream(t, [{ body: "from the process" }]);
  const policies = [definePolicy({ name: "hung", match: [{ host: "*" }], layers })];
  const client = createClient({ policies, sidecar: shim.address, clock, seed: 1 });
  t.after(() => client.close());
  assert.equal((await client.fetch(upstream.url)).status, 200);
  assert.equal(shim.crossed.length, 1);
  return { client, clock, shim, upstream };
}

const phaseOf = (client: Client): unknown => /"phase":"(\w+)"/.exec(JSON.stringify(client.status()))?.[1];

const again = retry({ attempts: 2, backoff: { base: "0ms" } });

test("it is asked after a second without a sign of life, and lost after another: what may be repeated runs here, what may not fails", async (t) => {
  const { client, clock, shim, upstream } = await scene(t, [again, sidecar(), timeout("1h")]);
  const got = watch(client.fetch(upstream.url).then((response) => response.text()));
  const posted = watch(client.fetch(upstream.url, { method: "POST", body: "x" }));
  await shim.arrived(3);
  shim.hang();
  await clock.advance(SILENCE + PATIENCE - 1);
  assert.deepEqual([got.settled, posted.settled, phaseOf(client)], [false, false, "up"]);
  await clock.advance(1);
  while (!got.settled || !posted.settled) await clock.advance(0);
  assert.equal(got.value, "from the process");
  assert.ok(posted.error instanceof TypeError);
  assert.deepEqual([upstream.requests.map(({ method }) => method), phaseOf(client)], [["GET"], "down"]);
  assert.equal(
    await (await client.fetch(upstream.url, { method: "POST", body: "y" })).text(),
    "from the process",
    "the next run here at once",
  );
  assert.equal(shim.crossed.length, 3);
});

test("while it is hung it is asked again and again, more and more rarely, and it is back with its first answer", async (t) => {
  const { client, clock, shim, upstream } = await scene(t, [again, sidecar(), timeout("1h")]);
  shim.hang();
  const got = watch(client.fetch(upstream.url));
  await until(() => shim.held() === 1, "it has crossed");
  await clock.advance(SILENCE + PATIENCE);
  while (!got.settled) await clock.advance(0);
  for (let ms = 0; ms < 60_000; ms += 500) {
    await clock.advance(500);
    await turns(10); // for its question to get there
  }
  const asked = shim.held() - 2;
  assert.ok(asked >= 5 && asked <= 25, `it was asked ${asked} times in a minute`);
  assert.equal(phaseOf(client), "down");
  shim.goOn();
  const probes = shim.probes();
  for (let ms = 0; ms < 6_000 && shim.probes() === probes; ms += 100) {
    await clock.advance(100);
    await turns(20);
  }
  await until(() => phaseOf(client) === "up", "it is found");
  void client.fetch(upstream.url).catch(() => undefined);
  await shim.arrived(2);
});

test("one that answers when it is asked is not hung, however long it has a call", async (t) => {
  const { client, clock, shim, upstream } = await scene(t, [again, sidecar(), timeout("1h")]);
  const probes = shim.probes();
  const posted = watch(client.fetch(upstream.url, { method: "POST", body: "x" }));
  const crossed: Crossed = await shim.arrived(2);
  for (let second = 1; second <= 30; second++) {
    await clock.advance(SILENCE);
    await until(() => shim.probes() === probes + second, `it is asked in second ${second}`);
    await turns(50); // for its answer
  }
  assert.deepEqual([posted.settled, phaseOf(client)], [false, "up"]);
  crossed.answer(200, ONE);
  while (!posted.settled) await turns(1);
  assert.equal(posted.value?.status, 200);
  assert.equal(upstream.requests.length, 0);
});

test("a policy's own timeout ends a call before the sidecar counts as hung", async (t) => {
  const { client, clock, shim, upstream } = await scene(t, [timeout("500ms"), sidecar()]);
  shim.hang();
  const got = watch(client.fetch(upstream.url));
  await until(() => shim.held() === 1, "it has crossed");
  await clock.advance(500);
  while (!got.settled) await turns(1);
  assert.equal((got.error as { code?: unknown }).code, "ERR_PREMESH_TIMEOUT"); // the cast: any error can be asked
  await clock.advance(SILENCE + PATIENCE);
  assert.equal(phaseOf(client), "up", "nobody waits, so nobody asks");
});
