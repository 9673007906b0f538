// Hedging at the 95th percentile cuts the tail, at the price of about one copy in twenty; simulated.
import assert from "node:assert/strict";
import test from "node:test";
import { hedge, type LayerDefinition, retry } from "../../src/index.ts";
import { answer } from "../harness/bare.ts";
import { percentile, simulated, taking } from "../harness/simulated.ts";

/** A peer that takes 10 ms, give or take, and now and then ten to forty times as long: a pause, a lost packet, a cold cache. */
async function tail(layers: readonly LayerDefinition[]): Promise<{ p50: number; p99: number; p999: number; sendsPerCall: number }> {
  const { traffic, stack, results } = simulated(layers, (time, random) => ({ signal }) => {
    const slow = random() < 0.02 ? 100 + 300 * random() : 0;
    return taking(time, 5 - 5 * Math.log(1 - random()) + slow, signal, answer);
  });
  await traffic(500, 20_000);
  const took = results.map(({ tookMs }) => tookMs);
  assert.ok(took.length > 9_000 && results.every(({ outcome }) => outcome.ok));
  return {
    p50: percentile(took, 0.5),
    p99: percentile(took, 0.99),
    p999: percentile(took, 0.999),
    sendsPerCall: stack.sent.length / took.length,
  };
}

test("p99 falls to a quarter or less, p50 stays, and at most 8 % more is sent", async () => {
  const bare = await tail([]);
  for (const layers of [[hedge({ after: "p95", budget: { percent: 100, min: 20 } })], [retry(), hedge({ after: "p95" })]]) {
    const hedged = await tail(layers);
    assert.ok(hedged.p99 < bare.p99 / 4, `p99 ${hedged.p99} of ${bare.p99}`);
    assert.ok(hedged.p999 < bare.p999 / 2, `p99.9 ${hedged.p999} of ${bare.p999}`);
    assert.ok(Math.abs(hedged.p50 - bare.p50) < bare.p50 / 10, `p50 ${hedged.p50} of ${bare.p50}`);
    assert.ok(hedged.sendsPerCall > 1.02 && hedged.sendsPerCall < 1.08, `${hedged.sendsPerCall} sends for a call`);
  }
});

test("when the peer is slow for everybody, the budget keeps the copies to its share", async () => {
  const { traffic, stack, results } = simulated(
    [hedge({ after: "20ms", max: 3 })],
    (time) =>
      ({ signal }) =>
        taking(time, 200, signal, answer),
  );
  await traffic(500, 10_000);
  assert.ok(results.every(({ outcome }) => outcome.ok));
  const sends = stack.sent.length / results.length;
  // 100 calls are under way, and 20 copies may be: each takes what is left of 200 ms, so there are fewer than one in four
  assert.ok(sends > 1.1 && sends < 1.26, `${sends} sends for a call`);
});
