// Outlier detection: what counts, when an endpoint is taken out, how long, and how it comes back; with the source of each rule.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as z from "zod";
import { Code } from "../../../src/call/codes.ts";
import type { Outcome } from "../../../src/call/outcome.ts";
import { seededRandom } from "../../../src/call/env.ts";
import type { Endpoint } from "../../../src/layers/route/endpoint.ts";
import { type OutliersOptions, outliersDefaults, outliersSchema } from "../../../src/layers/route/outliers/definition.ts";
import { newOutliers } from "../../../src/layers/route/outliers/detector.ts";
import { successThreshold } from "../../../src/layers/route/outliers/rates.ts";
import { verdictOf } from "../../../src/layers/route/outliers/verdict.ts";
import { endpointsOf } from "./endpoints.ts";
import { answered, cancelled, faulted, fellBack, gaveUp, grpc, refused, refusedByLayer, reset, timedOut } from "./outcomes.ts";

interface Told {
  readonly what: string;
  readonly endpoint: unknown;
  readonly detail: Readonly<Record<string, unknown>>;
}

/** Outliers over so many endpoints, from second 0 on. */
function watched(count: number, options: OutliersOptions = {}) {
  const endpoints = endpointsOf(count);
  const told: Told[] = [];
  const changes: Endpoint[] = [];
  const outliers = newOutliers(
    options,
    {
      random: seededRandom(1),
      changed: (endpoint) => changes.push(endpoint),
      report: (_call, what, detail) => told.push({ what, endpoint: detail["endpoint"], detail }),
    },
    0,
  );
  outliers.update(endpoints);
  const out = (): number[] => endpoints.flatMap(({ ejected }, nth) => (ejected ? [nth] : []));
  /** So many attempts at an endpoint come out so, at a second. */
  const send = (nth: number, outcome: Outcome<unknown>, times: number, second = 0): void => {
    for (let time = 0; time < times; time++) outliers.settled(endpoints[nth] ?? assert.fail(), outcome, second * 1_000, undefined);
  };
  return { endpoints, outliers, told, changes, out, send, sweep: (second: number) => outliers.sweep(second * 1_000) };
}

const half: OutliersOptions = { maxEjectionPercent: 50 };

describe("what an outcome says about its endpoint (seen of Envoy 1.40)", () => {
  for (const [name, outcome, verdict] of [
    ["200", answered(200), "success"],
    ["404", answered(404), "success"],
    ["429", answered(429), "success"],
    ["500", answered(500), "server-failure"],
    ["501", answered(501), "server-failure"],
    ["599", answered(599), "server-failure"],
    ["502", answered(502), "gateway-failure"],
    ["503", answered(503), "gateway-failure"],
    ["504", answered(504), "gateway-failure"],
    ["a refused connection", refused, "local-failure"],
    ["a reset", reset, "local-failure"],
    ["a timeout", timedOut, "local-failure"],
    ["an abort by the caller", cancelled, "nothing"],
    ["a wait that the caller gave up", gaveUp, "nothing"],
    ["a refusal by a layer behind route", refusedByLayer, "nothing"],
    ["an injected fault", faulted, "nothing"],
    ["a fallback behind route", fellBack, "nothing"],
    ["gRPC ok", grpc(Code.OK), "success"],
    ["gRPC unknown (2)", grpc(Code.UNKNOWN), "server-failure"],
    ["gRPC deadline-exceeded (4)", grpc(Code.DEADLINE_EXCEEDED), "gateway-failure"],
    ["gRPC not-found (5)", grpc(Code.NOT_FOUND), "success"],
    ["gRPC resource-exhausted (8)", grpc(Code.RESOURCE_EXHAUSTED), "success"],
    ["gRPC unimplemented (12)", grpc(Code.UNIMPLEMENTED), "server-failure"],
    ["gRPC internal (13)", grpc(Code.INTERNAL), "server-failure"],
    ["gRPC unavailable (14)", grpc(Code.UNAVAILABLE), "gateway-failure"],
    ["gRPC data-loss (15)", grpc(Code.DATA_LOSS), "server-failure"],
  ] as const) {
    test(`${name}: ${verdict}`, () => assert.equal(verdictOf(outcome), verdict));
  }
});

