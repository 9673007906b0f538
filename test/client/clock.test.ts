// `clock`: every layer waits on the clock that the client was given, and on no other.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import {
  breaker,
  bulkhead,
  type Client,
  type Clock,
  createClient,
  definePolicy,
  fault,
  type LayerDefinition,
  rateLimit,
  retry,
  timeout,
} from "../../src/index.ts";
import { assertPolicyError, virtualClock, type VirtualClock } from "../../src/testing/index.ts";
import { watch } from "../harness/time.ts";

/** A virtual clock. While it is there, a timer of the runtime fails the test. */
function onlyClock(t: TestContext): VirtualClock {
  t.mock.method(globalThis, "setTimeout", () => assert.fail("a layer has set a timer of the runtime"));
  return virtualClock();
}

function clientOf(layers: readonly LayerDefinition[], clock: Clock): Client {
  return createClient({ policies: [definePolicy({ name: "work", match: [{ host: "*" }], layers })], clock, seed: 1 });
}

const hang = (): Promise<never> => new Promise(() => undefined);

test("a timeout runs on it, and is taken back when the call is over", async (t) => {
  const clock = onlyClock(t);
  const client = clientOf([timeout("2s")], clock);
  const call = watch(client.run("work", hang));
  assert.equal(clock.pending(), 1);
  await clock.advance(1_999);
  assert.equal(call.settled, false);
  await clock.advance(1);
  assertPolicyError(call.error, "ERR_PREMESH_TIMEOUT");
  assert.equal(await client.run("work", () => "done"), "done");
  assert.equal(clock.pending(), 0);
});

test("a backoff and an injected delay run on it", async (t) => {
  const clock = onlyClock(t);
  const client = clientOf([retry({ backoff: { base: "1m", max: "1m" } }), fault({ delay: { for: "1h", percent: 100 } })], clock);
  let attempts = 0;
  const call = watch(client.run("work", () => (++attempts < 2 ? Promise.reject(new Error("not yet")) : "done"), { idempotent: true }));
  await clock.advance(7_199_999);
  assert.equal(call.settled, false);
  await clock.advance(60_001);
  assert.equal(call.value, "done");
});

test("the queues of rateLimit and bulkhead wait on it", async (t) => {
  const clock = onlyClock(t);
  const client = clientOf(
    [rateLimit({ rate: 1, per: "1s", queue: { size: 5, timeout: "10s" } }), bulkhead({ limit: 1, queue: { size: 5, timeout: "3s" } })],
    clock,
  );
  const first = watch(client.run("work", hang));
  const second = watch(client.run("work", hang));
  await clock.advance(1_000); // its turn at the rate limit
  await clock.advance(2_999);
  assert.equal(second.settled, false);
  await clock.advance(1); // the end of its patience at the bulkhead
  assertPolicyError(second.error, "ERR_PREMESH_BULKHEAD_FULL");
  assert.equal(first.settled, false);
  assert.equal(clock.pending(), 0);
});

test("a breaker opens and closes by it", async (t) => {
  const clock = onlyClock(t);
  const client = clientOf([breaker({ trip: { consecutive: 1 }, openFor: "5s" })], clock);
  await assert.rejects(client.run("work", () => Promise.reject(new Error("down"))));
  await assert.rejects(
    client.run("work", () => "up"),
    { code: "ERR_PREMESH_BREAKER_OPEN", retryAfterMs: 5_000 },
  );
  await clock.advance(5_000);
  assert.equal(await client.run("work", () => "up"), "up");
});

test("what is wrong with a clock is said at once", () => {
  const clock = { now: () => 0, setTimer: () => 1, clearTimer: () => undefined };
  for (const bad of [{ now: () => 0 }, null, 5, { ...clock, setTimer: "soon" }]) {
    assert.throws(() => createClient({ policies: [], clock: bad as never }), {
      code: "ERR_PREMESH_INVALID_OPTIONS",
      message: "createClient: clock must be an object with the functions now, setTimer and clearTimer",
    });
  }
  assert.throws(() => createClient({ policies: [], clock, now: () => 0 }), /give clock or now, not both/);
});
