// The percentile of recent latency that a hedge waits for.
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { seededRandom } from "../../../src/call/env.ts";
import { enoughCalls, newLatencies } from "../../../src/layers/hedge/latencies.ts";

/** One bucket is 2^(1/8) wide. */
const WIDTH = 2 ** (1 / 8);

test("says nothing until five calls lie beyond the percentile", () => {
  assert.deepEqual([0.5, 0.9, 0.95, 0.99, 0.999].map(enoughCalls), [20, 50, 100, 500, 5_000]);
  const latencies = newLatencies(0.95);
  for (let n = 0; n < 99; n++) latencies.add(10);
  assert.equal(latencies.value(), undefined);
  latencies.add(10);
  assert.ok(latencies.value() !== undefined);
});

test("is at most one bucket above the true percentile, and never below it", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(0.5, 0.9, 0.95),
      fc.array(fc.double({ min: 0.2, max: 60_000, noNaN: true }), { minLength: 100, maxLength: 159 }),
      (quantile, values) => {
        const latencies = newLatencies(quantile);
        for (const value of values) latencies.add(value);
        const exact = values.toSorted((a, b) => a - b)[Math.ceil(quantile * values.length - 1e-6) - 1] ?? 0;
        const got = latencies.value() ?? 0;
        assert.ok(got >= exact * 0.999 && got <= exact * WIDTH * 1.001, `${got} for ${exact}`);
      },
    ),
  );
});

test("follows a peer that becomes slower or faster, in twice as many calls as it rests on at most", () => {
  const latencies = newLatencies(0.95);
  const random = seededRandom(1);
  const calls = (count: number, ms: number): void => {
    for (let n = 0; n < count; n++) latencies.add(ms * (0.9 + 0.2 * random()));
  };
  calls(10_000, 10);
  assert.ok((latencies.value() ?? 0) < 13);
  calls(200, 100);
  assert.ok((latencies.value() ?? 0) > 90, "a fifth of the calls is slow: the 95th percentile is one of theirs");
  calls(10_000, 10);
  assert.ok((latencies.value() ?? 0) < 13);
  assert.ok(latencies.calls() < 800);
});

test("the far end is not lost as counts fade", () => {
  const random = seededRandom(2);
  for (const quantile of [0.95, 0.99]) {
    const latencies = newLatencies(quantile);
    const exact = -Math.log(1 - quantile) * 10;
    let off = 0;
    for (let n = 0; n < 50_000; n++) {
      latencies.add(-Math.log(1 - random()) * 10);
      if (n > 10_000 && n % 100 === 0) off += Math.log((latencies.value() ?? 0) / exact);
    }
    const mean = Math.exp(off / 400);
    assert.ok(mean > 0.97 && mean < 1.1, `${quantile}: ${mean}`);
  }
});

test("takes what is out of its range", () => {
  const latencies = newLatencies(0.5);
  for (const ms of [0, -1, Number.NaN]) for (let n = 0; n < 10; n++) latencies.add(ms);
  assert.equal(latencies.value(), 0.125);
  const long = newLatencies(0.5);
  for (let n = 0; n < 20; n++) long.add(Number.POSITIVE_INFINITY);
  assert.ok((long.value() ?? 0) > 1_000_000);
});
