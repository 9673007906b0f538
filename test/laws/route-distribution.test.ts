// Balancers give every endpoint its share: chi-square over hundreds of endpoints, with fixed seeds.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { seededRandom } from "../../src/call/env.ts";
import type { Balance } from "../../src/layers/route/balance/definition.ts";
import { hash32 } from "../../src/layers/route/balance/hash.ts";
import type { Endpoint } from "../../src/layers/route/endpoint.ts";
import { balancerOf, endpointsOf, picked } from "../layers/route/endpoints.ts";
import { chiSquareZ, twoSampleZ } from "./chi-square.ts";

const ENDPOINTS = 300;
const PICKS = 150_000;

const weightings: Readonly<Record<string, (nth: number) => number>> = {
  "equal weights": () => 1,
  "weights of 1 to 5": (nth) => 1 + (nth % 5),
  "one weight of 100, the rest 1": (nth) => (nth === 7 ? 100 : 1),
  "weights of thirds": (nth) => (1 + (nth % 3)) / 3,
};

const made = (weight: (nth: number) => number): Endpoint[] => endpointsOf(ENDPOINTS, (nth) => ({ weight: weight(nth) }));

function shares(endpoints: readonly Endpoint[], picks: number): number[] {
  const sum = endpoints.reduce((all, { weight }) => all + weight, 0);
  return endpoints.map(({ weight }) => (picks * weight) / sum);
}

describe("the test itself", () => {
  test("finds a die that is loaded by a tenth, and lets fair ones pass", () => {
    const random = seededRandom(5);
    const thrown = (loaded: number): number[] => {
      const counts = Array.from({ length: ENDPOINTS }, () => 0);
      for (let time = 0; time < PICKS; time++) {
        const side = Math.floor(random() * ENDPOINTS);
        const shown = side < ENDPOINTS / 2 && random() < loaded ? side + ENDPOINTS / 2 : side;
        counts[shown] = (counts[shown] ?? 0) + 1;
      }
      return counts;
    };
    const even = Array.from({ length: ENDPOINTS }, () => PICKS / ENDPOINTS);
    for (let time = 0; time < 20; time++) assert.ok(Math.abs(chiSquareZ(thrown(0), even)) < 4);
    assert.ok(chiSquareZ(thrown(0.1), even) > 10);
    assert.ok(Math.abs(twoSampleZ(thrown(0.1), thrown(0.1))) < 4);
    assert.ok(twoSampleZ(thrown(0.1), thrown(0)) > 10);
  });
});

for (const balance of ["random", "least-request", "peak-ewma"] as const satisfies readonly Balance[]) {
  for (const [name, weight] of Object.entries(weightings)) {
    test(`${balance}, ${name}, nothing under way: shares as thrown by dice`, () => {
      for (const seed of [1, 2, 3]) {
        const endpoints = made(weight);
        const balancer = balancerOf(balance, endpoints, { seed });
        // peak-EWMA has latencies to go by, all of them the same
        const z = chiSquareZ(
          picked(endpoints, PICKS, () => balancer.pick({ now: 0 })),
          shares(endpoints, PICKS),
        );
        assert.ok(Math.abs(z) < 4, `seed ${seed}: ${z}`);
      }
    });
  }
}

for (const [name, weight] of Object.entries(weightings)) {
  test(`round-robin, ${name}: shares to the turn`, () => {
    const endpoints = made(weight);
    const balancer = balancerOf("round-robin", endpoints);
    const counts = picked(endpoints, PICKS, () => balancer.pick({ now: 0 }));
    for (const [nth, share] of shares(endpoints, PICKS).entries()) assert.ok(Math.abs((counts[nth] ?? 0) - share) <= 2, `${nth}`);
  });

  test(`maglev, ${name}: keys as thrown by dice, since its table is even to the place`, () => {
    const endpoints = made(weight);
    const balancer = balancerOf({ maglev: { header: "x" } }, endpoints);
    const z = chiSquareZ(
      picked(endpoints, PICKS, (nth) => balancer.pick({ now: 0, hash: hash32(`key-${nth}`) })),
      shares(endpoints, PICKS),
    );
    assert.ok(Math.abs(z) < 5, `${z}`);
  });

  test(`ring-hash, ${name}: what the points of the ring give, the same for any keys, and nearer to the weights with more points`, () => {
    const endpoints = made(weight);
    const off = (minimumRingSize: number): number => {
      const balancer = balancerOf({ ringHash: { header: "x", minimumRingSize, maximumRingSize: 2 ** 20 } }, endpoints);
      const counted = (keys: string): number[] =>
        picked(endpoints, PICKS, (nth) => balancer.pick({ now: 0, hash: hash32(`${keys}-${nth}`) }));
      const [one, other] = [counted("one"), counted("other")];
      assert.ok(Math.abs(twoSampleZ(one, other)) < 4, `${twoSampleZ(one, other)}`);
      const expected = shares(endpoints, PICKS);
      return Math.max(...one.map((count, nth) => Math.abs(count / (expected[nth] ?? 0) - 1)));
    };
    const [coarse, fine] = [off(1), off(300_000)];
    assert.ok(fine < 0.35 && fine < coarse, `${coarse} ${fine}`);
  });
}
