// hedge: a second copy of a call that is slow, and the first good answer of the two.
import assert from "node:assert/strict";
import test from "node:test";
import {
  breaker,
  bulkhead,
  createClient,
  definePolicy,
  hedge,
  type HedgeOptions,
  idempotency,
  type LayerDefinition,
  rateLimit,
  retry,
  timeout,
} from "../../../src/index.ts";
import { fieldOf } from "../../../src/call/call.ts";
import { errorOutcome } from "../../../src/call/classify.ts";
import { endNow } from "../../../src/call/end.ts";
import {
  answer,
  type Answer,
  bare,
  failing,
  failureOf,
  heldAnswer,
  hung,
  ok,
  refused,
  reset,
  streaming,
  successOf,
} from "../../harness/bare.ts";
import { stoppedTime, type Time, turns, watch } from "../../harness/time.ts";
import { overTransports } from "../../harness/trial.ts";

const atOnce = { base: "0ms", max: "0ms" } as const;

overTransports("a call that is slow is sent once more, and the first good answer is the call's", async (open) => {
  const trial = await open([hedge({ after: "50ms" })], ["hang", {}]);
  const call = watch(trial.call());
  await trial.arrived(1);
  await trial.time.pass(49);
  assert.equal(trial.attempts(), 1);
  await trial.time.pass(1);
  while (!call.settled) await turns(1);
  assert.equal(call.value?.ok, true);
  const explained = trial.client.explain(call.value?.result);
  assert.equal(explained?.attempts, 2);
  assert.deepEqual(
    explained.decisions.map(({ what, attempt, detail }) => [what, attempt, detail?.["next"] ?? detail?.["by"]]),
    [
      ["hedging", 1, 2],
      ["answered", 1, 2],
    ],
  );
  assert.match(
    explained.text,
    /no answer after 50 ms: attempt 2 was sent beside \(1 of 1\)\n.*attempt 2 was the first of 2 to answer, in /,
  );
});

overTransports("a call that is answered in time is sent once", async (open) => {
  const trial = await open([hedge({ after: "50ms" })], [{}]);
  const came = await trial.call();
  await trial.time.pass(1_000);
  assert.deepEqual([came.ok, trial.attempts(), trial.client.explain(came.result)?.decisions], [true, 1, []]);
});

overTransports("an abort ends all copies at once, and no other follows", async (open) => {
  const trial = await open([hedge({ after: "50ms", max: 5 })], ["hang"]);
  const caller = new AbortController();
  const call = watch(trial.call({ signal: caller.signal }));
  await trial.arrived(1);
  await trial.time.pass(50);
  await trial.arrived(2);
  caller.abort(new Error("enough"));
  while (!call.settled) await turns(1);
  assert.equal(call.value?.error, caller.signal.reason);
  await trial.time.pass(10_000);
  assert.equal(trial.attempts(), 2);
});

test("the first copy may still win: the other is cancelled, and what it answers later is let go of", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([hedge({ after: "10ms" })]);
  const [first, second] = [answer(), answer()];
  const [early, late] = [heldAnswer(first), Promise.withResolvers<void>()];
  stack.answers(early.answer, async () => {
    await late.promise; // deaf to its signal
    return second;
  });
  const call = watch(stack.call());
  await time.pass(10);
  early.release();
  await turns();
  assert.equal(call.value, first);
  assert.ok(stack.sent[1]?.signal?.aborted);
  assert.equal(first.response?.dropped, 0);
  late.resolve();
  await turns();
  assert.equal(second.response?.dropped, 1);
  stack.idle();
});

test("`max` is how many copies follow the first, each after the same time", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([hedge({ after: "10ms", max: 3 })]);
  stack.answers(hung);
  const caller = new AbortController();
  const call = watch(stack.call({ signal: caller.signal }));
  for (const expected of [1, 2, 3, 4, 4, 4]) {
    await turns();
    assert.equal(stack.sent.length, expected);
    await time.pass(10);
  }
  assert.deepEqual(
    stack.sent.map(({ attempt, type }) => [attempt, type]),
    [
      [1, "initial"],
      [2, "hedge"],
      [3, "hedge"],
      [4, "hedge"],
    ],
  );
  caller.abort();
  await turns();
  assert.ok(call.settled);
  stack.idle();
});

