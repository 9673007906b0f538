// Traps of cockatiel: each is closed in premesh; a pin beside it notices when the engine mends it, since then the piece of ours could go.
import assert from "node:assert/strict";
import test from "node:test";
import {
  bulkhead as cockatielBulkhead,
  circuitBreaker,
  CircuitState,
  ConsecutiveBreaker,
  ConstantBackoff,
  handleAll,
  retry as cockatielRetry,
  SamplingBreaker,
  timeout as cockatielTimeout,
  TimeoutStrategy,
} from "cockatiel";
import { endNow } from "../../src/call/end.ts";
import { breaker, bulkhead, createClient, definePolicy, retry, timeout } from "../../src/index.ts";
import { bare, failing, failureOf, heldAnswer, hung, ok, reset, streaming } from "../harness/bare.ts";
import { gate, stoppedTime, turns, watch } from "../harness/time.ts";
import { openUpstream } from "../harness/upstream.ts";

const boom = (): never => {
  throw new Error("boom");
};

test("abort during backoff: premesh ends at once and sends no more", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([retry({ backoff: { base: "1m", max: "1m" } })]);
  stack.answers(failing(503));
  const caller = new AbortController();
  const call = watch(stack.call({ signal: caller.signal }));
  await turns();
  caller.abort();
  await turns();
  assert.equal(call.value?.ok, false);
  await time.pass(60_000);
  assert.equal(stack.sent.length, 1);
});

test("pin: cockatiel's retry sleeps on after an abort, and calls again", async (t) => {
  const time = stoppedTime(t);
  let calls = 0;
  const caller = new AbortController();
  const policy = cockatielRetry(handleAll, { maxAttempts: 1, backoff: new ConstantBackoff(1_000) });
  const call = watch(
    policy.execute(() => {
      calls++;
      boom();
    }, caller.signal),
  );
  await turns();
  caller.abort();
  await turns();
  assert.equal(call.settled, false);
  await time.pass(1_000);
  assert.equal(calls, 2);
});

test("pin: cockatiel's maxAttempts counts retries, ours counts sends", async () => {
  let calls = 0;
  const counted = (): never => {
    calls++;
    return boom();
  };
  await assert.rejects(cockatielRetry(handleAll, { maxAttempts: 3, backoff: new ConstantBackoff(0) }).execute(counted));
  assert.equal(calls, 4);
});

test("an aborted waiter leaves the bulkhead's queue at once, and its place is used", async (t) => {
  stoppedTime(t);
  const stack = bare([bulkhead({ limit: 1, queue: { size: 1 } })]);
  const held = heldAnswer();
  stack.answers(held.answer, ok);
  const caller = new AbortController();
  void stack.call();
  const waiter = watch(stack.call({ signal: caller.signal }));
  await turns();
  caller.abort();
  await turns();
  assert.ok(waiter.settled);
  assert.equal(stack.status("bulkhead")["waiting"], 0);
  const next = watch(stack.call());
  await turns();
  assert.equal(next.settled, false, "it waits instead of being refused");
  held.release();
  await turns();
  assert.equal(next.value?.ok, true);
});

test("pin: cockatiel's bulkhead keeps an aborted waiter's place", async () => {
  const policy = cockatielBulkhead(1, 1);
  const held = gate();
  const first = policy.execute(() => held.promise);
  const caller = new AbortController();
  const waiter = watch(policy.execute(() => 1, caller.signal));
  caller.abort();
  await turns();
  assert.deepEqual([waiter.settled, policy.queueSlots], [false, 0]);
  await assert.rejects(policy.execute(() => 2));
  held.open();
  await first;
});

test("a place is back in the moment in which the response ends: sequential calls at limit 1 are never refused", async () => {
  const stack = bare([bulkhead({ limit: 1 })]);
  for (let n = 0; n < 20; n++) {
    const stream = streaming();
    stack.answers(stream.answer);
    assert.equal((await stack.call()).ok, true);
    endNow(stream.end);
  }
});

