// fault: makes calls slow or fail on purpose.
import assert from "node:assert/strict";
import test from "node:test";
import { breaker, createClient, definePolicy, fault, PolicyError, retry } from "../../src/index.ts";
import { seededRandom } from "../../src/call/env.ts";
import { bare, failureOf } from "../harness/bare.ts";
import { stoppedTime, turns, watch } from "../harness/time.ts";
import { overTransports } from "../harness/trial.ts";
import { openUpstream } from "../harness/upstream.ts";

const share = async (percent: number, seed: number, calls = 2_000): Promise<number[]> => {
  const stack = bare([fault({ abort: { status: 503, percent } })], { random: seededRandom(seed) });
  const failed: number[] = [];
  for (let n = 0; n < calls; n++) if (!(await stack.call()).ok) failed.push(n);
  assert.equal(stack.sent.length, calls - failed.length);
  return failed;
};

test("fails the given share of calls, none at 0, all at 100, the same ones for the same seed", async () => {
  assert.equal((await share(0, 1)).length, 0);
  assert.equal((await share(100, 1)).length, 2_000);
  const tenth = await share(10, 1);
  assert.ok(tenth.length > 150 && tenth.length < 250, String(tenth.length));
  assert.deepEqual(await share(10, 1), tenth);
  assert.notDeepEqual(await share(10, 2), tenth);
});

test("delay and abort roll apart", async (t) => {
  const time = stoppedTime(t);
  const dice = [0.05, 0.95, 0.95, 0.05, 0.05, 0.05, 0.95, 0.95]; // late only, dead only, both, none
  const stack = bare([fault({ delay: { for: "10ms", percent: 10 }, abort: { status: 500, percent: 10 } })], {
    random: () => dice.shift() ?? 1,
  });
  const all = [1, 2, 3, 4].map(() => watch(stack.call()));
  await turns();
  assert.deepEqual(
    all.map(({ settled }) => settled),
    [false, true, false, true],
  );
  await time.pass(10);
  assert.deepEqual(
    all.map(({ value }) => value?.ok),
    [true, false, false, true],
  );
});

test("delays by the time given, and no longer", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([fault({ delay: { for: "100ms", percent: 100 } })]);
  const call = watch(stack.call());
  await time.pass(99);
  assert.equal(stack.sent.length, 0);
  await time.pass(1);
  assert.equal(call.value?.ok, true);
});

overTransports("an abort ends the delay at once, and nothing is sent", async (open) => {
  const trial = await open([fault({ delay: { for: "1h", percent: 100 } })], [{}]);
  const caller = new AbortController();
  const call = watch(trial.call({ signal: caller.signal }));
  await turns();
  caller.abort(new Error("mine"));
  await turns();
  assert.equal(call.value?.error, caller.signal.reason);
  await trial.time.pass(3_600_000);
  assert.equal(trial.attempts(), 0);
});

test("inside retry each attempt rolls the dice; outside it the call rolls once", async (t) => {
  const time = stoppedTime(t);
  const inside = bare([retry({ attempts: 4, budget: false }), fault({ abort: { status: 503, percent: 50 } })], {
    random: (() => {
      const dice = [0.1, 0, 0.2, 0, 0.9]; // each retry takes one for its wait
      return () => dice.shift() ?? 1;
    })(),
  });
  const call = watch(inside.call());
  while (!call.settled) await time.pass(10);
  assert.deepEqual([call.value?.ok, inside.sent.length, inside.sent[0]?.attempt], [true, 1, 3]);
  const outside = bare([fault({ abort: { status: 503, percent: 100 } }), retry()]);
  assert.equal(failureOf(await outside.call()).by, "fault");
  assert.deepEqual(outside.whats(), ["aborted"]);
});

test("other layers judge it as the peer's: a POST that it failed counts as sent, and trips a breaker", async (t) => {
  stoppedTime(t);
  const stack = bare([retry(), breaker({ trip: { consecutive: 1 } }), fault({ abort: { code: "unavailable", percent: 100 } })]);
  const outcome = failureOf(await stack.call({ method: "POST" }));
  assert.deepEqual([outcome.by, outcome.sent, outcome.status], ["fault", true, 503]);
  assert.equal(stack.status("breaker")["phase"], "open");
});

test("fetch gets a response with the status and a header that says so; run gets an error", async (t) => {
  const upstream = await openUpstream(t, [{}]);
  const client = createClient({
    policies: [
      definePolicy({ name: "p", match: [{ host: "*" }], layers: [fault({ abort: { code: "resource-exhausted", percent: 100 } })] }),
    ],
  });
  const response = await client.fetch(upstream.url);
  assert.deepEqual([response.status, response.headers.get("premesh-fault")], [429, "p"]);
  assert.equal(upstream.requests.length, 0);
  await assert.rejects(
    client.run("p", () => 1),
    (error) => error instanceof PolicyError && error.code === "ERR_PREMESH_FAULT" && error.layer === "fault",
  );
});
