// Whatever happens to the endpoints of a pool: who is picked is one of them, in service, and not tried, where there is such a one.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { seededRandom } from "../../../src/call/env.ts";
import { type Endpoint, newEndpoint } from "../../../src/layers/route/endpoint.ts";
import { newPool } from "../../../src/layers/route/pool.ts";
import { balancerOf, balances, endpointsOf, nameOf, picked, urlOf } from "./endpoints.ts";
import { answered, cancelled, refused, reset } from "./outcomes.ts";

const place = fc.nat(11);

const step = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("pick" as const), hash: fc.option(fc.nat(), { nil: undefined }), again: fc.boolean() }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("settle" as const),
      how: fc.constantFrom(answered(200), answered(503), refused, reset, cancelled),
    }),
  },
  fc.record({
    do: fc.constant("add" as const),
    place,
    weight: fc.constantFrom(0, 1, 1, 5, 0.1),
    priority: fc.nat(2),
    locality: fc.constantFrom(undefined, "eu/a", "us"),
  }),
  fc.record({ do: fc.constant("remove" as const), place }),
  fc.record({ do: fc.constant("weigh" as const), place, weight: fc.constantFrom(0, 1, 3, 0.5) }),
  fc.record({ do: fc.constant("check" as const), place, healthy: fc.boolean() }),
  fc.record({ do: fc.constant("shut" as const), place, forMs: fc.nat(20_000) }),
  fc.record({ do: fc.constant("wait" as const), ms: fc.nat(15_000) }),
);

const inService = ({ weight, healthy, ejected, shutUntil }: Endpoint, now: number): boolean =>
  weight > 0 && healthy && !ejected && now >= shutUntil;

for (const balance of balances) {
  test(`${nameOf(balance)}: who is picked is a member, of weight, in service unless in a panic, and new to the call where another is`, () => {
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 20, maxLength: 80 }),
        fc.constantFrom(0, 50, 100),
        fc.constantFrom({ maxEjectionPercent: 100 }, { maxEjectionPercent: 30 }, undefined),
        fc.nat(),
        (steps, panicThreshold, outliers, seed) => {
          let now = 0;
          const there = new Map<number, Endpoint>();
          const underWay: { readonly endpoint: Endpoint; readonly since: number }[] = [];
          const tried = new Set<Endpoint>();
          const pool = newPool(
            { balance, panicThreshold, locality: "eu/a", outliers },
            { random: seededRandom(seed), report: () => undefined },
            now,
          );
          const all = (): Endpoint[] => [...there.values()];
          const change = (nth: number, fields: Partial<Endpoint>): void => {
            const endpoint = there.get(nth);
            if (endpoint !== undefined) pool.changed(Object.assign(endpoint, fields));
          };
          for (const one of steps) {
            if (one.do === "wait") now += one.ms;
            if (one.do === "weigh") change(one.place, { weight: one.weight });
            if (one.do === "check") change(one.place, { healthy: one.healthy });
            if (one.do === "shut") change(one.place, { shutUntil: now + one.forMs });
            if (one.do === "add") there.set(one.place, newEndpoint({ ...one, url: urlOf(one.place) }, now));
            if (one.do === "remove") there.delete(one.place);
            if (one.do === "add" || one.do === "remove") pool.update(all(), now);
            if (one.do === "settle") {
              const attempt = underWay.shift();
              if (attempt === undefined) continue;
              attempt.endpoint.active--;
              assert.ok(attempt.endpoint.active >= 0);
              pool.settled(attempt.endpoint, one.how, now - attempt.since, now);
            }
            if (one.do !== "pick") continue;
            if (!one.again) tried.clear();
            const endpoint = pool.pick({ now, hash: one.hash, tried });
            const members = all();
            const able = members.filter((member) => inService(member, now));
            const { levels } = pool.status(now) as { levels: readonly { panic: boolean }[] }; // the cast: what a pool shows
            const panic = levels.some((level) => level.panic);
            if (endpoint === undefined) {
              assert.deepEqual(able, [], "somebody could have taken it");
              assert.ok(panicThreshold === 0 || members.every(({ weight }) => weight === 0), "a panic lets calls go to anybody");
              continue;
            }
            assert.ok(members.includes(endpoint) && endpoint.weight > 0);
            if (!panic) assert.ok(inService(endpoint, now));
            if (tried.has(endpoint))
              assert.ok(
                able.every((member) => tried.has(member)),
                "another one was there",
              );
            tried.add(endpoint);
            endpoint.active++;
            underWay.push({ endpoint, since: now });
          }
          for (const { endpoint } of underWay) endpoint.active--;
          for (const endpoint of there.values()) assert.equal(endpoint.active, 0);
        },
      ),
      { numRuns: 150 },
    );
  });
}

test("round-robin is fair: over any stretch of turns each endpoint has its share, give or take one turn", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 20 }),
      fc.nat(),
      fc.nat(300),
      fc.nat(1_000),
      (weights, seed, skip, turns) => {
        const endpoints = endpointsOf(weights.length, (nth) => ({ weight: weights[nth] ?? 1 }));
        const balancer = balancerOf("round-robin", endpoints, { seed });
        for (let turn = 0; turn < skip; turn++) balancer.pick({ now: 0 });
        const counts = picked(endpoints, turns, () => balancer.pick({ now: 0 }));
        const sum = weights.reduce((all, weight) => all + weight, 0);
        for (const [nth, count] of counts.entries()) {
          const share = (turns * (weights[nth] ?? 0)) / sum;
          assert.ok(Math.abs(count - share) <= 2, `${count} of ${share}`);
        }
      },
    ),
    { numRuns: 300 },
  );
});
