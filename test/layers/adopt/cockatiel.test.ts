// adopt over live cockatiel policies: they do what they did, and their traps are closed.
import assert from "node:assert/strict";
import test from "node:test";
import {
  bulkhead,
  circuitBreaker,
  type CircuitBreakerPolicy,
  ConsecutiveBreaker,
  ConstantBackoff,
  fallback,
  handleAll,
  handleWhen,
  handleWhenResult,
  retry,
  timeout,
  TimeoutStrategy,
  wrap,
} from "cockatiel";
import { adopt, breaker, bulkhead as ourBulkhead, createClient, definePolicy, fault, PolicyError } from "../../../src/index.ts";
import { endNow } from "../../../src/call/end.ts";
import { answer, bare, failureOf, heldAnswer, hung, ok, reset, streaming, successOf } from "../../harness/bare.ts";
import { stoppedTime, turns, watch } from "../../harness/time.ts";
import { openUpstream } from "../../harness/upstream.ts";

const broken = (halfOpenAfter = 1_000, failures = 1): CircuitBreakerPolicy =>
  circuitBreaker(handleAll, { halfOpenAfter, breaker: new ConsecutiveBreaker(failures) });

const statusAbove =
  (least: number) =>
  (result: unknown): boolean =>
    (result as { status: number }).status >= least; // the cast: what the policy is made for

test("a failing response is a result: handleWhenResult sees the Response itself, and the retry sends again", async (t) => {
  const upstream = await openUpstream(t, [{ status: 503 }, { status: 503 }, { body: "here" }]);
  const seen: unknown[] = [];
  const policy = retry(
    handleWhenResult((result) => {
      seen.push(result);
      return statusAbove(500)(result);
    }),
    { maxAttempts: 3, backoff: new ConstantBackoff(0) },
  );
  const client = createClient({ policies: [definePolicy({ name: "p", match: [{ host: "*" }], layers: [adopt(policy)] })] });
  const response = await client.fetch(upstream.url, { method: "POST", body: "again" });
  assert.equal(await response.text(), "here");
  assert.ok(seen.every((one) => one instanceof Response) && seen.at(-1) === response);
  assert.deepEqual(
    upstream.requests.map(({ body }) => body),
    ["again", "again", "again"],
  );
  const { attempts, decisions } = client.explain(response) ?? {};
  assert.equal(attempts, 3);
  assert.deepEqual(
    decisions?.map(({ what, detail }) => [what, detail?.["next"]]),
    [
      ["repeated", 2],
      ["repeated", 3],
    ],
  );
});

test("a streamed body is replayed, and one too big is not: the call ends with the earlier answer", async (t) => {
  const upstream = await openUpstream(t, [{ status: 503, body: "first" }, { status: 503 }]);
  const policy = retry(handleWhenResult(statusAbove(500)), { maxAttempts: 2, backoff: new ConstantBackoff(0) });
  const client = createClient({ policies: [definePolicy({ name: "p", match: [{ host: "*" }], layers: [adopt(policy)] })] });
  const send = (bytes: number): Promise<Response> => {
    const body = new Blob(["x".repeat(bytes)]).stream();
    return client.fetch(upstream.url, { method: "POST", body, duplex: "half" });
  };
  const big = await send(2 * 1_048_576);
  assert.deepEqual([big.status, await big.text(), upstream.requests.length], [503, "first", 1]);
  assert.deepEqual(
    client.explain(big)?.decisions.map(({ what }) => what),
    ["body-not-replayable"],
  );
  await (await send(1_000)).text();
  assert.deepEqual(
    upstream.requests.map(({ body }) => body.length),
    [2 * 1_048_576, 1_000, 1_000, 1_000],
  );
});

test("a retry without end stops when the body cannot be sent again", async (t) => {
  const time = stoppedTime(t);
  let tries = 0;
  const policy = retry(handleAll, { backoff: new ConstantBackoff(1) });
  policy.onRetry(() => tries++);
  const stack = bare([adopt(policy)]);
  stack.answers(reset);
  const call = watch(
    stack.call({
      payload: {
        get replayable() {
          return stack.sent.length === 0;
        },
      },
    }),
  );
  for (let n = 0; n < 20; n++) await time.pass(1);
  assert.equal(call.value?.ok, false);
  assert.equal(stack.sent.length, 1);
  assert.equal(tries, 1);
});

