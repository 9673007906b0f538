// breaker: stops calling a peer that fails, and tries it again with care.
import assert from "node:assert/strict";
import test from "node:test";
import {
  breaker,
  type BreakerOptions,
  bulkhead,
  createClient,
  definePolicy,
  fault,
  PolicyError,
  rateLimit,
  timeout,
} from "../../src/index.ts";
import type { Outcome } from "../../src/call/outcome.ts";
import {
  answer,
  type Answer,
  type Bare,
  bare,
  failing,
  failureOf,
  heldAnswer,
  hung,
  ok,
  refused,
  type Reply,
  reset,
  streaming,
} from "../harness/bare.ts";
import { stoppedTime, turns, watch } from "../harness/time.ts";
import { overTransports } from "../harness/trial.ts";

const phase = (stack: Bare): unknown => stack.status("breaker")["phase"];

/** One call with this answer. */
function one(stack: Bare, given: Answer): Promise<Outcome<Reply>> {
  stack.answers(given);
  return stack.call();
}

async function several(stack: Bare, given: Answer, times: number): Promise<void> {
  for (let n = 0; n < times; n++) await one(stack, given);
}

const refusedBy = (outcome: Outcome<Reply>): string | undefined => (outcome.ok || outcome.by === "peer" ? undefined : outcome.by);

overTransports("opens after failures, refuses without sending, and says when to come back", async (open) => {
  const trial = await open([breaker({ trip: { consecutive: 2 }, openFor: "5s" })], [{ status: 500 }, "reset", { status: 200 }]);
  await trial.call();
  await trial.call();
  await trial.time.pass(2_000);
  const { error, refusal } = await trial.call();
  assert.equal(refusal, "ERR_PREMESH_BREAKER_OPEN");
  assert.ok(error instanceof PolicyError);
  assert.deepEqual([error.policy, error.layer, error.attempts, error.retryAfterMs], ["trial", "breaker", 0, 3_000]);
  assert.equal(trial.client.explain(error)?.attempts, 0);
  assert.equal(trial.attempts(), 2);
  await trial.time.pass(3_000);
  assert.equal((await trial.call()).ok, true);
  assert.equal((await trial.call()).ok, true);
});

test("consecutive: a success in between begins the count anew", async (t) => {
  stoppedTime(t);
  const stack = bare([breaker({ trip: { consecutive: 3 } })]);
  for (const given of [reset, failing(500), ok, failing(503), failing(502)]) await one(stack, given);
  assert.equal(phase(stack), "closed");
  await one(stack, refused);
  assert.equal(phase(stack), "open");
});

test("failure rate: needs minCalls, and counts from the rate on", async (t) => {
  stoppedTime(t);
  const stack = bare([breaker({ trip: { failureRate: 0.5, minCalls: 4, window: "10s" } })]);
  await several(stack, reset, 3);
  assert.equal(phase(stack), "closed", "too few calls");
  await one(stack, ok);
  await one(stack, ok);
  await one(stack, ok);
  assert.equal(phase(stack), "closed", "successes do not open it");
  await one(stack, reset);
  assert.equal(phase(stack), "open", "4 of 7");
});

test("the window slides: old samples do not count, also after idle", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([breaker({ trip: { failureRate: 0.5, minCalls: 4, window: "10s" } })]);
  await several(stack, ok, 50);
  await time.pass(3_600_000);
  await several(stack, reset, 3);
  await time.pass(5_000);
  assert.equal(phase(stack), "closed");
  await one(stack, reset);
  assert.equal(phase(stack), "open", "the fifty of an hour ago are forgotten, the three of five seconds ago are not");

  const late = bare([breaker({ trip: { failureRate: 0.5, minCalls: 4, window: "10s" } })]);
  await several(late, reset, 3);
  await time.pass(10_000);
  await one(late, reset);
  assert.equal(phase(late), "closed");
  assert.deepEqual(late.status("breaker")["trips"], [{ failed: 1, calls: 1, window: "10s", limit: 0.5, minCalls: 4 }]);
});

test("slow rate: a call that takes longer counts, whether it fails or not", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([breaker({ trip: { slowRate: 0.5, slowerThan: "100ms", minCalls: 4, window: "10s" } })]);
  const taking = async (ms: number): Promise<void> => {
    const held = heldAnswer();
    stack.answers(held.answer);
    const call = stack.call();
    await time.pass(ms);
    held.release();
    await call;
  };
  await taking(100);
  await taking(100);
  await taking(101);
  assert.equal(phase(stack), "closed");
  await several(stack, failing(500), 0);
  await taking(500);
  assert.equal(phase(stack), "open");
});

