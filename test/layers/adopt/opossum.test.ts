// adopt over a live opossum breaker: its events, counts, options and fallback work on, and its traps are closed.
import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import CircuitBreaker from "opossum";
import { adopt, bulkhead, createClient, definePolicy, fallback, PolicyError, retry } from "../../../src/index.ts";
import { answer, bare, failing, failureOf, heldAnswer, hung, ok, reset, successOf } from "../../harness/bare.ts";
import { stoppedTime, turns, watch } from "../../harness/time.ts";
import { openUpstream } from "../../harness/upstream.ts";

type Action = (path: string) => Promise<string>;

/** A breaker over work of its own, which adopted calls never run; shut down after the test. */
function opossum(
  t: TestContext,
  options: CircuitBreaker.Options = {},
  action: Action = (path) => Promise.resolve(path),
): CircuitBreaker<[string], string> {
  const made = new CircuitBreaker(action, {
    timeout: false,
    resetTimeout: 1_000,
    enableSnapshots: false,
    ...options,
  });
  t.after(() => made.shutdown());
  return made;
}

/** Every event that says how a firing came out, in order. */
function eventsOf(breaker: CircuitBreaker<[string], string>): string[] {
  const events: string[] = [];
  const names = ["fire", "reject", "timeout", "success", "failure", "semaphoreLocked", "fallback", "open", "halfOpen", "close"];
  for (const name of names) breaker.on(name as "open", () => events.push(name)); // the cast: each is an event
  return events;
}

const phase = (breaker: CircuitBreaker<[string], string>): string =>
  breaker.opened ? "open" : breaker.halfOpen ? "half-open" : breaker.closed ? "closed" : "shut down";

test("calls run through it, and its own action goes on serving those who fire it", async (t) => {
  const instance = opossum(t);
  const events = eventsOf(instance);
  const stack = bare([adopt(instance)]);
  const [, own] = await Promise.all([stack.call(), instance.fire("its own")]);
  assert.equal(own, "its own");
  assert.equal(stack.sent.length, 1);
  assert.deepEqual(events.toSorted(), ["fire", "fire", "success", "success"]);
  assert.equal(instance.stats.successes, 2);
});

test("a listener that fires it gets its own action, and its own time limit again", async (t) => {
  const instance = opossum(t, { timeout: 50 });
  const own: unknown[] = [];
  instance.once("fire", () => void instance.fire("nested").then((value) => own.push(value)));
  const stack = bare([adopt(instance)]);
  await stack.call();
  await turns();
  assert.deepEqual(own, ["nested"]);
  assert.equal((instance as unknown as { options: { timeout: unknown } }).options.timeout, 50); // the cast: the types lack `options`
});

test("errors trip it, and so do responses from 500 on; a 404 does not", async (t) => {
  for (const [bad, trips] of [
    [reset, true],
    [failing(503), true],
    [failing(500), true],
    [failing(404), false],
    [failing(429), false],
  ] as const) {
    const instance = opossum(t);
    const stack = bare([adopt(instance)]);
    stack.answers(bad);
    failureOf(await stack.call());
    assert.equal(instance.opened, trips);
  }
});

test("the caller gets the response that tripped it, unread", async (t) => {
  const upstream = await openUpstream(t, [{ status: 503, body: "come back later" }]);
  const policy = definePolicy({ name: "p", match: [{ host: "*" }], layers: [adopt(opossum(t))] });
  const client = createClient({ policies: [policy] });
  const response = await client.fetch(upstream.url);
  assert.deepEqual([response.status, await response.text()], [503, "come back later"]);
  await assert.rejects(client.fetch(upstream.url), { code: "ERR_PREMESH_BREAKER_OPEN", layer: "adopt" });
  assert.equal(upstream.requests.length, 1);
});

test("errorFilter sees an error with the status and the response, and the target in place of the arguments", async (t) => {
  const seen: unknown[][] = [];
  const instance = opossum(t, {
    errorFilter: (...args: unknown[]) => {
      seen.push(args);
      return true;
    },
  });
  const stack = bare([adopt(instance)]);
  const given = answer(503);
  stack.answers(() => given, reset);
  assert.equal(await stack.call(), given);
  assert.equal(given.response?.dropped, 0);
  const { cause } = failureOf(await stack.call({ target: "other", method: "POST", attempt: 2 }));
  assert.equal(instance.closed, true);
  const [[filtered, about] = [], second] = seen;
  assert.ok(filtered instanceof Error);
  const { message, status, statusCode, response } = filtered as Error & Record<string, unknown>; // the cast: what is put on it
  assert.deepEqual({ message, status, statusCode }, { message: "status 503 from peer", status: 503, statusCode: 503 });
  assert.equal(response, given.response);
  assert.deepEqual(about, { target: "peer", method: "GET", attempt: 1 });
  assert.deepEqual(second, [cause, { target: "other", method: "POST", attempt: 2 }]);
});

