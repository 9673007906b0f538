// rateLimit with `cost`: calls that count for several.
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { rateLimit } from "../../../src/index.ts";
import type { Call } from "../../../src/call/call.ts";
import { bare, failureOf } from "../../harness/bare.ts";
import { stoppedTime, turns, watch } from "../../harness/time.ts";

const costing = (cost: string | number | undefined): Partial<Call> => ({
  metadata: { get: (name) => (name === "x-cost" && cost !== undefined ? `${cost}` : undefined) },
});
const cost = { header: "X-Cost" };

test("a call counts for the number in its header, and the refusal says when all of it is there", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([rateLimit({ rate: 10, per: "1s", burst: 10, cost })]);
  assert.equal((await stack.call(costing(7))).ok, true);
  const refused = failureOf(await stack.call(costing(5)));
  assert.deepEqual([refused.retryAfterMs, refused.limit?.remaining], [200, 3]);
  assert.equal((await stack.call(costing(3))).ok, true);
  await time.pass(500);
  assert.equal((await stack.call(costing(5))).ok, true);
});

test("what is no whole number from 1 on counts for 1", async (t) => {
  stoppedTime(t);
  for (const bad of [undefined, "", "0", "-3", "1.5", "1e3", "0x10", " 2", "2, 3", "ten", "NaN", "1".repeat(10)]) {
    const stack = bare([rateLimit({ rate: 2, per: "1s", burst: 2, cost })]);
    const came = [await stack.call(costing(bad)), await stack.call(costing(bad)), await stack.call(costing(bad))];
    assert.deepEqual(
      came.map(({ ok }) => ok),
      [true, true, false],
      String(bad),
    );
  }
});

test("what counts for more than ever passes at once is refused without a time to come back, queue or not", async (t) => {
  stoppedTime(t);
  for (const queue of [undefined, { size: 10 }]) {
    const stack = bare([rateLimit({ rate: 10, per: "1s", burst: 10, cost, ...(queue === undefined ? {} : { queue }) })]);
    const refused = failureOf(await stack.call(costing(11)));
    assert.deepEqual([refused.retryAfterMs, refused.limit?.resetMs], [undefined, undefined]);
    assert.equal((await stack.call(costing(10))).ok, true);
  }
});

test("a heavy call waits for all that it counts for, and nobody overtakes it", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([rateLimit({ rate: 10, per: "1s", burst: 10, cost, queue: { size: 5, timeout: "5s" } })]);
  await stack.call(costing(10));
  const order: string[] = [];
  const all = [8, 1].map(async (n) => {
    await stack.call(costing(n));
    order.push(`${n} at ${time.now() - 1_000_000}`);
  });
  await turns();
  for (let n = 0; n < 10; n++) await time.pass(100);
  await Promise.all(all);
  assert.deepEqual(order, ["8 at 800", "1 at 900"]);
});

test("an aborted heavy call gives its place to the lighter ones behind it", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([rateLimit({ rate: 10, per: "1s", burst: 10, cost, queue: { size: 5, timeout: "5s" } })]);
  await stack.call(costing(10));
  const controller = new AbortController();
  const heavy = watch(stack.call({ ...costing(9), signal: controller.signal }));
  const light = watch(stack.call(costing(1)));
  await turns();
  controller.abort();
  await time.pass(100);
  assert.deepEqual([heavy.settled, light.settled], [true, true]);
  stack.idle();
});

test("over any span what has passed counts for no more than the burst and the rate", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 100 }),
      fc.integer({ min: 1, max: 30 }),
      fc.array(fc.tuple(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 1, max: 40 })), { maxLength: 60 }),
      async (rate, burst, calls) => {
        let now = 0;
        const stack = bare([rateLimit({ rate, per: "1s", burst, cost })], { now: () => now });
        let through = 0;
        for (const [gap, weight] of calls) {
          now += gap;
          if ((await stack.call(costing(weight))).ok) through += weight;
          assert.ok(through <= burst + (now * rate) / 1_000 + 1e-6);
        }
      },
    ),
    { numRuns: 200 },
  );
});