test("a failure with nothing beside it is the call's at once; it sends no copy", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([hedge({ after: "10ms", max: 3 })]);
  stack.answers(failing(503), ok);
  assert.equal(failureOf(await stack.call()).status, 503);
  await time.pass(100);
  assert.deepEqual([stack.sent.length, stack.whats()], [1, []]);
});

test("a failure beside a copy that is under way is not the call's", async (t) => {
  const time = stoppedTime(t);
  for (const fails of [failing(500), failing(503), failing(429), reset, refused]) {
    const stack = bare([hedge({ after: "10ms" })]);
    const slow = heldAnswer();
    stack.answers(slow.answer, fails);
    const call = watch(stack.call());
    await time.pass(10);
    assert.ok(!call.settled);
    slow.release();
    await turns();
    assert.ok(call.value !== undefined);
    successOf(call.value);
    stack.idle();
  }
});

test("an answer that is no failure of the peer's ends the call: a 404 is as good as a 200", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([hedge({ after: "10ms" })]);
  stack.answers(hung, failing(404));
  const call = watch(stack.call());
  await time.pass(10);
  assert.ok(call.value !== undefined && failureOf(call.value).status === 404);
  assert.ok(stack.sent[0]?.signal?.aborted);
  stack.idle();
});

test("`on` says which outcomes leave the call to the other copies", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([hedge({ after: "10ms", on: [404] })]);
  stack.answers(hung, failing(503));
  const call = watch(stack.call());
  await time.pass(10);
  assert.ok(call.value !== undefined && failureOf(call.value).status === 503);
});

test("when all fail, the last one that was sent is the call's, and every other is let go of", async (t) => {
  const time = stoppedTime(t);
  const cases: readonly (readonly [first: Answer, second: Answer, is: 0 | 1])[] = [
    [failing(503), failing(502), 1],
    [failing(503), refused, 0],
    [refused, failing(503), 1],
    [refused, refused, 1],
  ];
  for (const [first, second, is] of cases) {
    const stack = bare([hedge({ after: "10ms" })]);
    const given = [await first({} as never), await second({} as never)] as const; // the cast: these answers do not look at the call
    const held = heldAnswer(given[0]);
    const other = heldAnswer(given[1]);
    stack.answers(held.answer, other.answer);
    const call = watch(stack.call());
    await time.pass(10);
    held.release();
    await turns();
    assert.ok(!call.settled);
    other.release();
    await turns();
    assert.equal(call.value, given[is]);
    for (const [index, outcome] of given.entries())
      if (outcome.response !== undefined) assert.equal(outcome.response.dropped, index === is ? 0 : 1);
    stack.idle();
  }
});

test("a copy that the transport gave up for another one is no answer", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([hedge({ after: "10ms" })]);
  const slow = heldAnswer();
  const lost: Answer = () => ({ ok: false, code: 1, by: "caller", sent: true, conditions: 0 });
  stack.answers(slow.answer, lost);
  const call = watch(stack.call());
  await time.pass(10);
  assert.ok(!call.settled);
  slow.release();
  await turns();
  assert.ok(call.value?.ok);
});

test("only calls that may be sent twice are: by method, by the policy or by the caller's word", async (t) => {
  const time = stoppedTime(t);
  const cases: readonly (readonly [string, Partial<HedgeOptions>, boolean | undefined, number])[] = [
    ...["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"].map((method) => [method, {}, undefined, 2] as const),
    ...["POST", "PATCH", "payments.v1.Payments/Charge"].map((method) => [method, {}, undefined, 1] as const),
    ["POST", { methods: ["POST"] }, undefined, 2],
    ["GET", { methods: ["POST"] }, undefined, 1],
    ["PATCH", { methods: ["*"] }, undefined, 2],
    ["POST", {}, true, 2],
    ["GET", {}, false, 1],
    ["POST", { methods: ["*"] }, false, 1],
  ];
  for (const [method, options, idempotent, times] of cases) {
    const stack = bare([hedge({ after: "10ms", ...options })]);
    const slow = heldAnswer();
    stack.answers(slow.answer);
    const call = watch(stack.call({ method, idempotent }));
    await time.pass(10);
    assert.equal(stack.sent.length, times, `${method} ${JSON.stringify(options)} ${idempotent}`);
    if (times === 1) assert.deepEqual(stack.whats(), ["not-idempotent"]);
    slow.release();
    await turns();
    assert.ok(call.value?.ok);
    stack.idle();
  }
});