test("responses that are dropped on the way are let go, and the last one is not", async () => {
  const stack = bare([
    adopt(
      retry(
        handleWhenResult(() => true),
        { maxAttempts: 2, backoff: new ConstantBackoff(0) },
      ),
    ),
  ]);
  const given = [answer(503), answer(503), answer(503)];
  stack.answers(...given.map((one) => () => one));
  assert.equal(await stack.call(), given[2]);
  assert.deepEqual(
    given.map((one) => one.response?.dropped),
    [1, 1, 0],
  );
});

test("a failure without response is thrown as its cause, and comes back as it was", async () => {
  const seen: unknown[] = [];
  const stack = bare([
    adopt(
      handleAllBut((error) => {
        seen.push(error);
        return false;
      }),
    ),
  ]);
  stack.answers(reset);
  const outcome = failureOf(await stack.call());
  assert.deepEqual(seen, [outcome.cause]);
  assert.deepEqual([outcome.by, outcome.sent], ["peer", true]);
});

const handleAllBut = (handled: (error: unknown) => boolean) => retry(handleWhen(handled), { maxAttempts: 1 });

test("what a layer further in refuses reaches the filters as the PolicyError that a caller would get", async () => {
  const codes: unknown[] = [];
  const policy = handleAllBut((error) => {
    codes.push((error as PolicyError).code); // the cast: any error can be asked
    return false;
  });
  const stack = bare([adopt(policy), ourBulkhead({ limit: 1 })]);
  stack.answers(hung, ok);
  const caller = new AbortController();
  void stack.call({ signal: caller.signal });
  await turns();
  assert.equal(failureOf(await stack.call()).by, "bulkhead");
  assert.deepEqual(codes, ["ERR_PREMESH_BULKHEAD_FULL"]);
  caller.abort();
});

test("what a fault layer further in answers is a result too", async () => {
  const stack = bare([
    adopt(retry(handleWhenResult(statusAbove(500)), { maxAttempts: 1, backoff: new ConstantBackoff(0) })),
    fault({ abort: { status: 503, percent: 100 } }),
  ]);
  assert.equal(failureOf(await stack.call()).by, "fault");
  assert.deepEqual(stack.whats(), ["aborted", "repeated", "aborted"]);
});

test("an open breaker refuses in the words of our own, so layers and callers see no difference", async () => {
  const instance = broken();
  const stack = bare([adopt(instance, { name: "mail" })]);
  stack.answers(reset);
  await stack.call();
  for (const isolated of [false, true]) {
    const handle = isolated ? instance.isolate() : undefined;
    const { by, sent, layer, cause } = failureOf(await stack.call());
    assert.deepEqual({ by, sent, layer }, { by: "adopt", sent: false, layer: "mail" });
    assert.ok(cause instanceof PolicyError);
    assert.deepEqual([cause.code, cause.layer, cause.attempts], ["ERR_PREMESH_BREAKER_OPEN", "mail", 0]);
    assert.equal((cause.cause as Error).constructor.name, isolated ? "IsolatedCircuitError" : "BrokenCircuitError"); // the cast: an error of cockatiel
    handle?.dispose();
  }
  assert.equal(stack.sent.length, 1);
  assert.deepEqual(stack.whats(), ["refused", "refused"]);
});

test("an outer breaker of ours takes such a refusal for one, not for a failure of the peer", async () => {
  const stack = bare([breaker({ trip: { consecutive: 2 } }), adopt(broken(60_000))]);
  stack.answers(reset);
  for (let n = 0; n < 5; n++) await stack.call();
  assert.equal(stack.sent.length, 1);
  assert.equal(stack.status("breaker")["phase"], "closed");
});