describe("failures in a row", () => {
  test("five of any 5xx take the endpoint out, and whoever hears of it is told", () => {
    const { endpoints, changes, told, out, send } = watched(2);
    send(0, answered(500), 4);
    assert.deepEqual(out(), []);
    send(0, answered(500), 1);
    assert.deepEqual(out(), [0]);
    assert.deepEqual(changes, [endpoints[0]]);
    assert.deepEqual(told, [
      {
        what: "ejected",
        endpoint: "http://10.0.0.0:8080",
        detail: { endpoint: "http://10.0.0.0:8080", finding: "consecutive-5xx", consecutive: 5, forMs: 30_000, ejected: 1, of: 2 },
      },
    ]);
  });

  test("anything else between them begins the count anew, a 404 too", () => {
    const { out, send } = watched(2);
    for (let round = 0; round < 5; round++) {
      send(0, answered(500), 4);
      send(0, answered(404), 1);
    }
    assert.deepEqual(out(), []);
  });

  test("what says nothing neither counts nor begins the count anew", () => {
    const { out, send } = watched(2);
    send(0, answered(500), 4);
    for (const outcome of [cancelled, refusedByLayer, faulted]) send(0, outcome, 10);
    assert.deepEqual(out(), []);
    send(0, answered(500), 1);
    assert.deepEqual(out(), [0]);
  });

  test("a 500 begins the count of gateway failures anew, but not that of 5xx", () => {
    const { told, out, send } = watched(2, { consecutive5xx: 0, consecutiveGatewayFailure: 3 });
    for (let round = 0; round < 5; round++) {
      send(0, answered(503), 2);
      send(0, answered(500), 1);
    }
    assert.deepEqual(out(), []);
    for (const outcome of [reset, timedOut, refused]) send(0, outcome, 1);
    assert.deepEqual(out(), [0]);
    assert.equal(told[0]?.detail["finding"], "consecutive-gateway-failure");
  });

  test("0 never takes out", () => {
    const { out, send } = watched(2, { consecutive5xx: 0, consecutiveGatewayFailure: 0 });
    send(0, reset, 100);
    assert.deepEqual(out(), []);
  });

  test("failures of attempts that were under way do not lengthen it", () => {
    const { told, send, out, sweep } = watched(2);
    send(0, answered(500), 30);
    assert.equal(told.length, 1);
    sweep(30);
    assert.deepEqual(out(), []);
  });
});

describe("split mode (Envoy's documentation, upstream/outlier: consecutive local origin failure)", () => {
  const split: OutliersOptions = { splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailure: 3 };

  test("what happens on the way has a count of its own", () => {
    const { told, out, send } = watched(2, split);
    send(0, answered(500), 4);
    send(0, refused, 2);
    assert.deepEqual(out(), []);
    send(0, timedOut, 1);
    assert.deepEqual(out(), [0]);
    assert.equal(told[0]?.detail["finding"], "consecutive-local-origin-failure");
  });

  test("it does not touch the count of answers; an answer of any sort begins it anew", () => {
    const { told, out, send } = watched(2, split);
    for (let round = 0; round < 2; round++) {
      send(0, reset, 2);
      send(0, answered(500), 2);
    }
    assert.deepEqual(out(), []);
    send(0, reset, 2);
    send(0, answered(500), 1);
    assert.equal(told[0]?.detail["finding"], "consecutive-5xx");
  });

  test("rates are counted apart", () => {
    const { told, send, sweep } = watched(6, { ...split, ...half, consecutiveLocalOriginFailure: 0 });
    for (let nth = 0; nth < 6; nth++) {
      send(nth, answered(200), 100);
      if (nth === 2) send(nth, reset, 200);
    }
    sweep(10);
    assert.deepEqual(
      told.map(({ what, detail }) => [what, detail["finding"]]),
      [["ejected", "local-origin-success-rate"]],
    );
  });
});