test("several trips: whichever comes first", async (t) => {
  const time = stoppedTime(t);
  const trip = [{ consecutive: 3 }, { slowRate: 1, slowerThan: "100ms", minCalls: 2, window: "10s" }] as const;
  const failed = bare([breaker({ trip })]);
  await several(failed, reset, 3);
  assert.equal(phase(failed), "open");
  const slow = bare([breaker({ trip })]);
  for (let n = 0; n < 2; n++) {
    const held = heldAnswer();
    slow.answers(held.answer);
    const call = slow.call();
    await time.pass(101);
    held.release();
    await call;
  }
  assert.equal(phase(slow), "open");
  assert.equal(slow.reports.at(-1)?.detail?.["slow"], 2);
});

test("only failures of `on` count; by default 5xx, resets and timeouts, not 4xx", async (t) => {
  stoppedTime(t);
  const opens = async (given: Answer, options: BreakerOptions = {}): Promise<boolean> => {
    const stack = bare([breaker({ trip: { consecutive: 1 }, ...options })]);
    await one(stack, given);
    return phase(stack) === "open";
  };
  for (const status of [500, 501, 502, 503, 504, 599]) assert.equal(await opens(failing(status)), true, String(status));
  for (const status of [400, 401, 404, 409, 429, 499]) assert.equal(await opens(failing(status)), false, String(status));
  assert.equal(await opens(reset), true);
  assert.equal(await opens(refused), true);
  assert.equal(await opens(failing(429), { on: [429] }), true);
  assert.equal(await opens(failing(500), { on: [429] }), false);
  assert.equal(await opens(failing(429), { on: ["resource-exhausted"] }), true);
});

test("an attempt that a timeout inside ended is a failure of the peer", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([breaker({ trip: { consecutive: 1 } }), timeout("10ms")]);
  stack.answers(hung);
  const call = watch(stack.call());
  await time.pass(10);
  assert.ok(call.settled);
  assert.equal(phase(stack), "open");
});

test("stays open for openFor, then longer with each opening in a row, up to maxOpenFor; closing forgets that", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([breaker({ trip: { consecutive: 1 }, openFor: "1s", maxOpenFor: "5s" })]);
  for (const openFor of [1_000, 2_000, 4_000, 5_000, 5_000]) {
    await one(stack, reset);
    assert.equal(phase(stack), "open");
    assert.equal(stack.reports.at(-1)?.detail?.["openForMs"], openFor);
    await time.pass(openFor - 1);
    assert.equal(refusedBy(await one(stack, ok)), "breaker");
    await time.pass(1);
  }
  await one(stack, ok);
  assert.equal(phase(stack), "closed");
  await one(stack, reset);
  assert.equal(stack.reports.at(-1)?.detail?.["openForMs"], 1_000);
});

test("without maxOpenFor it does not grow", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([breaker({ trip: { consecutive: 1 }, openFor: "1s" })]);
  for (let n = 0; n < 3; n++) {
    await one(stack, reset);
    assert.equal(stack.reports.at(-1)?.detail?.["openForMs"], 1_000);
    await time.pass(1_000);
  }
});

/** A breaker that has just become half-open: the next calls are probes. */
async function halfOpen(time: ReturnType<typeof stoppedTime>, options: BreakerOptions): Promise<Bare> {
  const stack = bare([breaker({ trip: { consecutive: 1 }, openFor: "1s", ...options })]);
  await one(stack, reset);
  await time.pass(1_000);
  assert.equal(phase(stack), "half-open");
  return stack;
}

test("half-open lets exactly `probes` calls through and refuses the others with the time to come back", async (t) => {
  const time = stoppedTime(t);
  const stack = await halfOpen(time, { probes: 2 });
  const held = heldAnswer();
  stack.answers(held.answer);
  const probes = [stack.call(), stack.call()];
  await time.pass(400);
  const third = failureOf(await stack.call());
  assert.deepEqual([third.by, third.sent, third.retryAfterMs], ["breaker", false, 600]);
  assert.deepEqual(stack.status("breaker")["probes"], { underWay: 2, good: 0, bad: 0, of: 2 });
  held.release();
  await Promise.all(probes);
  assert.equal(phase(stack), "closed");
  assert.equal((await one(stack, ok)).ok, true);
});

test("the success rate of the probes decides, as soon as it is clear", async (t) => {
  const time = stoppedTime(t);
  const trip = { failureRate: 0.5, minCalls: 1, window: "10s" } as const;
  for (const [given, expected] of [
    [[ok, ok, ok], "closed"],
    [[ok, reset, ok, ok], "closed"],
    [[reset, reset], "open"],
    [[ok, reset, reset], "open"],
    [[ok, ok], "half-open"],
    [[reset], "half-open"],
  ] as const) {
    const stack = await halfOpen(time, { trip, probes: 4 });
    for (const each of given) await one(stack, each);
    assert.equal(phase(stack), expected, `${given.length} probes`);
  }
});

