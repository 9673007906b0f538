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
import { turns, watch } from "../harness/time.ts";

interface HandClock extends Clock {
  /** Lets time pass up to the next timer; false: there is none. */
  next(): boolean;
  pending(): number;
}

/** A clock that goes only when it is told to. While it is there, a timer of the runtime fails the test. */
function handClock(t: TestContext): HandClock {
  let now = 0;
  const timers = new Map<object, { readonly at: number; readonly due: () => void }>();
  t.mock.method(globalThis, "setTimeout", () => assert.fail("a layer has set a timer of the runtime"));
  return {
    now: () => now,
    setTimer: (due, ms) => {
      const timer = {};
      timers.set(timer, { at: now + ms, due });
      return timer;
    },
    clearTimer: (timer) => void timers.delete(timer as object), // the cast: it is what setTimer gave
    next: () => {
      const [first] = [...timers].toSorted(([, a], [, b]) => a.at - b.at);
      if (first === undefined) return false;
      const [timer, { at, due }] = first;
      timers.delete(timer);
      now = at;
      due();
      return true;
    },
    pending: () => timers.size,
  };
}

function clientOf(layers: readonly LayerDefinition[], clock: Clock): Client {
  return createClient({ policies: [definePolicy({ name: "work", match: [{ host: "*" }], layers })], clock, seed: 1 });
}

const hang = (): Promise<never> => new Promise(() => undefined);

test("a timeout runs on it, and is taken back when the call is over", async (t) => {
  const clock = handClock(t);
  const client = clientOf([timeout("2s")], clock);
  const call = watch(client.run("work", hang));
  assert.equal(clock.pending(), 1);
  assert.ok(clock.next());
  await turns();
  assert.equal(clock.now(), 2_000);
  assert.equal((call.error as { code?: unknown }).code, "ERR_PREMESH_TIMEOUT"); // the cast: any error can be asked
  assert.equal(await client.run("work", () => "done"), "done");
  assert.equal(clock.pending(), 0);
});

test("a backoff and an injected delay run on it", async (t) => {
  const clock = handClock(t);
  const client = clientOf([retry({ backoff: { base: "1m", max: "1m" } }), fault({ delay: { for: "1h", percent: 100 } })], clock);
  let attempts = 0;
  const call = watch(client.run("work", () => (++attempts < 2 ? Promise.reject(new Error("not yet")) : "done"), { idempotent: true }));
  for (let timer = 0; timer < 3; timer++) {
    assert.equal(clock.pending(), 1);
    clock.next();
    await turns();
  }
  assert.equal(call.value, "done");
  assert.ok(clock.now() >= 7_200_000 && clock.now() < 7_260_000, String(clock.now()));
});

test("the queues of rateLimit and bulkhead wait on it", async (t) => {
  const clock = handClock(t);
  const client = clientOf(
    [rateLimit({ rate: 1, per: "1s", queue: { size: 5, timeout: "10s" } }), bulkhead({ limit: 1, queue: { size: 5, timeout: "3s" } })],
    clock,
  );
  const first = watch(client.run("work", hang));
  const second = watch(client.run("work", hang));
  await turns();
  clock.next();
  await turns();
  assert.equal(clock.now(), 1_000, "its turn at the rate limit");
  assert.equal(second.settled, false);
  clock.next();
  await turns();
  assert.equal(clock.now(), 4_000, "the end of its patience at the bulkhead");
  assert.equal((second.error as { code?: unknown }).code, "ERR_PREMESH_BULKHEAD_FULL"); // the cast: any error can be asked
  assert.equal(first.settled, false);
  assert.equal(clock.pending(), 0);
});

test("a breaker opens and closes by it", async (t) => {
  const clock = handClock(t);
  const client = clientOf([breaker({ trip: { consecutive: 1 }, openFor: "5s" })], clock);
  await assert.rejects(client.run("work", () => Promise.reject(new Error("down"))));
  await assert.rejects(
    client.run("work", () => "up"),
    { code: "ERR_PREMESH_BREAKER_OPEN", retryAfterMs: 5_000 },
  );
  clock.setTimer(() => undefined, 5_000);
  clock.next();
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
