// timeout: bounds how long a call, or each attempt of it, may take.
import assert from "node:assert/strict";
import test from "node:test";
import { createClient, definePolicy, type LayerDefinition, PolicyError, retry, timeout } from "../../src/index.ts";
import { answer, bare, failureOf, hung, ok, streaming } from "../harness/bare.ts";
import { stoppedTime, turns, watch } from "../harness/time.ts";
import { overTransports } from "../harness/trial.ts";
import { openUpstream } from "../harness/upstream.ts";

const DEADLINE = "x-envoy-expected-rq-timeout-ms";
const clientOf = (...layers: LayerDefinition[]): ReturnType<typeof createClient> =>
  createClient({ policies: [definePolicy({ name: "p", match: [{ host: "*" }], layers })] });

overTransports("ends a call that takes too long, and says which layer did and after how many attempts", async (open) => {
  const trial = await open([timeout({ after: "100ms", name: "whole" })], ["hang"]);
  const call = watch(trial.call());
  await trial.arrived(1);
  await trial.time.pass(99);
  assert.equal(call.settled, false);
  await trial.time.pass(1);
  const { error, refusal } = call.value ?? {};
  assert.equal(refusal, "ERR_PREMESH_TIMEOUT");
  assert.ok(error instanceof PolicyError);
  assert.deepEqual([error.policy, error.layer, error.attempts], ["trial", "whole", 1]);
  assert.deepEqual(
    trial.client.explain(error)?.decisions.map(({ what, detail }) => [what, detail?.["waitingFor"]]),
    [["timed-out", "head"]],
  );
});

overTransports("before retry it bounds the whole call, inside it each attempt", async (open) => {
  const trial = await open([timeout("250ms"), retry({ attempts: 9, backoff: { base: "0ms", max: "0ms" } }), timeout("100ms")], ["hang"]);
  const call = watch(trial.call());
  for (let n = 1; n <= 3; n++) {
    await trial.arrived(n);
    await trial.time.pass(n === 3 ? 50 : 100);
  }
  assert.equal(call.value?.refusal, "ERR_PREMESH_TIMEOUT");
  assert.equal(trial.attempts(), 3);
  assert.deepEqual(
    trial.client.explain(call.value.result)?.decisions.map(({ what }) => what),
    ["timed-out", "retrying", "timed-out", "retrying", "timed-out"],
  );
});

overTransports("a caller's abort is the caller's, not a timeout", async (open) => {
  const trial = await open([timeout("1s"), retry(), timeout("100ms")], ["hang"]);
  const caller = new AbortController();
  const call = watch(trial.call({ signal: caller.signal }));
  await trial.arrived(1);
  caller.abort(new Error("mine"));
  while (!call.settled) await turns(1);
  assert.equal(call.value?.error, caller.signal.reason);
  await trial.time.pass(10_000);
  assert.equal(trial.attempts(), 1);
});

test("the attempt that is too late is aborted at the peer", async (t) => {
  const time = stoppedTime(t);
  const upstream = await openUpstream(t, ["hang", {}]);
  const client = clientOf(retry({ backoff: { base: "0ms", max: "0ms" } }), timeout("100ms"));
  const call = client.fetch(upstream.url);
  const { over } = await upstream.arrived(1);
  await time.pass(100);
  assert.equal(await over, false);
  assert.equal((await call).status, 200);
});

test("without a retry outside, a body that stalls is cut, and explain works on what reading it throws", async (t) => {
  const time = stoppedTime(t);
  for (const layers of [[timeout("100ms")], [timeout("100ms"), retry()]]) {
    const upstream = await openUpstream(t, [{ after: "hang" }]);
    const client = clientOf(...layers);
    const response = await client.fetch(upstream.url);
    const body = watch(response.text());
    await time.pass(99);
    assert.equal(body.settled, false);
    await time.pass(1);
    while (!body.settled) await turns(1);
    assert.ok(body.error instanceof Error);
    for (const one of [body.error, response]) {
      assert.deepEqual(
        client.explain(one)?.decisions.map(({ what, detail }) => [what, detail?.["waitingFor"]]),
        [["timed-out", "end"]],
      );
    }
    assert.equal(await (await upstream.arrived(1)).over, false);
  }
});

test("a response that has been read whole is never touched again", async (t) => {
  const time = stoppedTime(t);
  const upstream = await openUpstream(t, [{}]);
  const client = clientOf(timeout("100ms"), retry(), timeout("50ms"));
  const response = await client.fetch(upstream.url);
  assert.equal(await response.text(), "ok");
  await time.pass(1_000);
  assert.deepEqual(client.explain(response)?.decisions, []);
});

test("an unread body survives a timeout inside retry: its time ends with the head", async (t) => {
  const time = stoppedTime(t);
  const upstream = await openUpstream(t, [{ after: "hang" }]);
  const client = clientOf(retry(), timeout("100ms"));
  const response = await client.fetch(upstream.url);
  await time.pass(10_000);
  upstream.finish();
  assert.equal(await response.text(), "part");
});