test("a slow probe is a bad one where slow calls trip", async (t) => {
  const time = stoppedTime(t);
  const stack = await halfOpen(time, { trip: [{ consecutive: 1 }, { slowRate: 0.5, slowerThan: "100ms", minCalls: 1, window: "10s" }] });
  const held = heldAnswer();
  stack.answers(held.answer);
  const call = stack.call();
  await time.pass(101);
  held.release();
  await call;
  assert.equal(phase(stack), "open");
});

test("a probe that hangs cannot lock it: after openFor it counts as failed, and what comes of it later does not count", async (t) => {
  const time = stoppedTime(t);
  const stack = await halfOpen(time, {});
  const held = heldAnswer();
  stack.answers(held.answer);
  const probe = stack.call();
  await time.pass(999);
  assert.equal(failureOf(await stack.call()).retryAfterMs, 1);
  await time.pass(1);
  assert.equal(failureOf(await stack.call()).retryAfterMs, 1_000, "open again");
  assert.equal(stack.reports.findLast(({ what }) => what === "opened")?.detail?.["reason"], "a probe hung");
  await time.pass(1_000);
  assert.equal((await one(stack, failing(404))).ok, false);
  assert.equal(phase(stack), "closed", "another probe has closed it");
  held.release();
  await probe;
  assert.equal(phase(stack), "closed");
});

test("a probe that its caller gives up frees its place for another", async (t) => {
  const time = stoppedTime(t);
  const stack = await halfOpen(time, {});
  stack.answers(hung);
  const caller = new AbortController();
  const probe = watch(stack.call({ signal: caller.signal }));
  await turns();
  assert.equal(failureOf(await stack.call()).by, "breaker");
  caller.abort();
  await turns();
  assert.ok(probe.settled);
  assert.equal(phase(stack), "half-open");
  await one(stack, ok);
  assert.equal(phase(stack), "closed");
});

test("results of calls begun before the last change of state do not count", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([breaker({ trip: { consecutive: 1 }, openFor: "1s" })]);
  const [staleGood, staleBad, stalest] = [heldAnswer(), heldAnswer(answer(500)), heldAnswer(answer(500))];
  stack.answers(staleGood.answer, staleBad.answer, stalest.answer, reset);
  const stale = [stack.call(), stack.call(), stack.call()];
  await turns();
  await stack.call();
  assert.equal(phase(stack), "open");
  await time.pass(1_000);
  const probe = heldAnswer();
  stack.answers(probe.answer);
  const probing = stack.call();
  await turns();
  staleGood.release();
  await stale[0];
  assert.equal(stack.status("breaker")["phase"], "half-open", "a stale success does not close it");
  staleBad.release();
  await stale[1];
  assert.equal(stack.status("breaker")["phase"], "half-open", "a stale failure does not open it");
  probe.release();
  await probing;
  assert.equal(phase(stack), "closed");
  stalest.release();
  await stale[2];
  assert.equal(phase(stack), "closed", "nor once it is closed again");
});

test("what inner layers refuse, or a caller gives up, is no failure of the peer and no success", async (t) => {
  stoppedTime(t);
  const trip = { failureRate: 0.5, minCalls: 2, window: "10s" } as const;
  const stack = bare([breaker({ trip }), rateLimit({ rate: 1, per: "1h", burst: 2 }), bulkhead({ limit: 1 })]);
  stack.answers(hung);
  const caller = new AbortController();
  const held = stack.call({ signal: caller.signal });
  assert.equal(failureOf(await stack.call()).by, "bulkhead");
  for (let n = 0; n < 20; n++) assert.equal(failureOf(await stack.call()).by, "rateLimit");
  caller.abort();
  assert.equal(failureOf(await held).by, "caller");
  assert.deepEqual(stack.status("breaker")["trips"], [{ failed: 0, calls: 0, window: "10s", limit: 0.5, minCalls: 2 }]);
});

test("a call that an outer timeout ends while it waits in an inner queue says nothing about the peer", async (t) => {
  const time = stoppedTime(t);
  const queue = { size: 9, timeout: "1m" } as const;
  for (const inner of [bulkhead({ limit: 1, queue }), rateLimit({ rate: 1, per: "30s", burst: 1, queue })]) {
    const stack = bare([timeout("1s"), breaker({ trip: { consecutive: 1 } }), inner]);
    assert.equal((await one(stack, streaming().answer)).ok, true); // its body goes on, so it keeps its place
    const second = watch(stack.call());
    await time.pass(1_000);
    assert.equal(second.value?.ok === false && second.value.by, "timeout");
    assert.equal(stack.sent.length, 1);
    assert.equal(phase(stack), "closed", inner.kind);
  }
});