test("open, it refuses with the time that remains, emits what it always did, and is half-open after that", async (t) => {
  const time = stoppedTime(t);
  const instance = opossum(t);
  const events = eventsOf(instance);
  const stack = bare([adopt(instance, { name: "mail" })]);
  stack.answers(reset, ok);
  await stack.call();
  await time.pass(400);
  const { by, sent, layer, retryAfterMs, cause } = failureOf(await stack.call());
  assert.deepEqual({ by, sent, layer, retryAfterMs }, { by: "adopt", sent: false, layer: "mail", retryAfterMs: 600 });
  assert.ok(cause instanceof PolicyError);
  assert.deepEqual([cause.code, cause.retryAfterMs], ["ERR_PREMESH_BREAKER_OPEN", 600]);
  assert.match(cause.message, /policy bare: the adopted breaker is open for peer; try again in 600 ms/);
  await time.pass(600);
  successOf(await stack.call());
  assert.deepEqual(events, ["fire", "failure", "open", "fire", "reject", "halfOpen", "fire", "close", "success"]);
});

test("a fallback layer of ours around it answers for its refusals", async (t) => {
  const instance = opossum(t);
  instance.open();
  const stack = bare([fallback({ response: { status: 200 } }), adopt(instance)]);
  assert.equal(successOf(await stack.call()).reply?.status, 200);
});

test("its fallback function answers, for failures and for refusals, and gets the target and the error", async (t) => {
  const instance = opossum(t);
  const shelf = { dropped: 0 };
  const asked: unknown[][] = [];
  instance.fallback((...args: unknown[]) => {
    asked.push(args);
    return shelf;
  });
  const stack = bare([adopt(instance)]);
  const given = answer(503);
  stack.answers(() => given);
  assert.equal(successOf(await stack.call()).response, shelf);
  assert.equal(given.response?.dropped, 1);
  assert.equal(successOf(await stack.call()).response, shelf);
  assert.deepEqual(
    asked.map(([about, error]) => [about, (error as Error).message]),
    [
      [{ target: "peer", method: "GET", attempt: 1 }, "status 503 from peer"],
      [{ target: "peer", method: "GET", attempt: 1 }, "Breaker is open"],
    ],
  ); // the cast: what opossum hands over
  assert.deepEqual(stack.whats(), ["replaced", "replaced"]);
});

test("a fallback function that throws fails the call with its error", async (t) => {
  const instance = opossum(t);
  const mistake = new Error("the shelf is empty");
  instance.fallback(() => Promise.reject(mistake));
  const stack = bare([adopt(instance)]);
  stack.answers(reset);
  assert.equal(failureOf(await stack.call()).cause, mistake);
});

test("its timeout ends the attempt, counts, and is a timeout to the caller", async (t) => {
  const time = stoppedTime(t);
  const instance = opossum(t, { timeout: 100 });
  const events = eventsOf(instance);
  const stack = bare([adopt(instance)]);
  stack.answers(hung);
  const call = watch(stack.call());
  await time.pass(99);
  assert.equal(call.settled, false);
  await time.pass(1);
  assert.ok(call.value !== undefined && !call.value.ok);
  assert.equal((call.value.cause as PolicyError).code, "ERR_PREMESH_TIMEOUT"); // the cast: what a timeout carries
  assert.equal(call.value.sent, true);
  assert.equal(stack.sent[0]?.signal?.aborted, true);
  assert.deepEqual(events, ["fire", "timeout", "failure", "open"]);
  assert.equal(instance.stats.timeouts, 1);
  assert.deepEqual(stack.whats(), ["timed-out"]);
});

test("one call that times out leaves the others and their bodies alone, also with an abortController", async (t) => {
  const time = stoppedTime(t);
  const upstream = await openUpstream(t, [{ after: "hang" }, "hang"]);
  const instance = opossum(t, { timeout: 1_000, abortController: new AbortController() });
  const policy = definePolicy({ name: "p", match: [{ host: "*" }], layers: [adopt(instance)] });
  const client = createClient({ policies: [policy] });
  const response = await client.fetch(upstream.url);
  const slow = watch(client.fetch(upstream.url));
  await upstream.arrived(2);
  await time.pass(1_000);
  for (let n = 0; n < 50 && !slow.settled; n++) await turns();
  assert.equal((slow.error as PolicyError).code, "ERR_PREMESH_TIMEOUT"); // the cast: what a timeout is thrown as
  upstream.finish();
  assert.equal(await response.text(), "part");
});

test("its capacity refuses as a bulkhead does, and a place is free again after every way out", async (t) => {
  const instance = opossum(t, { capacity: 1, errorThresholdPercentage: 100, volumeThreshold: 100 });
  const stack = bare([adopt(instance)]);
  const caller = new AbortController();
  stack.answers(hung, ok, reset, failing(503), ok);
  const held = stack.call({ signal: caller.signal });
  await turns();
  assert.equal((failureOf(await stack.call()).cause as PolicyError).code, "ERR_PREMESH_BULKHEAD_FULL"); // the cast: what a refusal carries
  caller.abort();
  await held;
  for (const expected of [true, false, false, true]) assert.equal((await stack.call()).ok, expected);
});

