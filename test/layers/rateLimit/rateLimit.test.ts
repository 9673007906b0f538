// rateLimit: how many calls may start in a span of time.
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { createClient, definePolicy, PolicyError, rateLimit } from "../../../src/index.ts";
import { Code } from "../../../src/call/codes.ts";
import type { Call } from "../../../src/call/call.ts";
import { bare, failureOf, hung } from "../../harness/bare.ts";
import { stoppedTime, turns, watch } from "../../harness/time.ts";
import { overTransports } from "../../harness/trial.ts";

const tenant = (name: string | undefined): Partial<Call> => ({ metadata: { get: (field) => (field === "x-tenant" ? name : undefined) } });

overTransports("lets a burst through, then refuses with the time to come back", async (open) => {
  const trial = await open([rateLimit({ rate: 10, per: "1s", burst: 2 })], [{}]);
  assert.deepEqual([(await trial.call()).ok, (await trial.call()).ok], [true, true]);
  const { error, refusal } = await trial.call();
  assert.equal(refusal, "ERR_PREMESH_RATE_LIMITED");
  assert.ok(error instanceof PolicyError);
  assert.deepEqual([error.layer, error.retryAfterMs, error.attempts, trial.attempts()], ["rateLimit", 100, 0, 2]);
  await trial.time.pass(99);
  assert.equal((await trial.call()).refusal, "ERR_PREMESH_RATE_LIMITED");
  await trial.time.pass(1);
  assert.equal((await trial.call()).ok, true);
});

overTransports("a queued call goes out when its turn has come", async (open) => {
  const trial = await open([rateLimit({ rate: 1, per: "1s", burst: 1, queue: { size: 2, timeout: "5s" } })], [{}]);
  assert.equal((await trial.call()).ok, true);
  const second = watch(trial.call());
  await trial.time.pass(999);
  assert.deepEqual([second.settled, trial.attempts()], [false, 1]);
  await trial.time.pass(1);
  await trial.arrived(2);
  while (!second.settled) await turns(1);
  assert.equal(second.value?.ok, true);
});

test("refuses with resource-exhausted, as what was never sent", async (t) => {
  stoppedTime(t);
  const stack = bare([rateLimit({ rate: 1, per: "1s" })]);
  await stack.call();
  const refused = failureOf(await stack.call());
  assert.deepEqual([refused.code, refused.by, refused.sent, refused.retryAfterMs], [Code.RESOURCE_EXHAUSTED, "rateLimit", false, 1_000]);
});

test("the burst is `rate` where it is not given, rounded up and at least 1", async (t) => {
  stoppedTime(t);
  for (const [rate, burst] of [
    [5, 5],
    [2.5, 3],
    [0.2, 1],
  ] as const) {
    const stack = bare([rateLimit({ rate, per: "1s" })]);
    let passed = 0;
    while ((await stack.call()).ok) passed++;
    assert.equal(passed, burst);
  }
});

test("never more than the burst and the rate allow, never less; and what it says about waiting is right", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 500 }),
      fc.integer({ min: 1, max: 20 }),
      fc.double({ min: 0, max: 1e9, noNaN: true }),
      fc.array(fc.double({ min: 0, max: 200, noNaN: true }), { maxLength: 60 }),
      async (rate, burst, start, gaps) => {
        let now = start;
        const stack = bare([rateLimit({ rate, per: "1s", burst })], { now: () => now });
        const at: number[] = [];
        for (const gap of [...Array.from({ length: burst }, () => 0), ...gaps]) {
          now += gap;
          const outcome = await stack.call();
          if (outcome.ok) at.push(now);
          else if (gap > 0) {
            const wait = failureOf(outcome).retryAfterMs ?? 0;
            assert.ok(wait >= 1 && wait <= Math.ceil(1_000 / rate) + 1);
            now += wait;
            assert.ok((await stack.call()).ok, "passes after the time it was told");
            at.push(now);
          }
        }
        assert.ok(at.length >= burst, `the whole burst passes at once: ${at.length} of ${burst}`);
        for (let i = 0; i < at.length; i++) {
          for (let j = i; j < at.length; j++) {
            const [from = 0, to = 0] = [at[i], at[j]];
            assert.ok(j - i + 1 <= burst + ((to - from) * rate) / 1_000 + 1e-6);
          }
        }
      },
    ),
    { numRuns: 150 },
  );
});

test("the queue is first come, first served, and nobody overtakes it", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([rateLimit({ rate: 10, per: "1s", burst: 1, queue: { size: 5, timeout: "1s" } })]);
  const order: number[] = [];
  const queue = async (n: number): Promise<void> => {
    await stack.call();
    order.push(n);
  };
  const all = [0, 1, 2].map(queue);
  await time.pass(100);
  all.push(queue(3));
  for (let n = 0; n < 3; n++) await time.pass(100);
  await Promise.all(all);
  assert.deepEqual(order, [0, 1, 2, 3]);
});