describe("how many may be out (seen of Envoy 1.40: (ejected + 1) / n <= percent)", () => {
  for (const [count, options, most] of [
    [10, {}, 1],
    [20, {}, 2],
    [19, {}, 1],
    [3, { maxEjectionPercent: 50 }, 1],
    [3, { maxEjectionPercent: 33, alwaysEjectOneHost: false }, 0],
    [9, { alwaysEjectOneHost: false }, 0],
    [9, {}, 1],
    [4, { maxEjectionPercent: 0 }, 1],
    [4, { maxEjectionPercent: 100 }, 4],
  ] as const) {
    test(`${count} endpoints, ${JSON.stringify(options)}: ${most}`, () => {
      const { told, out, send } = watched(count, options);
      for (let nth = 0; nth < count; nth++) send(nth, answered(500), 5);
      assert.equal(out().length, most);
      assert.equal(told.filter(({ what }) => what === "not-ejected").length, count - most);
    });
  }

  test("one that leaves makes room", () => {
    const { endpoints, outliers, out, send } = watched(10);
    send(0, answered(500), 5);
    outliers.update(endpoints.slice(1));
    send(1, answered(500), 5);
    assert.deepEqual(out(), [1]);
  });
});

describe("how long (Envoy: the k-th time min(k * base, max), to the next sweep)", () => {
  const quick: OutliersOptions = { interval: "1s", baseEjectionTime: "3s", maxEjectionTime: "7s" };

  test("it comes back with the first sweep after its time", () => {
    const { told, out, send, sweep } = watched(2, { interval: "10s", baseEjectionTime: "25s" });
    send(0, answered(500), 5, 3);
    sweep(20);
    assert.deepEqual(out(), [0]);
    sweep(29.9);
    assert.deepEqual(out(), [0]);
    sweep(30);
    assert.deepEqual(out(), []);
    assert.deepEqual(told[1]?.detail, { endpoint: "http://10.0.0.0:8080", afterMs: 27_000, ejected: 0, of: 2 });
  });

  test("each further time in a row lasts longer, up to the most", () => {
    const { told, send, sweep } = watched(2, quick);
    for (const second of [0, 3, 9, 16]) {
      sweep(second);
      send(0, answered(500), 5, second);
    }
    assert.deepEqual(
      told.filter(({ what }) => what === "ejected").map(({ detail }) => detail["forMs"]),
      [3_000, 6_000, 7_000, 7_000],
    );
  });

  test("after its return it takes a full count to take it out again", () => {
    const { out, send, sweep } = watched(2, quick);
    send(0, answered(500), 5);
    send(0, answered(500), 4, 1);
    sweep(3);
    assert.deepEqual(out(), []);
    send(0, answered(500), 4, 3);
    assert.deepEqual(out(), []);
    send(0, answered(500), 1, 3);
    assert.deepEqual(out(), [0]);
  });

  test("each sweep in good health takes one back, but not the one that returns it", () => {
    const { outliers, endpoints, told, send, sweep } = watched(2, quick);
    const [endpoint] = endpoints;
    assert.ok(endpoint !== undefined);
    send(0, answered(500), 5);
    sweep(3);
    send(0, answered(500), 5, 3);
    sweep(9);
    assert.deepEqual(outliers.status(endpoint, 9_000), { ejections: 2 });
    sweep(10);
    assert.deepEqual(outliers.status(endpoint, 10_000), { ejections: 1 });
    send(0, answered(500), 5, 10.5);
    assert.equal(told.at(-1)?.detail["forMs"], 6_000);
    assert.deepEqual(outliers.status(endpoint, 11_000), { ejectedForMs: 5_500, ejections: 2 });
  });

  test("sweeps that nobody asked for are made up for, with the same result", () => {
    for (const last of [2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 30]) {
      const [often, once] = [watched(3, { ...quick, ...half }), watched(3, { ...quick, ...half })];
      for (const one of [often, once]) {
        one.send(0, answered(500), 5);
        one.sweep(3);
        one.send(0, answered(500), 5, 3);
        one.send(1, reset, 5, 3.5);
      }
      for (let second = 4; second <= last; second++) often.sweep(second);
      once.sweep(last);
      assert.deepEqual(once.out(), often.out(), `second ${last}`);
      const states = [often, once].map(({ outliers, endpoints }) => endpoints.map((endpoint) => outliers.status(endpoint, last * 1_000)));
      assert.deepEqual(states[1], states[0], `second ${last}`);
      assert.equal(once.outliers.nextSweepAt, often.outliers.nextSweepAt);
    }
  });

  test("jitter makes it longer, by its most at most", () => {
    const times = new Set<unknown>();
    const { told, send } = watched(100, { maxEjectionPercent: 100, maxEjectionTimeJitter: "10s" });
    for (let nth = 0; nth < 100; nth++) send(nth, answered(500), 5);
    for (const { detail } of told) {
      times.add(detail["forMs"]);
      assert.ok(Number(detail["forMs"]) >= 30_000 && Number(detail["forMs"]) <= 40_000);
    }
    assert.ok(times.size > 90);
  });

  test("an active health check that passes returns it at once; or not, where that is off", () => {
    for (const successfulActiveHealthCheckUnejectHost of [true, false]) {
      const { endpoints, outliers, out, send } = watched(2, { successfulActiveHealthCheckUnejectHost });
      send(0, answered(500), 5);
      outliers.passed(endpoints[0] ?? assert.fail(), 1_000);
      assert.deepEqual(out(), successfulActiveHealthCheckUnejectHost ? [] : [0]);
    }
  });
});

