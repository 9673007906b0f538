// What balancers do about a slow endpoint, among hundreds, in virtual time.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Balance } from "../../src/layers/route/balance/definition.ts";
import type { Endpoint } from "../../src/layers/route/endpoint.ts";
import { endpointsOf } from "../layers/route/endpoints.ts";
import { aroundMs, latency, type Result, type Seen, simulate } from "./route-simulation.ts";

const ENDPOINTS = 200;

/** Servers of one worker that take 10 ms a call, at 60 % of what they can do; the first takes ten times as long. */
function withOneSlow(balance: Balance): Result & { readonly deepest: number; readonly slow: Endpoint } {
  const endpoints = endpointsOf(ENDPOINTS);
  const [slow = assert.fail()] = endpoints;
  let deepest = 0;
  const result = simulate({
    endpoints,
    pool: { balance },
    rate: ENDPOINTS * 60,
    forMs: 10_000,
    workers: 1,
    serve: (endpoint, _now, random) => ({ tookMs: aroundMs(endpoint === slow ? 100 : 10, random), status: 200 }),
    watch: () => {
      deepest = Math.max(deepest, slow.active);
    },
  });
  return { ...result, deepest, slow };
}

const share = (calls: readonly Seen[], endpoint: Endpoint): number =>
  calls.filter((call) => call.endpoint === endpoint).length / (calls.length / ENDPOINTS);

describe("one slow endpoint of 200 (ten times as slow, more than it can bear)", () => {
  const random = withOneSlow("random");
  const rotation = withOneSlow("round-robin");
  const leastRequest = withOneSlow("least-request");
  const peakEwma = withOneSlow("peak-ewma");

  test("random and round-robin send it its share, and calls pile up there", () => {
    for (const { calls, slow, deepest } of [random, rotation]) {
      assert.ok(share(calls, slow) > 0.9, `${share(calls, slow)}`);
      assert.ok(deepest > 300, `${deepest}`);
    }
  });

  test("two choices by attempts under way send it what it can bear, and none pile up", () => {
    const { calls, slow, deepest } = leastRequest;
    assert.ok(share(calls, slow) < 0.25, `${share(calls, slow)}`);
    assert.ok(deepest <= 8, `${deepest}`);
  });

  test("two choices by latency send it next to nothing", () => {
    const { calls, slow, deepest } = peakEwma;
    assert.ok(share(calls, slow) < 0.1, `${share(calls, slow)}`);
    assert.ok(deepest <= 8, `${deepest}`);
  });

  test("so the slowest calls are faster by far than with random", () => {
    for (const { calls } of [leastRequest, peakEwma]) {
      assert.equal(calls.length, random.calls.length);
      assert.ok(latency(calls, 0.99) * 1.5 < latency(random.calls, 0.99), `${latency(calls, 0.99)} ${latency(random.calls, 0.99)}`);
      assert.ok(latency(calls, 0.999) * 10 < latency(random.calls, 0.999), `${latency(calls, 0.999)} ${latency(random.calls, 0.999)}`);
    }
  });
});

test("at 90 % of what equal servers can do, two choices keep the queues short that random lets grow", () => {
  const [random, leastRequest] = (["random", "least-request"] as const).map((balance) => {
    const endpoints = endpointsOf(ENDPOINTS);
    let deepest = 0;
    const { calls } = simulate({
      endpoints,
      pool: { balance },
      rate: ENDPOINTS * 90,
      forMs: 6_000,
      workers: 1,
      serve: (_endpoint, _now, dice) => ({ tookMs: aroundMs(10, dice), status: 200 }),
      watch: (now) => {
        if (now > 2_000) for (let nth = 0; nth < ENDPOINTS; nth += 20) deepest = Math.max(deepest, endpoints[nth]?.active ?? 0);
      },
    });
    return { p99: latency(calls, 0.99), deepest };
  });
  assert.ok(random !== undefined && leastRequest !== undefined);
  assert.ok(leastRequest.p99 * 2.5 < random.p99, `${leastRequest.p99} ${random.p99}`);
  assert.ok(leastRequest.deepest * 2 < random.deepest, `${leastRequest.deepest} ${random.deepest}`);
});

test("weights hold under load: least-request gives an endpoint of twice the weight twice the calls, and no more latency", () => {
  const endpoints = endpointsOf(100, (nth) => ({ weight: nth % 2 === 0 ? 2 : 1 }));
  const { calls } = simulate({
    endpoints,
    pool: { balance: "least-request" },
    rate: 12_000,
    forMs: 10_000,
    serve: (_endpoint, _now, dice) => ({ tookMs: aroundMs(50, dice), status: 200 }),
  });
  const heavy = calls.filter(({ endpoint }) => endpoint.weight === 2).length / calls.length;
  assert.ok(Math.abs(heavy - 2 / 3) < 0.01, `${heavy}`);
});

describe("peak-EWMA and an endpoint that becomes slow, and well again", () => {
  const SLOW_AT = 20_000;
  const WELL_AT = 50_000;
  const endpoints = endpointsOf(50);
  const [changing = assert.fail()] = endpoints;
  const { calls } = simulate({
    endpoints,
    pool: { balance: "peak-ewma" },
    rate: 2_500,
    forMs: 150_000,
    serve: (endpoint, now, dice) => ({
      tookMs: endpoint === changing && now >= SLOW_AT && now < WELL_AT ? 1_000 : 8 + aroundMs(2, dice),
      status: 200,
    }),
  });
  /** Its part of a fair share of the calls that were sent between two times. */
  const part = (from: number, to: number): number => {
    const between = calls.filter(({ since }) => since >= from && since < to);
    return (50 * between.filter(({ endpoint }) => endpoint === changing).length) / between.length;
  };

  test("it has its share before", () => assert.ok(Math.abs(part(5_000, SLOW_AT) - 1) < 0.35, `${part(5_000, SLOW_AT)}`));

  test("it is left within a tenth of the decay of 10 s, with the first slow answer, and stays so", () => {
    const first = part(SLOW_AT + 1_000, SLOW_AT + 10_000);
    assert.ok(first < 0.02, `${first}`);
    assert.ok(part(SLOW_AT + 10_000, WELL_AT) < 0.05, `${part(SLOW_AT + 10_000, WELL_AT)}`);
  });

  test("and it is back a minute or so after it is well: the peak of 1 s must fade to 10 ms, which takes ln(100) = 4.6 decays", () => {
    assert.ok(part(WELL_AT, WELL_AT + 20_000) < 0.2);
    assert.ok(part(WELL_AT + 60_000, 150_000) > 0.6, `${part(WELL_AT + 60_000, 150_000)}`);
  });
});