test("pin: cockatiel gives a place back some microtasks after the work that it was held for has ended", async () => {
  const policy = cockatielBulkhead(1, 0);
  const held = gate();
  const first = policy.execute(() => held.promise);
  held.open();
  await assert.rejects(policy.execute(() => 2));
  await first;
  assert.equal(await policy.execute(() => 3), 3);
});

test("an unread body outlives a timeout layer", async (t) => {
  const time = stoppedTime(t);
  const upstream = await openUpstream(t, [{ after: "hang" }]);
  const client = createClient({ policies: [definePolicy({ name: "p", match: [{ host: "*" }], layers: [retry(), timeout("1s")] })] });
  const response = await client.fetch(upstream.url);
  await time.pass(5_000);
  upstream.finish();
  assert.equal(await response.text(), "part");
});

test("pin: cockatiel's timeout aborts its signal on return, so the body dies unread", async () => {
  let seen: AbortSignal | undefined;
  await cockatielTimeout(60_000, TimeoutStrategy.Aggressive).execute(({ signal }) => {
    seen = signal;
    return Promise.resolve("head");
  });
  assert.equal(seen?.aborted, true);
});

test("a caller's abort is told as such, not as a timeout", async () => {
  const stack = bare([timeout("1m")]);
  stack.answers(hung);
  const caller = new AbortController();
  const call = stack.call({ signal: caller.signal });
  caller.abort();
  assert.equal(failureOf(await call).by, "caller");
});

test("half-open refuses at once what is no probe, instead of letting it wait for one that hangs", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([breaker({ trip: { consecutive: 1 }, openFor: "1s" })]);
  stack.answers(reset, hung);
  await stack.call();
  await time.pass(1_000);
  const caller = new AbortController();
  void stack.call({ signal: caller.signal });
  await turns();
  assert.equal(failureOf(await stack.call()).by, "breaker");
  caller.abort();
});

test("pin: cockatiel's half-open waiters hang on the probe and ignore their own abort", async (t) => {
  const time = stoppedTime(t);
  const policy = circuitBreaker(handleAll, { halfOpenAfter: 1_000, breaker: new ConsecutiveBreaker(1) });
  await assert.rejects(policy.execute(boom));
  await time.pass(1_001);
  void policy.execute(() => new Promise(() => undefined));
  const caller = new AbortController();
  const waiter = watch(policy.execute(() => 1, caller.signal));
  caller.abort();
  await time.pass(60_000);
  assert.equal(waiter.settled, false);
});

test("pin: a stale failure reopens cockatiel's half-open breaker", async (t) => {
  const time = stoppedTime(t);
  const policy = circuitBreaker(handleAll, { halfOpenAfter: 1_000, breaker: new ConsecutiveBreaker(1) });
  const held = gate();
  const stale = policy.execute(() => held.promise.then(boom)).catch(() => undefined);
  await assert.rejects(policy.execute(boom));
  await time.pass(1_001);
  void policy.execute(() => new Promise(() => undefined));
  assert.equal(policy.state, CircuitState.HalfOpen);
  held.open();
  await stale;
  assert.equal(policy.state, CircuitState.Open);
});

test("pin: cockatiel's sampling breaker counts samples of an hour ago", (t) => {
  stoppedTime(t);
  const sampling = new SamplingBreaker({ threshold: 0.2, duration: 5_000, minimumRps: 0.001 });
  for (let n = 0; n < 100; n++) sampling.success(CircuitState.Closed);
  t.mock.timers.tick(3_600_000);
  assert.equal(sampling.failure(CircuitState.Closed), false, "one failure of one is below a fifth only with the hundred");
});

test("pin: an imported isolated cockatiel breaker can never be released", () => {
  const made = (initialState?: unknown): ReturnType<typeof circuitBreaker> =>
    circuitBreaker(handleAll, {
      halfOpenAfter: 1_000,
      breaker: new ConsecutiveBreaker(1),
      ...(initialState === undefined ? {} : { initialState }),
    });
  const first = made();
  first.isolate();
  const imported = made(JSON.parse(JSON.stringify(first.toJSON())));
  imported.isolate().dispose();
  assert.equal(imported.state, CircuitState.Isolated);
});