test("a full queue refuses at once, with the time behind all who wait", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([rateLimit({ rate: 10, per: "1s", burst: 1, queue: { size: 2, timeout: "10s" } })]);
  const all = [1, 2, 3].map(() => stack.call());
  await turns();
  assert.equal(stack.status("rateLimit")["waiting"], 2);
  assert.equal(failureOf(await stack.call()).retryAfterMs, 300);
  for (let n = 0; n < 2; n++) await time.pass(100);
  assert.ok((await Promise.all(all)).every(({ ok }) => ok));
});

test("a call that cannot have its turn in time is refused at once, not when its time is over", async (t) => {
  stoppedTime(t);
  const stack = bare([rateLimit({ rate: 1, per: "1s", burst: 1, queue: { size: 9, timeout: "1500ms" } })]);
  await stack.call();
  void stack.call();
  assert.equal(failureOf(await stack.call()).retryAfterMs, 2_000);
});

test("an aborted waiter leaves at once, and those behind it move up", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([rateLimit({ rate: 1, per: "1s", burst: 1, queue: { size: 2, timeout: "10s" } })]);
  const caller = new AbortController();
  await stack.call();
  const [second, third] = [watch(stack.call({ signal: caller.signal })), watch(stack.call())];
  await turns();
  caller.abort();
  await turns();
  assert.ok(second.value !== undefined && failureOf(second.value).by === "caller");
  const fourth = watch(stack.call());
  await turns();
  assert.equal(fourth.settled, false, "its place is used");
  await time.pass(1_000);
  assert.equal(third.value?.ok, true);
  await time.pass(1_000);
  assert.equal(fourth.value?.ok, true);
  assert.equal(stack.sent.length, 3);
});

test("counts apart by the value of a header; calls without it share one count", async (t) => {
  stoppedTime(t);
  const stack = bare([rateLimit({ rate: 1, per: "1s", key: { header: "X-Tenant" } })]);
  const passes = async (name: string | undefined): Promise<boolean> => (await stack.call(tenant(name))).ok;
  assert.deepEqual(await Promise.all(["a", "b", "a", "b", undefined, undefined].map(passes)), [true, true, false, false, true, false]);
});

test("at most 10,000 values are kept; further ones share one count, until others have been idle", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([rateLimit({ rate: 1, per: "1s", key: { header: "x-tenant" } })]);
  for (let n = 0; n < 10_000; n++) await stack.call(tenant(`t${n}`));
  assert.equal(stack.status("rateLimit")["keys"], 10_000);
  assert.equal((await stack.call(tenant("new"))).ok, true);
  assert.equal((await stack.call(tenant("newer"))).ok, false, "they share one");
  assert.equal((await stack.call(tenant("t7"))).ok, false, "those that are known keep theirs");
  await time.pass(1_000);
  assert.equal((await stack.call(tenant("newest"))).ok, true);
  assert.equal((await stack.call(tenant("newest of all"))).ok, true, "each has its own again");
  assert.ok(Number(stack.status("rateLimit")["keys"]) <= 10_000);
});

test("values whose calls were aborted before they could wait are forgotten too", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([rateLimit({ rate: 1, per: "1s", key: { header: "x-tenant" }, queue: { size: 1, timeout: "1m" } })]);
  for (let n = 0; n < 10_000; n++) {
    await stack.call(tenant(`t${n}`));
    await stack.call({ ...tenant(`t${n}`), signal: AbortSignal.abort() });
  }
  await time.pass(1_000);
  await stack.call(tenant("new"));
  assert.ok(Number(stack.status("rateLimit")["keys"]) < 10_000);
});

test("a limit that is full again after a reset lets those who wait go", async (t) => {
  stoppedTime(t);
  const client = createClient({
    policies: [definePolicy({ name: "p", layers: [rateLimit({ rate: 1, per: "1h", burst: 1, queue: { size: 1, timeout: "2h" } })] })],
  });
  await client.run("p", () => 1);
  const second = watch(client.run("p", () => 2));
  await turns();
  client.reset("p");
  await turns();
  assert.equal(second.value, 2);
});

test("a call in flight holds nothing: it is a limit of starts", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([rateLimit({ rate: 1, per: "1s" })]);
  stack.answers(hung);
  const caller = new AbortController();
  void stack.call({ signal: caller.signal });
  await time.pass(1_000);
  void stack.call({ signal: caller.signal });
  await turns();
  assert.equal(stack.sent.length, 2);
  caller.abort();
});

test("says that a call waits, and in shadow that it would have waited", async (t) => {
  const time = stoppedTime(t);
  const limit = { rate: 1, per: "1s", burst: 1, queue: { size: 1, timeout: "5s" } } as const;
  const waiting = bare([rateLimit(limit)]);
  await waiting.call();
  const second = watch(waiting.call());
  await turns();
  assert.deepEqual([second.settled, waiting.whats()], [false, ["queued"]]);
  assert.deepEqual(waiting.reports[0]?.detail, { waiting: 0, waitMs: 1_000 });
  await time.pass(1_000);
  assert.equal(second.settled, true);
  const shadow = bare([rateLimit({ ...limit, shadow: true })]);
  await shadow.call();
  assert.deepEqual([(await shadow.call()).ok, shadow.whats()], [true, ["would-be-queued"]]);
});