describe("success rates", () => {
  test("the threshold of Envoy's own example: 50, 100, 100, 100, 100 give a mean of 90, a deviation of 20 and a threshold of 52", () => {
    // the comment on successRateEjectionThreshold in source/common/upstream/outlier_detection_impl.cc
    assert.equal(successThreshold([50, 100, 100, 100, 100], 1_900), 52);
  });

  /** Five endpoints of 200 attempts, one of which succeeds half of the time, never failing five times in a row. */
  function played(options: OutliersOptions, calls = 200, count = 5) {
    const play = watched(count, { ...half, ...options });
    for (let nth = 0; nth < count; nth++) {
      for (let call = 0; call < calls; call++) play.send(nth, answered(nth === 4 && call % 2 === 0 ? 500 : 200), 1, 5);
    }
    play.sweep(10);
    return play;
  }

  test("whoever lies below it is taken out", () => {
    const { told, out } = played({});
    assert.deepEqual(out(), [4]);
    const { endpoint, finding, successRate, threshold } = told[0]?.detail ?? {};
    assert.deepEqual([endpoint, finding, successRate, threshold], ["http://10.0.0.4:8080", "success-rate", 50, 52]);
  });

  test("not with a wider factor, not with too few calls, not with too few endpoints that have enough", () => {
    assert.deepEqual(played({ successRateStdevFactor: 2_100 }).out(), []);
    assert.deepEqual(played({}, 99).out(), []);
    assert.deepEqual(played({}, 100).out(), [4]);
    assert.deepEqual(played({ successRateMinimumHosts: 6 }).out(), []);
  });

  test("an interval counts once, and only its own attempts", () => {
    const play = watched(5, half);
    for (let nth = 0; nth < 5; nth++)
      for (let call = 0; call < 60; call++) play.send(nth, answered(nth === 4 && call % 2 === 0 ? 500 : 200), 1, 5);
    play.sweep(10);
    for (let nth = 0; nth < 5; nth++)
      for (let call = 0; call < 60; call++) play.send(nth, answered(nth === 4 && call % 2 === 0 ? 500 : 200), 1, 15);
    play.sweep(20);
    assert.deepEqual(play.told, [], "60 and 60 are not 120");
  });

  test("an attempt that comes out after a sweep fell due counts for the next interval, whoever asked", () => {
    const play = watched(5, half);
    for (let nth = 0; nth < 5; nth++)
      for (let call = 0; call < 200; call++) play.send(nth, answered(nth === 4 && call % 2 === 0 ? 500 : 200), 1, 10);
    play.sweep(19.9);
    assert.deepEqual(play.out(), []);
    play.sweep(20);
    assert.deepEqual(play.out(), [4]);
  });

  test("endpoints that are out are not compared", () => {
    const play = watched(6, half);
    play.send(0, answered(500), 5, 5);
    for (let nth = 1; nth < 5; nth++) play.send(nth, answered(200), 200, 5);
    play.send(0, answered(200), 200, 5);
    for (let call = 0; call < 200; call++) play.send(5, answered(call % 2 === 0 ? 500 : 200), 1, 5);
    play.sweep(10);
    assert.deepEqual(play.out(), [0, 5]);
  });
});