test("an idempotency layer outside lets a POST be hedged; inside, all copies have one key", async (t) => {
  const time = stoppedTime(t);
  for (const [layers, idempotent] of [
    [[idempotency(), hedge({ after: "10ms" })], undefined],
    [[hedge({ after: "10ms" }), idempotency()], true],
  ] as const) {
    const stack = bare(layers);
    stack.answers(hung, ok);
    const call = watch(stack.call({ method: "POST", idempotent }));
    await time.pass(10);
    assert.ok(call.value?.ok);
    const keys = stack.sent.map((one) => fieldOf(one, "idempotency-key"));
    assert.equal(keys.length, 2);
    assert.ok(keys[0] !== undefined && keys[0] === keys[1]);
  }
});

test("a body that cannot be sent again is reported; one that the caller is still giving is waited for", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([hedge({ after: "10ms", buffer: 10 })]);
  stack.answers(hung, ok);
  const caller = new AbortController();
  void stack.call({ signal: caller.signal, payload: { replayable: false } });
  await time.pass(100);
  assert.deepEqual([stack.sent.length, stack.whats(), stack.reports[0]?.detail], [1, ["body-not-replayable"], { buffer: 10 }]);
  caller.abort();

  const payload = { replayable: true, unfinished: true };
  const uploading = bare([hedge({ after: "10ms" })]);
  uploading.answers(hung, ok);
  const call = watch(uploading.call({ payload }));
  for (let n = 0; n < 5; n++) await time.pass(10);
  assert.deepEqual([uploading.sent.length, uploading.whats()], [1, []]);
  payload.unfinished = false;
  await time.pass(10);
  assert.ok(call.value?.ok);
});

test("asks the transport to keep as much of a body as `buffer` says, and nothing of a call that it would not send twice", async () => {
  for (const [options, method, expected] of [
    [{}, "GET", [1_048_576]],
    [{ buffer: 10 }, "PUT", [10]],
    [{}, "POST", []],
  ] as const) {
    const kept: number[] = [];
    await bare([hedge({ after: "1s", ...options })]).call({
      method,
      payload: { replayable: true, keep: (bytes: number) => void kept.push(bytes) },
    });
    assert.deepEqual(kept, expected);
  }
});

/** How many of so many calls at once that all hang are sent a second time. */
async function hedged(time: Time, layers: readonly LayerDefinition[], calls: number): Promise<number> {
  const stack = bare(layers);
  stack.answers(hung);
  const caller = new AbortController();
  const all = Array.from({ length: calls }, () => watch(stack.call({ signal: caller.signal })));
  await time.pass(10);
  const copies = stack.sent.length - calls;
  assert.equal(stack.whats().filter((what) => what === "budget-spent").length, calls - copies);
  caller.abort();
  await turns();
  assert.ok(all.every(({ settled }) => settled));
  stack.idle();
  return copies;
}

test("copies keep to a budget: 20 % of the calls under way, at least 3", async (t) => {
  const time = stoppedTime(t);
  assert.equal(await hedged(time, [hedge({ after: "10ms" })], 5), 3);
  assert.equal(await hedged(time, [hedge({ after: "10ms" })], 50), 10);
  assert.equal(await hedged(time, [hedge({ after: "10ms", budget: { percent: 50, min: 0 } })], 50), 25);
  assert.equal(await hedged(time, [hedge({ after: "10ms", budget: { percent: 0, min: 0 } })], 5), 0);
  assert.equal(await hedged(time, [hedge({ after: "10ms", budget: false })], 50), 50);
});

test("beside a retry its budget is for both, on whichever side of it the hedge stands", async (t) => {
  const time = stoppedTime(t);
  const three = retry({ attempts: 2, budget: { percent: 0, min: 4 }, backoff: { base: "1h", max: "1h" } });
  const one = hedge({ after: "10ms" });
  assert.equal(await hedged(time, [three, one], 10), 4);
  assert.equal(await hedged(time, [one, three], 10), 4);
  assert.equal(await hedged(time, [one, retry({ budget: false })], 10), 10);

  const stack = bare([three, one]);
  stack.answers(failing(503), failing(503), failing(503), hung);
  const caller = new AbortController();
  const calls = Array.from({ length: 6 }, () => watch(stack.call({ signal: caller.signal })));
  await turns();
  assert.deepEqual(stack.status("retry"), { active: 6, retries: 3, remaining: 1 });
  await time.pass(10);
  assert.deepEqual(stack.status("retry"), { active: 6, retries: 4, remaining: 0 });
  assert.deepEqual(stack.status("hedge"), { active: 3, afterMs: 10 });
  caller.abort();
  await turns();
  assert.ok(calls.every(({ settled }) => settled));
  stack.idle();
});