test("stale results neither close nor reopen it, and are not counted", async (t) => {
  const time = stoppedTime(t);
  const instance = opossum(t, { errorThresholdPercentage: 40 });
  const events = eventsOf(instance);
  const stack = bare([adopt(instance)]);
  const [good, bad] = [heldAnswer(), heldAnswer(answer(500))];
  stack.answers(good.answer, bad.answer, reset, hung);
  const stale = [stack.call(), stack.call()];
  await turns();
  instance.open();
  await time.pass(1_000);
  assert.equal(phase(instance), "half-open");
  for (const one of [good, bad]) one.release();
  assert.deepEqual(
    (await Promise.all(stale)).map((outcome) => outcome.ok),
    [true, false],
  );
  assert.equal(phase(instance), "half-open");
  assert.deepEqual(events, ["fire", "fire", "open", "halfOpen"]);
});

test("a call from before that runs into its timeout does not reopen it either", async (t) => {
  const time = stoppedTime(t);
  const instance = opossum(t, { timeout: 3_000 });
  const stack = bare([adopt(instance)]);
  stack.answers(hung);
  const stale = watch(stack.call());
  await turns();
  instance.open();
  await time.pass(1_000);
  await time.pass(2_000);
  assert.ok(stale.value !== undefined && !stale.value.ok && (stale.value.cause as PolicyError).code === "ERR_PREMESH_TIMEOUT"); // the cast: what a timeout carries
  assert.equal(phase(instance), "half-open");
});

test("a hung probe does not lock it: after resetTimeout it is open again, and later tries anew", async (t) => {
  const time = stoppedTime(t);
  const instance = opossum(t);
  const stack = bare([adopt(instance)]);
  stack.answers(hung, ok);
  instance.open();
  await time.pass(1_000);
  const caller = new AbortController();
  const probe = watch(stack.call({ signal: caller.signal }));
  await time.pass(250);
  assert.equal(failureOf(await stack.call()).retryAfterMs, 750);
  await time.pass(750);
  assert.equal(phase(instance), "open");
  assert.equal(probe.settled, false, "the call itself goes on");
  await time.pass(1_000);
  successOf(await stack.call());
  assert.equal(phase(instance), "closed");
  caller.abort();
  await turns();
  assert.equal(phase(instance), "closed");
});

test("a probe whose caller goes away says nothing: the breaker opens again, without a failure", async (t) => {
  const time = stoppedTime(t);
  const instance = opossum(t);
  const events = eventsOf(instance);
  const stack = bare([adopt(instance)]);
  stack.answers(hung, ok);
  instance.open();
  await time.pass(1_000);
  const caller = new AbortController();
  const probe = stack.call({ signal: caller.signal });
  await turns();
  caller.abort();
  assert.equal(failureOf(await probe).by, "caller");
  assert.deepEqual(events, ["open", "halfOpen", "fire", "open"]);
  await time.pass(1_000);
  successOf(await stack.call());
  assert.equal(phase(instance), "closed");
});

test("aborted calls and refusals of layers further in do not trip it", async (t) => {
  const instance = opossum(t);
  const stack = bare([adopt(instance), bulkhead({ limit: 1 })]);
  stack.answers(hung);
  const caller = new AbortController();
  const first = stack.call({ signal: caller.signal });
  await turns();
  for (let n = 0; n < 5; n++) assert.equal(failureOf(await stack.call()).by, "bulkhead");
  caller.abort();
  await first;
  assert.equal(instance.closed, true);
  assert.equal(instance.stats.failures, 0);
});

test("disabled, it lets everything pass; shut down, it refuses", async (t) => {
  const instance = opossum(t);
  const stack = bare([adopt(instance)]);
  instance.open();
  instance.disable();
  successOf(await stack.call());
  instance.enable();
  assert.equal(failureOf(await stack.call()).by, "adopt");
  instance.shutdown();
  const { cause } = failureOf(await stack.call());
  assert.equal((cause as PolicyError).code, "ERR_PREMESH_BREAKER_OPEN"); // the cast: what a refusal carries
});

test("a retry of ours around it goes by its refusals as by those of our breaker", async (t) => {
  const instance = opossum(t);
  const stack = bare([retry({ attempts: 5, backoff: { base: "0ms", max: "0ms" } }), adopt(instance)]);
  stack.answers(reset);
  assert.equal(failureOf(await stack.call()).by, "adopt");
  assert.equal(stack.sent.length, 1);
});

test("a listener that throws fails its call, and no other", async (t) => {
  const instance = opossum(t);
  const mistake = new Error("a listener");
  instance.once("fire", () => {
    throw mistake;
  });
  const stack = bare([adopt(instance)]);
  assert.equal(failureOf(await stack.call()).cause, mistake);
  successOf(await stack.call());
  assert.equal(await instance.fire("its own"), "its own");
});