test("a full bulkhead refuses as ours does", async () => {
  const stack = bare([adopt(bulkhead(1, 0))]);
  const held = heldAnswer();
  stack.answers(held.answer, ok);
  const first = stack.call();
  await turns();
  const { cause } = failureOf(await stack.call());
  assert.equal((cause as PolicyError).code, "ERR_PREMESH_BULKHEAD_FULL"); // the cast: what a refusal carries
  held.release();
  successOf(await first);
});

test("a refusal after a send says that the call may have been seen", async () => {
  const stack = bare([adopt(wrap(retry(handleAll, { maxAttempts: 2, backoff: new ConstantBackoff(0) }), broken()))]);
  stack.answers(reset);
  const outcome = failureOf(await stack.call());
  assert.deepEqual([outcome.by, outcome.sent, stack.sent.length], ["adopt", true, 1]);
});

for (const strategy of [TimeoutStrategy.Aggressive, TimeoutStrategy.Cooperative]) {
  test(`its timeout (${strategy}) ends the attempt, and is a timeout to everybody`, async (t) => {
    const time = stoppedTime(t);
    const stack = bare([adopt(timeout(100, strategy), { name: "limit" })]);
    stack.answers(hung);
    const call = watch(stack.call());
    await time.pass(99);
    assert.equal(call.settled, false);
    await time.pass(1);
    assert.ok(call.value !== undefined && !call.value.ok);
    const { cause, sent, layer } = call.value;
    assert.ok(cause instanceof PolicyError);
    assert.deepEqual([cause.code, sent, layer], ["ERR_PREMESH_TIMEOUT", true, "limit"]);
    assert.equal(stack.sent[0]?.signal?.aborted, true);
  });
}

test("each attempt that its timeout gave up is aborted, and a late answer is let go", async (t) => {
  const time = stoppedTime(t);
  const policy = wrap(retry(handleAll, { maxAttempts: 1, backoff: new ConstantBackoff(0) }), timeout(100, TimeoutStrategy.Aggressive));
  const stack = bare([adopt(policy)]);
  const late = answer(200);
  stack.answers(({ signal }) => new Promise((resolve) => signal?.addEventListener("abort", () => setImmediate(resolve, late))), ok);
  const call = watch(stack.call());
  await time.pass(100);
  await time.pass(0);
  assert.equal(call.value?.ok, true);
  assert.deepEqual([stack.sent[0]?.signal?.aborted, stack.sent[1]?.signal?.aborted], [true, false]);
  await turns();
  assert.equal(late.response?.dropped, 1);
});

test("an unread body outlives its timeout, although that aborts its signal on return", async (t) => {
  const time = stoppedTime(t);
  const upstream = await openUpstream(t, [{ after: "hang" }]);
  const policy = timeout(1_000, TimeoutStrategy.Aggressive);
  const client = createClient({ policies: [definePolicy({ name: "p", match: [{ host: "*" }], layers: [adopt(policy)] })] });
  const response = await client.fetch(upstream.url);
  await time.pass(5_000);
  upstream.finish();
  assert.equal(await response.text(), "part");
});

test("an abort in its backoff ends the call at once, and nothing more is sent", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([adopt(retry(handleAll, { maxAttempts: 5, backoff: new ConstantBackoff(60_000) }))]);
  stack.answers(reset);
  const caller = new AbortController();
  const call = watch(stack.call({ signal: caller.signal }));
  await turns();
  caller.abort(new Error("the caller's own"));
  await turns(1);
  assert.ok(call.value !== undefined && !call.value.ok && call.value.by === "caller" && call.value.cause === caller.signal.reason);
  for (let n = 0; n < 10; n++) await time.pass(60_000);
  assert.equal(stack.sent.length, 1);
});

test("an abort in its bulkhead's queue ends the call at once, and its turn does nothing", async () => {
  const stack = bare([adopt(bulkhead(1, 1))]);
  const held = heldAnswer();
  stack.answers(held.answer, ok);
  const first = stack.call();
  const caller = new AbortController();
  const waiter = watch(stack.call({ signal: caller.signal }));
  await turns();
  caller.abort();
  await turns(1);
  assert.ok(waiter.value !== undefined && !waiter.value.ok && waiter.value.by === "caller");
  held.release();
  await first;
  await turns();
  assert.equal(stack.sent.length, 1);
  assert.equal((await stack.call()).ok, true);
});