test("a fault injected inside counts as if the peer had failed so", async () => {
  const stack = bare([breaker({ trip: { consecutive: 1 } }), fault({ abort: { status: 503, percent: 100 } })]);
  await stack.call();
  assert.equal(phase(stack), "open");
});

overTransports("isolate refuses until reset, for targets that come later too", async (open) => {
  const trial = await open([breaker()], [{ status: 200 }]);
  trial.client.isolate("trial");
  const { error } = await trial.call();
  assert.ok(error instanceof PolicyError && error.code === "ERR_PREMESH_BREAKER_OPEN" && error.retryAfterMs === undefined);
  await trial.time.pass(86_400_000);
  assert.equal((await trial.call()).refusal, "ERR_PREMESH_BREAKER_OPEN");
  trial.client.reset("trial");
  assert.equal((await trial.call()).ok, true);
  trial.client.isolate("trial");
  assert.equal((await trial.call()).refusal, "ERR_PREMESH_BREAKER_OPEN");
  trial.client.reset("trial");
  assert.equal((await trial.call()).ok, true);
  assert.equal(trial.attempts(), 2);
});

test("results of calls begun before isolate and reset do not count", async (t) => {
  stoppedTime(t);
  const stack = bare([breaker({ trip: { consecutive: 1 } })]);
  const held = heldAnswer(answer(500));
  stack.answers(held.answer);
  const call = stack.call();
  stack.state("breaker").isolate?.();
  stack.state("breaker").reset?.();
  held.release();
  await call;
  assert.equal(phase(stack), "closed");
});

test("a snapshot carries an open breaker over: it stays open for the rest of its time, and its growth goes on", async (t) => {
  const time = stoppedTime(t);
  const policy = definePolicy({ name: "p", layers: [breaker({ trip: { consecutive: 1 }, openFor: "10s", maxOpenFor: "1m" })] });
  const before = createClient({ policies: [policy] });
  const fail = (): never => {
    throw new Error("down");
  };
  await assert.rejects(before.run("p", fail));
  await time.pass(4_000);
  const snapshot = JSON.parse(JSON.stringify(before.snapshot())) as ReturnType<typeof before.snapshot>; // the cast: what a file would give back
  const after = createClient({ policies: [policy], snapshot });
  const code = (error: unknown): unknown => (error as { code?: unknown }).code; // the cast: any error can be asked
  await assert.rejects(
    after.run("p", () => 1),
    (error) => error instanceof PolicyError && error.retryAfterMs === 6_000,
  );
  await time.pass(5_999);
  await assert.rejects(
    after.run("p", () => 1),
    (error) => code(error) === "ERR_PREMESH_BREAKER_OPEN",
  );
  await time.pass(1);
  await assert.rejects(after.run("p", fail), { message: "down" });
  await assert.rejects(
    after.run("p", () => 1),
    (error) => error instanceof PolicyError && error.retryAfterMs === 20_000,
  );
});

test("a snapshot of an isolated breaker is isolated, and can be released", async (t) => {
  stoppedTime(t);
  const policy = definePolicy({ name: "p", layers: [breaker()] });
  const before = createClient({ policies: [policy] });
  await before.run("p", () => 1);
  before.isolate("p");
  const after = createClient({ policies: [policy], snapshot: before.snapshot() });
  await assert.rejects(
    after.run("p", () => 1),
    { code: "ERR_PREMESH_BREAKER_OPEN" },
  );
  after.reset("p");
  assert.equal(await after.run("p", () => 1), 1);
});

test("a snapshot that makes no sense does no harm", async (t) => {
  const time = stoppedTime(t);
  for (const [saved, expected] of [
    [{ phase: "open", remainingMs: "soon" }, "half-open"],
    [{ phase: "open", remainingMs: Number.POSITIVE_INFINITY, openings: 1e9 }, "open"],
    [{ phase: "open", remainingMs: -5, openings: -1 }, "half-open"],
    [{ phase: "melted" }, "closed"],
    [{}, "closed"],
  ] as const) {
    const stack = bare([breaker({ openFor: "1s" })]);
    await stack.call();
    stack.state("breaker").restore?.(saved);
    assert.equal(phase(stack), expected, JSON.stringify(saved));
    await time.pass(1_000);
    assert.equal((await one(stack, ok)).ok, true);
    assert.equal(phase(stack), "closed");
  }
});

test("in shadow it goes through its states and reports, but every call passes", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([breaker({ trip: { consecutive: 2 }, openFor: "1s", shadow: true })]);
  await several(stack, reset, 4);
  assert.equal(phase(stack), "open");
  assert.equal(stack.sent.length, 4);
  assert.deepEqual(stack.whats(), ["opened", "would-be-refused", "would-be-refused"]);
  await time.pass(1_000);
  await one(stack, ok);
  assert.equal(phase(stack), "closed");
});