describe("failure percentage", () => {
  const only: OutliersOptions = { ...half, consecutive5xx: 0, consecutiveGatewayFailure: 0, enforcingSuccessRate: 0 };

  /** Of 100 calls to each of five endpoints so many fail at the fifth. */
  function failing(failures: number, options: OutliersOptions = {}, calls = 100) {
    const play = watched(5, { ...only, ...options });
    for (let nth = 0; nth < 5; nth++) {
      play.send(nth, answered(500), nth === 4 ? failures : 0, 5);
      play.send(nth, answered(200), calls - (nth === 4 ? failures : 0), 5);
    }
    play.sweep(10);
    return play;
  }

  test("the threshold counts itself (seen of Envoy 1.40: >=)", () => {
    assert.deepEqual(failing(84).out(), []);
    const { told, out } = failing(85);
    assert.deepEqual(out(), [4]);
    assert.equal(told.find(({ what }) => what === "ejected")?.detail["finding"], "failure-percentage");
  });

  test("it takes its calls and endpoints", () => {
    assert.deepEqual(failing(49, {}, 49).out(), []);
    assert.deepEqual(failing(50, {}, 50).out(), [4]);
    assert.deepEqual(failing(100, { failurePercentageMinimumHosts: 6 }).out(), []);
    assert.deepEqual(failing(30, { failurePercentageThreshold: 30 }).out(), [4]);
  });
});

describe("enforcing", () => {
  test("0: it is only said", () => {
    const { told, out, send } = watched(2, { enforcingConsecutive5xx: 0 });
    send(0, answered(500), 5);
    assert.deepEqual(out(), []);
    assert.deepEqual(told[0]?.what, "would-be-ejected");
    assert.deepEqual(told[0]?.detail["enforcing"], 0);
  });

  test("30: three in ten are acted on", () => {
    const { told, send } = watched(1_000, { enforcingConsecutive5xx: 30, maxEjectionPercent: 100 });
    for (let nth = 0; nth < 1_000; nth++) send(nth, answered(500), 5);
    const acted = told.filter(({ what }) => what === "ejected").length;
    assert.ok(acted > 260 && acted < 340, String(acted));
  });
});

test("Envoy's defaults, but for the four that the definition names", () => {
  // api/envoy/config/cluster/v3/outlier_detection.proto
  const envoys = {
    ...outliersDefaults,
    alwaysEjectOneHost: false,
    enforcingConsecutiveGatewayFailure: 0,
    enforcingFailurePercentage: 0,
    enforcingFailurePercentageLocalOrigin: 0,
  };
  assert.deepEqual(envoys, {
    interval: "10s",
    baseEjectionTime: "30s",
    maxEjectionTime: "5m",
    maxEjectionTimeJitter: "0ms",
    maxEjectionPercent: 10,
    alwaysEjectOneHost: false,
    consecutive5xx: 5,
    consecutiveGatewayFailure: 5,
    splitExternalLocalOriginErrors: false,
    consecutiveLocalOriginFailure: 5,
    successRateMinimumHosts: 5,
    successRateRequestVolume: 100,
    successRateStdevFactor: 1_900,
    failurePercentageThreshold: 85,
    failurePercentageMinimumHosts: 5,
    failurePercentageRequestVolume: 50,
    enforcingConsecutive5xx: 100,
    enforcingConsecutiveGatewayFailure: 0,
    enforcingConsecutiveLocalOriginFailure: 100,
    enforcingSuccessRate: 100,
    enforcingLocalOriginSuccessRate: 100,
    enforcingFailurePercentage: 0,
    enforcingFailurePercentageLocalOrigin: 0,
    successfulActiveHealthCheckUnejectHost: true,
  });
});

test("the schema takes what the definition says, and refuses a longest time below the base", () => {
  const schema = outliersSchema(z);
  assert.ok(schema.safeParse({}).success);
  assert.ok(schema.safeParse(outliersDefaults).success);
  assert.ok(!schema.safeParse({ maxEjectionPercent: 101 }).success);
  assert.ok(!schema.safeParse({ interval: "0s" }).success);
  assert.ok(!schema.safeParse({ consecutive_5xx: 3 }).success);
  const { error } = schema.safeParse({ baseEjectionTime: "1m", maxEjectionTime: "30s" });
  assert.deepEqual(error?.issues[0]?.path, ["maxEjectionTime"]);
  assert.ok(!schema.safeParse({ maxEjectionTime: "1s" }).success, "below the usual base, too");
});