test("an abort ends a call that waits for the probe of its half-open breaker", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([adopt(broken())]);
  stack.answers(reset, hung);
  await stack.call();
  await time.pass(1_000);
  const [probing, waiting] = [new AbortController(), new AbortController()];
  void stack.call({ signal: probing.signal });
  await turns();
  const waiter = watch(stack.call({ signal: waiting.signal }));
  await turns();
  assert.equal(waiter.settled, false);
  waiting.abort();
  await turns(1);
  assert.equal(waiter.value?.ok, false);
  assert.equal(stack.sent.length, 2);
  probing.abort();
});

test("its fallback takes the place of a failure, which is let go", async () => {
  const replacement = { dropped: 0 };
  const stack = bare([
    adopt(
      fallback(
        handleWhenResult(() => true),
        replacement,
      ),
    ),
  ]);
  const given = answer(503);
  stack.answers(() => given);
  assert.equal(successOf(await stack.call()).response, replacement);
  assert.equal(given.response?.dropped, 1);
  assert.deepEqual(stack.whats(), ["replaced"]);
});

test("over fetch and run, the caller gets what its fallback gave", async (t) => {
  const upstream = await openUpstream(t, [{ status: 500 }]);
  const policy = fallback(
    handleWhenResult((result) => result === "bad" || statusAbove(500)(result)),
    () => new Response("from the shelf"),
  );
  const client = createClient({ policies: [definePolicy({ name: "p", match: [{ host: "*" }], layers: [adopt(policy)] })] });
  assert.equal(await (await client.fetch(upstream.url)).text(), "from the shelf");
  assert.ok((await client.run<unknown>("p", () => "bad")) instanceof Response);
});

test("a filter that throws fails the call with its error, and the response is let go", async () => {
  const mistake = new Error("no such field");
  const policy = retry(
    handleWhenResult(() => {
      throw mistake;
    }),
    { maxAttempts: 0 },
  );
  const stack = bare([adopt(policy)]);
  const given = answer(200);
  stack.answers(() => given);
  assert.equal(failureOf(await stack.call()).cause, mistake);
  assert.equal(given.response?.dropped, 1);
});

test("run: values of any kind pass through, undefined too", async () => {
  const client = createClient({ policies: [definePolicy({ name: "p", layers: [adopt(retry(handleAll, { maxAttempts: 1 }))] })] });
  for (const value of [undefined, null, 0, "", false, { a: 1 }]) assert.equal(await client.run<unknown>("p", () => value), value);
});

test("it shares its state with whoever else uses it", async () => {
  const instance = broken();
  await assert.rejects(instance.execute(() => Promise.reject(new Error("elsewhere"))));
  const stack = bare([adopt(instance)]);
  assert.equal(failureOf(await stack.call()).by, "adopt");
  assert.equal(failureOf(await stack.call({ target: "another" })).by, "adopt", "it is one for all targets");
});

test("a policy of the user's own that sends twice at once keeps one answer and lets the other go", async () => {
  const hedge = {
    onSuccess: () => undefined,
    onFailure: () => undefined,
    execute: async <T>(work: (context: { readonly signal: AbortSignal }) => PromiseLike<T> | T): Promise<T> => {
      const context = { signal: new AbortController().signal };
      const [, second] = await Promise.all([work(context), work(context)]);
      return second;
    },
  };
  const stack = bare([adopt(hedge)]);
  const given = [answer(200), answer(200)];
  stack.answers(...given.map((one) => () => one));
  assert.equal(await stack.call(), given[1]);
  assert.deepEqual(
    given.map((one) => one.response?.dropped),
    [1, 0],
  );
});

test("a response that goes on after its head is neither cut nor held", async () => {
  const stack = bare([adopt(wrap(retry(handleAll, { maxAttempts: 1 }), bulkhead(1, 0)))]);
  const stream = streaming();
  stack.answers(stream.answer, ok);
  successOf(await stack.call());
  assert.equal(stack.sent[0]?.signal?.aborted, false);
  successOf(await stack.call());
  endNow(stream.end);
});