test("a caller's abort still reaches the body after the head, through every timeout", async (t) => {
  stoppedTime(t);
  const upstream = await openUpstream(t, [{ after: "hang" }]);
  const client = clientOf(timeout("1m"), retry(), timeout("1s"));
  const caller = new AbortController();
  const response = await client.fetch(upstream.url, { signal: caller.signal });
  caller.abort(new Error("mine"));
  await assert.rejects(response.text(), { message: "mine" });
});

test("nested: the shorter one ends the call", async (t) => {
  const time = stoppedTime(t);
  for (const [outer, inner] of [
    ["50ms", "100ms"],
    ["100ms", "50ms"],
  ] as const) {
    const stack = bare([timeout({ after: outer, name: "outer" }), timeout({ after: inner, name: "inner" })]);
    stack.answers(hung);
    const call = watch(stack.call());
    await time.pass(50);
    assert.ok(call.value !== undefined);
    assert.equal(failureOf(call.value).layer, outer === "50ms" ? "outer" : "inner");
    await time.pass(100);
    assert.equal(stack.whats().length, 1);
  }
});

test("the remaining time goes out on the wire, less with each attempt, and never more than the nearest deadline", async (t) => {
  const time = stoppedTime(t);
  const upstream = await openUpstream(t, [
    { status: 503, headers: { "retry-after": "1" } },
    { status: 503, headers: { "retry-after": "1" } },
    {},
  ]);
  const client = clientOf(timeout("5s"), retry({ backoff: { base: "0ms", max: "0ms" } }), timeout("4s"));
  const call = client.fetch(upstream.url);
  for (let n = 1; n < 3; n++) {
    await upstream.arrived(n);
    while (!JSON.stringify(client.status()).includes('"retries":1')) await turns(1);
    await time.pass(1_000);
  }
  await call;
  assert.deepEqual(
    upstream.requests.map(({ headers }) => headers[DEADLINE]),
    ["4000", "4000", "3000"],
  );
});

test("a deadline that the caller has set itself stays; without a timeout none is sent", async (t) => {
  const upstream = await openUpstream(t, [{}]);
  await (await clientOf(timeout("5s")).fetch(upstream.url, { headers: { [DEADLINE]: "7" } })).text();
  await (await clientOf(retry()).fetch(upstream.url)).text();
  assert.deepEqual(
    upstream.requests.map(({ headers }) => headers[DEADLINE]),
    ["7", undefined],
  );
});

test("a response that comes at the moment of the abort is too late, and let go of", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([timeout("10ms")]);
  const given = answer();
  stack.answers(({ signal }) => new Promise((resolve) => signal?.addEventListener("abort", () => resolve(given))));
  const call = watch(stack.call());
  await time.pass(10);
  assert.ok(call.value !== undefined);
  const failure = failureOf(call.value);
  assert.deepEqual([failure.by, failure.sent, given.response?.dropped], ["timeout", true, 1]);
});

test("work that ignores its signal is ended all the same, and its late result or error is dropped", async (t) => {
  const time = stoppedTime(t);
  const client = clientOf(timeout("10ms"));
  for (const settle of [
    (resolve: (value: unknown) => void) => resolve("late"),
    (_: unknown, reject: (error: Error) => void) => reject(new Error("late")),
  ]) {
    let signal: AbortSignal | undefined;
    let finish = (): void => undefined;
    const call = watch(
      client.run("p", (attempt) => {
        ({ signal } = attempt);
        return new Promise((resolve, reject) => (finish = () => settle(resolve, reject)));
      }),
    );
    await time.pass(10);
    assert.ok(call.error instanceof PolicyError && call.error.code === "ERR_PREMESH_TIMEOUT");
    assert.equal(signal?.aborted, true);
    assert.equal(signal.reason, call.error);
    finish();
    await turns();
  }
});

test("says that nothing was sent when the time was spent before the wire", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([timeout("10ms"), { kind: "fault", delay: { for: "1s", percent: 100 } }]);
  stack.answers(ok);
  const call = watch(stack.call());
  await time.pass(10);
  assert.ok(call.value !== undefined);
  assert.equal(failureOf(call.value).sent, false);
  assert.equal(stack.sent.length, 0);
});

test("the clock of an overall timeout stops when the response has ended, that of an attempt with its head", async (t) => {
  const time = stoppedTime(t);
  for (const [layers, expected] of [
    [[timeout("10ms")], ["timed-out"]],
    [[retry(), timeout("10ms")], []],
  ] as const) {
    const stack = bare(layers);
    stack.answers(streaming().answer);
    assert.ok((await stack.call()).ok);
    await time.pass(10);
    assert.deepEqual(stack.whats(), expected);
  }
});
