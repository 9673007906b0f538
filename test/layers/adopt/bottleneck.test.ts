// adopt over a live Bottleneck limiter: it paces and bounds calls, and its traps are closed.
import assert from "node:assert/strict";
import test from "node:test";
import Bottleneck from "bottleneck";
import { endNow } from "../../../src/call/end.ts";
import { adopt, createClient, definePolicy, fallback, PolicyError } from "../../../src/index.ts";
import { answer, bare, failing, hung, ok, reset, streaming } from "../../harness/bare.ts";
import { stoppedTime, type Time, watch } from "../../harness/time.ts";
import { openUpstream } from "../../harness/upstream.ts";

/** Bottleneck takes a few timers of 0 ms for each step; more than it needs, in stopped time. */
async function steps(time: Time, count = 12): Promise<void> {
  for (let n = 0; n < count; n++) await time.pass(0);
}

const codeOf = (cause: unknown): unknown => (cause instanceof PolicyError ? cause.code : cause);

test("calls pass through it, and failures come back as they were", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([adopt(new Bottleneck())]);
  const given = [answer(200), answer(404)];
  stack.answers(...given.map((one) => () => one), reset);
  for (const expected of given) {
    const call = watch(stack.call());
    await steps(time);
    assert.equal(call.value, expected);
    assert.equal(expected.response?.dropped, 0);
  }
  const broken = watch(stack.call());
  await steps(time);
  assert.ok(broken.value !== undefined && !broken.value.ok && broken.value.by === "peer");
  assert.deepEqual(stack.whats(), []);
});

test("minTime paces them", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([adopt(new Bottleneck({ minTime: 100 }))]);
  const calls = [watch(stack.call()), watch(stack.call()), watch(stack.call())];
  await steps(time);
  assert.equal(stack.sent.length, 1);
  await time.pass(100);
  await steps(time);
  assert.equal(stack.sent.length, 2);
  await time.pass(100);
  await steps(time);
  assert.ok(calls.every(({ value }) => value?.ok === true));
});

test("maxConcurrent counts a call until its response has ended", async (t) => {
  const time = stoppedTime(t);
  const limiter = new Bottleneck({ maxConcurrent: 1 });
  const stack = bare([adopt(limiter)]);
  const stream = streaming();
  stack.answers(stream.answer, ok);
  const first = watch(stack.call());
  const second = watch(stack.call());
  await steps(time);
  assert.equal(first.value?.ok, true, "the head is given at once");
  assert.equal(stack.sent.length, 1);
  assert.equal(limiter.counts().EXECUTING, 1);
  endNow(stream.end);
  await steps(time);
  assert.equal(second.value?.ok, true);
  assert.equal(limiter.counts().EXECUTING, 0);
});

test("over fetch: the next call waits for the body of the one before", async (t) => {
  const upstream = await openUpstream(t, [{ after: "hang" }, {}]);
  const policy = definePolicy({ name: "p", match: [{ host: "*" }], layers: [adopt(new Bottleneck({ maxConcurrent: 1 }))] });
  const client = createClient({ policies: [policy] });
  const first = await client.fetch(upstream.url);
  const second = client.fetch(upstream.url);
  assert.equal(upstream.requests.length, 1);
  upstream.finish();
  assert.equal(await first.text(), "part");
  assert.equal(await (await second).text(), "ok");
});

test("an aborted waiter leaves at once, and nothing is sent when its turn comes", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([adopt(new Bottleneck({ maxConcurrent: 1 }))]);
  const stream = streaming();
  stack.answers(stream.answer, ok);
  void stack.call();
  await steps(time);
  const caller = new AbortController();
  const waiter = watch(stack.call({ signal: caller.signal }));
  const behind = watch(stack.call());
  await steps(time);
  caller.abort(new Error("the caller's own"));
  await steps(time, 1);
  assert.ok(waiter.value !== undefined && !waiter.value.ok && waiter.value.by === "caller" && waiter.value.cause === caller.signal.reason);
  endNow(stream.end);
  await steps(time, 24);
  assert.equal(behind.value?.ok, true);
  assert.equal(stack.sent.length, 2);
});

test("an aborted call ends its attempt and gives its place back", async (t) => {
  const time = stoppedTime(t);
  const limiter = new Bottleneck({ maxConcurrent: 1 });
  const stack = bare([adopt(limiter)]);
  stack.answers(hung, ok);
  const caller = new AbortController();
  const call = watch(stack.call({ signal: caller.signal }));
  await steps(time);
  assert.equal(stack.sent.length, 1);
  caller.abort();
  await steps(time);
  assert.ok(call.value !== undefined && !call.value.ok && call.value.by === "caller");
  assert.equal(limiter.counts().EXECUTING, 0);
});