test("the budget of a retry that an update has changed is the one that a kept hedge goes by", async (t) => {
  const time = stoppedTime(t);
  const policy = (min: number) =>
    definePolicy({ name: "p", layers: [retry({ attempts: 1, budget: { percent: 0, min } }), hedge({ after: "10ms" })] });
  const client = createClient({ policies: [policy(0)] });
  let sends = 0;
  const slow = (): Promise<unknown> => client.run("p", () => (++sends % 2 === 1 ? new Promise(() => undefined) : 1), { idempotent: true });
  const before = new AbortController();
  client.run("p", () => new Promise(() => undefined), { idempotent: true, signal: before.signal }).catch(() => undefined);
  await time.pass(10);
  before.abort();
  client.update([policy(1)]);
  const call = watch(slow());
  await time.pass(10);
  assert.equal(call.value, 1);
  assert.equal(sends, 2);
});

test("a budget of its own beside a retry is a contradiction", () => {
  assert.throws(
    () => definePolicy({ name: "p", layers: [hedge({ after: "10ms", budget: { percent: 10 } }), retry()] }),
    (error: { issues?: readonly { code: string; path: string }[] }) => {
      assert.deepEqual(
        error.issues?.map(({ code, path }) => [code, path]),
        [["PM0312", "layers[0].budget"]],
      );
      return true;
    },
  );
});

test("`after` is a duration or a percentile from p50 to p99.9", () => {
  for (const after of ["1ms", "24h", "p50", "p95", "p99", "p99.9", "p50.5"] as const)
    definePolicy({ name: "p", layers: [hedge({ after })] });
  for (const after of ["0ms", "25h", "p49", "p100", "p9", "p99.99", "95", 50, undefined, "q95"])
    assert.throws(
      () => definePolicy({ name: "p", layers: [{ kind: "hedge", after: after as never }] }), // the cast: that is what is tested
      (error: { issues?: readonly { path: string }[] }) => error.issues?.[0]?.path === "layers[0].after",
      String(after),
    );
});

/** So many calls that are answered after so long. */
async function answered(time: Time, stack: ReturnType<typeof bare>, calls: number, ms: number): Promise<void> {
  for (let n = 0; n < calls; n++) {
    const held = heldAnswer();
    stack.answers(held.answer);
    const call = stack.call();
    await time.pass(ms);
    held.release();
    await call;
  }
}

test("by a percentile nothing is hedged until enough calls were seen, and then what is slower than most", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([hedge({ after: "p90" })]);
  await answered(time, stack, 45, 20);
  await answered(time, stack, 4, 200);
  assert.deepEqual(stack.status("hedge"), { active: 0, calls: 49, copies: 0, remaining: 3 });
  assert.deepEqual(stack.whats(), []);
  await answered(time, stack, 1, 20);
  const { afterMs } = stack.status("hedge");
  assert.ok(typeof afterMs === "number" && afterMs >= 20 && afterMs <= 20 * 1.1, String(afterMs));
  stack.answers(hung, ok);
  const call = watch(stack.call());
  await time.pass(19);
  assert.equal(stack.sent.length, 51);
  await time.pass(3);
  assert.ok(call.value?.ok);
  assert.equal(stack.sent.length, 52);
  assert.equal(stack.status("hedge")["calls"], 51, "a call whose first copy was overtaken counts as long as it took in all");
});

test("failures do not count for the percentile: they come fast, and would have everything sent twice in an outage", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([hedge({ after: "p50" })]);
  stack.answers(failing(503));
  for (let n = 0; n < 50; n++) await stack.call();
  assert.equal(stack.status("hedge")["calls"], 0);
  await answered(time, stack, 20, 30);
  assert.equal(stack.status("hedge")["calls"], 20);
});

