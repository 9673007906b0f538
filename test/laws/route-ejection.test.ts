// Ejection, panic and slow start over hundreds of endpoints, in virtual time.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { seededRandom } from "../../src/call/env.ts";
import { type Endpoint, newEndpoint } from "../../src/layers/route/endpoint.ts";
import { endpointsOf, urlOf } from "../layers/route/endpoints.ts";
import { aroundMs, type Seen, simulate } from "./route-simulation.ts";

const ok = (random: () => number) => ({ tookMs: aroundMs(10, random), status: 200 });
const failed = (random: () => number) => ({ tookMs: aroundMs(2, random), status: 503 });

describe("whatever fails, never more are out than the percentage allows", () => {
  for (const [percent, seed] of [
    [10, 1],
    [10, 2],
    [33, 3],
    [50, 4],
    [100, 5],
    [0, 6],
  ] as const) {
    test(`${percent} % of 300 endpoints, any of which may fail for a while`, () => {
      const endpoints = endpointsOf(300);
      const weather = seededRandom(seed + 100);
      /** Which endpoints fail, and how much, in each span of 5 s. */
      const spans = Array.from({ length: 13 }, () => {
        const sick = weather() < 0.3 ? 1 : weather();
        return endpoints.map(() => (weather() < sick ? weather() : 0));
      });
      let most = 0;
      let sum = 0;
      let looks = 0;
      const { told, calls } = simulate({
        endpoints,
        pool: {
          outliers: {
            maxEjectionPercent: percent,
            interval: "1s",
            baseEjectionTime: "3s",
            maxEjectionTime: "20s",
            successRateRequestVolume: 10,
          },
        },
        seed,
        rate: 4_000,
        forMs: 60_000,
        serve: (endpoint, now, random) =>
          random() < (spans[Math.floor(now / 5_000)]?.[endpoints.indexOf(endpoint)] ?? 0) ? failed(random) : ok(random),
        watch: () => {
          if (looks++ % 20 !== 0) return;
          const out = endpoints.filter(({ ejected }) => ejected).length;
          most = Math.max(most, out);
          sum += out;
        },
      });
      const allowed = Math.max(1, Math.floor((300 * percent) / 100));
      assert.ok(calls.length > 200_000);
      for (const { what, out, detail } of told) {
        if (what !== "panicked" && what !== "calmed") assert.equal(detail["ejected"], out, `${what}: what is told is so`);
        assert.ok(out <= allowed, JSON.stringify(detail));
        if (what === "not-ejected") assert.equal(out, allowed, "nobody is kept in while there is room");
      }
      assert.ok(most <= allowed, `${most} of ${allowed}`);
      assert.ok(most >= Math.min(allowed, 60), `it came to ${most}, so that the bound was tried`);
      assert.ok(sum > 0 && endpoints.every(({ active }) => active === 0));
    });
  }
});

const goodShare = (calls: readonly Seen[], from: number, to: number): number => {
  const between = calls.filter(({ since }) => since >= from && since < to);
  return between.filter(({ status }) => status === 200).length / between.length;
};

test("a third of the endpoints die: calls leave them, and come back when they are well", () => {
  const endpoints = endpointsOf(300);
  const sick = new Set(endpoints.filter((_, nth) => nth % 3 === 0));
  const { calls, told } = simulate({
    endpoints,
    pool: { outliers: { maxEjectionPercent: 50, interval: "1s", baseEjectionTime: "5s" } },
    rate: 6_000,
    forMs: 60_000,
    serve: (endpoint, now, random) => (sick.has(endpoint) && now >= 5_000 && now < 20_000 ? failed(random) : ok(random)),
  });
  assert.equal(goodShare(calls, 0, 5_000), 1);
  assert.ok(goodShare(calls, 6_000, 10_000) > 0.99, "after five failures each they are out");
  assert.equal(goodShare(calls, 20_000, 60_000), 1);
  const late = calls.filter(({ since, endpoint }) => since >= 50_000 && sick.has(endpoint)).length;
  assert.ok(Math.abs(late / calls.filter(({ since }) => since >= 50_000).length - 1 / 3) < 0.02, "their share is theirs again");
  assert.equal(told.filter(({ what }) => what === "ejected").length, told.filter(({ what }) => what === "returned").length);
});

test("all but a fifth die: panic spreads calls over all, so that the few are not run over, and ends when enough are well", () => {
  const endpoints = endpointsOf(100);
  const well = new Set(endpoints.slice(0, 20));
  let most = 0;
  const { calls, told, lost } = simulate({
    endpoints,
    pool: { outliers: { maxEjectionPercent: 100, interval: "1s", baseEjectionTime: "2s", maxEjectionTime: "4s" } },
    rate: 4_000,
    forMs: 60_000,
    serve: (endpoint, now, random) => (!well.has(endpoint) && now >= 5_000 && now < 25_000 ? failed(random) : ok(random)),
    watch: (now) => {
      if (now > 8_000 && now < 20_000) for (const endpoint of well) most = Math.max(most, endpoint.active);
    },
  });
  assert.equal(lost, 0);
  assert.ok(most < 15, `${most}: a fifth of the calls each would be 200 a second`);
  const words = told.filter(({ what }) => what === "panicked" || what === "calmed");
  assert.equal(words[0]?.what, "panicked");
  assert.equal(words.at(-1)?.what, "calmed");
  assert.ok((words.at(-1)?.now ?? 0) < 31_000, "within the longest ejection and a sweep or two");
  const inPanic = calls.filter(({ since }) => since >= 8_000 && since < 9_000);
  assert.ok(inPanic.filter(({ endpoint }) => !well.has(endpoint)).length > 0.3 * inPanic.length);
  assert.equal(goodShare(calls, 40_000, 60_000), 1);
});

describe("slow start", () => {
  for (const balance of ["round-robin", "least-request", "random", "peak-ewma"] as const) {
    test(`${balance}: five new endpoints beside fifty old ones come in slowly, from a tenth to all of their share`, () => {
      const old = endpointsOf(50);
      let fresh: Endpoint[] = [];
      const { calls } = simulate({
        endpoints: old,
        pool: { balance, slowStart: { window: "60s" } },
        rate: 5_500,
        forMs: 180_000,
        serve: (_endpoint, _now, random) => ok(random),
        at: [
          [
            70_000,
            (pool) => {
              fresh = Array.from({ length: 5 }, (_, nth) => newEndpoint({ url: urlOf(100 + nth) }, 70_000));
              pool.update([...old, ...fresh], 70_000);
            },
          ],
        ],
      });
      /** The part of a fair share that the new ones have between two times. */
      const part = (from: number, to: number): number => {
        const between = calls.filter(({ since }) => since >= from && since < to);
        return (11 * between.filter(({ endpoint }) => fresh.includes(endpoint)).length) / between.length;
      };
      const parts = [70_000, 76_000, 85_000, 100_000, 115_000, 130_000, 180_000]
        .slice(0, -1)
        .map((from, index, all) => part(from, all[index + 1] ?? 180_000));
      const [first = 0, second = 0, third = 0, fourth = 0, fifth = 0, after = 0] = parts;
      assert.ok(first < 0.25, parts.join(" "));
      assert.ok(first < second && second < third && third < fourth && fourth < fifth, parts.join(" "));
      assert.ok(Math.abs(third - 0.4) < 0.15, parts.join(" "));
      assert.ok(Math.abs(after - 1) < 0.12, parts.join(" "));
    });
  }
});