for (const rejectOnDrop of [true, false]) {
  test(`a dropped job is a refusal, ${rejectOnDrop ? "" : "even "}with rejectOnDrop: ${rejectOnDrop}`, async (t) => {
    const time = stoppedTime(t);
    const stack = bare([adopt(new Bottleneck({ maxConcurrent: 1, highWater: 0, strategy: Bottleneck.strategy.OVERFLOW, rejectOnDrop }))]);
    stack.answers(hung);
    const caller = new AbortController();
    void stack.call({ signal: caller.signal });
    await steps(time);
    const second = watch(stack.call());
    await steps(time);
    assert.ok(second.value !== undefined && !second.value.ok);
    const { by, sent, cause } = second.value;
    assert.deepEqual([by, sent, codeOf(cause)], ["adopt", false, "ERR_PREMESH_RATE_LIMITED"]);
    assert.deepEqual(stack.whats(), ["refused"]);
    caller.abort();
    await steps(time);
  });
}

test("stopped, it refuses, and so it does the calls that wait", async (t) => {
  const time = stoppedTime(t);
  const limiter = new Bottleneck({ maxConcurrent: 1 });
  const stack = bare([fallback({ on: ["timeout"], response: { status: 200 } }), adopt(limiter, { name: "pace" })]);
  const stream = streaming();
  stack.answers(stream.answer);
  void stack.call();
  await steps(time);
  const waiting = watch(stack.call());
  await steps(time);
  void limiter.stop();
  await steps(time);
  const late = watch(stack.call());
  await steps(time);
  for (const { value } of [waiting, late]) {
    assert.ok(value !== undefined && !value.ok);
    assert.deepEqual([value.layer, codeOf(value.cause)], ["pace", "ERR_PREMESH_RATE_LIMITED"]);
  }
  assert.equal(stack.sent.length, 1);
  endNow(stream.end);
  await steps(time);
});

test("its retries on failed run the call again; a response is no failure to it", async (t) => {
  const time = stoppedTime(t);
  const limiter = new Bottleneck();
  const failures: unknown[] = [];
  limiter.on("failed", (error: unknown, { retryCount }: Bottleneck.EventInfoRetryable) => {
    failures.push(error);
    return retryCount < 2 ? 100 : undefined;
  });
  const stack = bare([adopt(limiter)]);
  stack.answers(reset, failing(503));
  const call = watch(stack.call());
  await steps(time);
  assert.equal(call.settled, false);
  await time.pass(100);
  await steps(time);
  assert.ok(call.value !== undefined && !call.value.ok && call.value.status === 503);
  assert.equal(failures.length, 1);
  assert.deepEqual(
    stack.sent.map(({ attempt }) => attempt),
    [1, 2],
  );
  assert.deepEqual(stack.whats(), ["repeated"]);
});

test("an expiration, where a chained limiter sets one, is a timeout, and the attempt is aborted", async (t) => {
  const time = stoppedTime(t);
  const limiter = new Bottleneck();
  const schedule = limiter.schedule.bind(limiter);
  // what a wrapper of the user's may do
  Object.assign(limiter, { schedule: (job: () => Promise<unknown>) => schedule({ expiration: 500 }, job) });
  const stack = bare([adopt(limiter)]);
  stack.answers(hung);
  const call = watch(stack.call());
  await steps(time);
  await time.pass(500);
  await steps(time);
  assert.ok(call.value !== undefined && !call.value.ok);
  assert.equal(codeOf(call.value.cause), "ERR_PREMESH_TIMEOUT");
  assert.equal(stack.sent[0]?.signal?.aborted, true);
});

test("run: a refusal is thrown as a PolicyError, and values pass", async () => {
  const limiter = new Bottleneck();
  const client = createClient({ policies: [definePolicy({ name: "p", layers: [adopt(limiter)] })] });
  assert.equal(await client.run<unknown>("p", () => undefined), undefined);
  assert.deepEqual(await client.run("p", () => [1]), [1]);
  await limiter.stop();
  await assert.rejects(
    client.run("p", () => 1),
    { code: "ERR_PREMESH_RATE_LIMITED", policy: "p", layer: "adopt", attempts: 0 },
  );
});

test("two clients share it", async (t) => {
  const time = stoppedTime(t);
  const limiter = new Bottleneck({ maxConcurrent: 1 });
  const stacks = [bare([adopt(limiter)]), bare([adopt(limiter)])];
  const stream = streaming();
  for (const stack of stacks) stack.answers(stream.answer);
  const calls = stacks.map((stack) => watch(stack.call()));
  await steps(time);
  assert.deepEqual(
    calls.map(({ settled }) => settled),
    [true, false],
  );
  endNow(stream.end);
  await steps(time);
  assert.deepEqual(
    calls.map(({ value }) => value?.ok),
    [true, true],
  );
});