test("each target has a percentile of its own", async (t) => {
  stoppedTime(t);
  const stack = bare([hedge({ after: "p50" })]);
  for (let n = 0; n < 20; n++) await stack.call({ target: "a" });
  await stack.call({ target: "b" });
  assert.deepEqual([stack.status("hedge", "a")["calls"], stack.status("hedge", "b")["calls"]], [20, 1]);
});

test("a peer that asks to wait, or never to be asked again, is sent no further copy", async (t) => {
  const time = stoppedTime(t);
  for (const retryAfterMs of [1_000, Number.POSITIVE_INFINITY]) {
    const stack = bare([hedge({ after: "10ms", max: 3 })]);
    const slow = heldAnswer();
    stack.answers(slow.answer, failing(503, { retryAfterMs }), ok);
    const call = watch(stack.call());
    await time.pass(10);
    await time.pass(1_000);
    assert.deepEqual([stack.sent.length, stack.whats()], [2, ["hedging", "asked-to-wait"]]);
    slow.release();
    await turns();
    assert.ok(call.value?.ok);
    stack.idle();
  }
});

test("a timeout around it ends all copies, which carry what is left of its time", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([timeout("100ms"), hedge({ after: "40ms", max: 9 })]);
  stack.answers(hung);
  const call = watch(stack.call());
  for (let n = 0; n < 5; n++) await time.pass(20);
  assert.ok(call.value !== undefined && failureOf(call.value).by === "timeout");
  assert.deepEqual(
    stack.sent.map(({ deadline }) => deadline),
    [1_000_100, 1_000_100, 1_000_100],
  );
  await time.pass(1_000);
  assert.equal(stack.sent.length, 3);
  stack.idle();
});

test("a timeout behind it bounds each copy, until its head", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([hedge({ after: "40ms" }), timeout("60ms")]);
  const stream = streaming();
  stack.answers(hung, stream.answer);
  const call = watch(stack.call());
  await time.pass(40);
  await time.pass(1_000);
  assert.ok(call.value?.ok);
  assert.ok(!stream.end.ended);
  const both = bare([hedge({ after: "40ms" }), timeout("60ms")]);
  both.answers(hung);
  const failed = watch(both.call());
  for (const ms of [40, 20]) await time.pass(ms);
  assert.ok(!failed.settled, "the second copy has its own time");
  await time.pass(40);
  assert.ok(failed.value !== undefined && failureOf(failed.value).by === "timeout");
});

test("a copy that a layer behind it refuses leaves the call to the other, and a loser's place is free at once", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([hedge({ after: "10ms" }), bulkhead({ limit: 1 })]);
  const slow = heldAnswer();
  stack.answers(slow.answer, ok);
  const call = watch(stack.call());
  await time.pass(10);
  assert.deepEqual([call.settled, stack.whats()], [false, ["hedging", "refused"]]);
  slow.release();
  await turns();
  assert.ok(call.value?.ok);

  const two = bare([hedge({ after: "10ms" }), bulkhead({ limit: 2 })]);
  const stream = streaming();
  two.answers(hung, stream.answer);
  const other = watch(two.call());
  await time.pass(10);
  assert.ok(other.value?.ok);
  assert.equal(two.status("bulkhead")["active"], 1, "the winner's response has not ended");

  const limited = bare([hedge({ after: "10ms" }), rateLimit({ rate: 1, per: "1h", burst: 1 })]);
  limited.answers(hung);
  const caller = new AbortController();
  const last = watch(limited.call({ signal: caller.signal }));
  await time.pass(10);
  assert.deepEqual([limited.sent.length, last.settled], [1, false]);
  caller.abort();
});

test("a copy that waits in a queue behind it is hedged too, and leaves the queue when it has lost", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([hedge({ after: "10ms" }), bulkhead({ limit: 1, queue: { size: 5, timeout: "1h" } })]);
  const before = new AbortController();
  const stream = streaming();
  stack.answers(hung, stream.answer);
  const holder = watch(stack.call({ signal: before.signal, idempotent: false }));
  await turns();
  const call = watch(stack.call());
  await time.pass(10);
  assert.equal(stack.status("bulkhead")["waiting"], 2);
  before.abort();
  await turns();
  assert.ok(holder.settled && call.value?.ok === true);
  assert.deepEqual([stack.sent.length, stack.status("bulkhead")], [2, { active: 1, limit: 1, waiting: 0 }]);
  endNow(stream.end);
  stack.idle();
});

test("a breaker behind it counts no copy that has lost", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([hedge({ after: "10ms" }), breaker({ trip: { consecutive: 1 } })]);
  for (let n = 0; n < 5; n++) {
    stack.answers(hung, ok);
    const call = watch(stack.call());
    await time.pass(10);
    assert.ok(call.value?.ok);
  }
  assert.equal(stack.status("breaker")["phase"], "closed");
});

test("inside a retry each round is hedged; outside, each copy is retried; every attempt has a number of its own", async (t) => {
  const time = stoppedTime(t);
  const numbers = async (layers: readonly LayerDefinition[], answers: readonly Answer[]): Promise<unknown> => {
    const stack = bare(layers);
    stack.answers(...answers);
    const call = watch(stack.call());
    for (let n = 0; n < 20 && !call.settled; n++) await time.pass(10);
    assert.ok(call.value?.ok);
    stack.idle();
    return stack.sent.map(({ attempt, type }) => `${attempt} ${type}`);
  };
  const late =
    (ms: number, then: Answer): Answer =>
    async (call) => {
      await new Promise<void>((resolve) => void setTimeout(resolve, ms));
      return then(call);
    };
  assert.deepEqual(
    await numbers([retry({ backoff: atOnce }), hedge({ after: "10ms" })], [late(20, failing(503)), late(15, failing(503)), hung, ok]),
    ["1 initial", "2 hedge", "3 retry", "4 hedge"],
  );
  assert.deepEqual(
    await numbers([hedge({ after: "10ms" }), retry({ backoff: atOnce })], [late(20, failing(503)), late(15, failing(503)), hung, ok]),
    ["1 initial", "2 hedge", "3 retry", "4 retry"],
  );
});

test("what breaks the stack in a timer rejects the call, and does not end the process", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([hedge({ after: "10ms" })]);
  const broken = new Error("broken");
  stack.answers(hung, () => {
    throw broken;
  });
  const call = watch(stack.call());
  await time.pass(10);
  assert.equal(call.error, broken);
  assert.ok(stack.sent[0]?.signal?.aborted);
  stack.idle();
});

test("work that is run twice has a signal for each copy, and what the loser throws afterwards touches nobody", async (t) => {
  const time = stoppedTime(t);
  const client = createClient({ policies: [definePolicy({ name: "p", layers: [hedge({ after: "10ms" })] })] });
  const seen: string[] = [];
  const call = watch(
    client.run(
      "p",
      ({ signal, attempt }) =>
        new Promise<string>((resolve, reject) => {
          seen.push(`begun ${attempt}`);
          if (attempt === 2) return resolve("second");
          signal.addEventListener("abort", () => {
            seen.push(`${attempt} ${(signal.reason as Error).name}`);
            reject(signal.reason as Error); // the casts: it is ours, an AbortError
          });
        }),
      { idempotent: true },
    ),
  );
  await time.pass(10);
  assert.equal(call.value, "second");
  assert.deepEqual(seen, ["begun 1", "begun 2", "1 AbortError"]);
});

test("listeners hear which attempt was a hedge, and that the loser was cancelled", async (t) => {
  const time = stoppedTime(t);
  const client = createClient({ policies: [definePolicy({ name: "p", layers: [retry({ backoff: atOnce }), hedge({ after: "10ms" })] })] });
  const events: string[] = [];
  client.on((event) => {
    if (event.type === "attempt") events.push(`${event.attempt} ${event.attemptType} ${event.result}`);
  });
  let sends = 0;
  const call = watch(
    client.run(
      "p",
      () => {
        sends++;
        if (sends === 1) return Promise.reject(Object.assign(new Error("reset"), { code: "ECONNRESET" }));
        return sends === 2 ? new Promise(() => undefined) : Promise.resolve(1);
      },
      { idempotent: true },
    ),
  );
  for (let n = 0; n < 5 && !call.settled; n++) await time.pass(10);
  assert.deepEqual(events, ["1 initial failure", "3 hedge success", "2 retry cancelled"]);
});

test("a mistake of the caller's ends the call, and is not hidden by the other copy", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([hedge({ after: "10ms" })]);
  stack.answers(hung, () => errorOutcome(Object.assign(new Error("bad"), { code: "UND_ERR_INVALID_ARG" }), false));
  const call = watch(stack.call());
  await time.pass(10);
  assert.ok(call.value !== undefined && failureOf(call.value).by === "caller");
});
