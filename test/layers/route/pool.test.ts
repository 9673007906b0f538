// A pool: who is picked as endpoints come, go, fail and come back.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { seededRandom } from "../../../src/call/env.ts";
import { hash32 } from "../../../src/layers/route/balance/hash.ts";
import type { Endpoint } from "../../../src/layers/route/endpoint.ts";
import { newPool, type PoolOptions } from "../../../src/layers/route/pool.ts";
import { endpointsOf, picked } from "./endpoints.ts";
import { answered, cancelled, refusedByLayer } from "./outcomes.ts";

interface Told {
  readonly what: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

function poolOf(endpoints: readonly Endpoint[], options: PoolOptions = {}) {
  const told: Told[] = [];
  const pool = newPool(options, { random: seededRandom(1), report: (_call, what, detail) => told.push({ what, detail }) }, 0);
  pool.update(endpoints, 0);
  const set = (nth: number, fields: Partial<Endpoint>): void => {
    const endpoint = endpoints[nth] ?? assert.fail();
    Object.assign(endpoint, fields);
    pool.changed(endpoint);
  };
  const shares = (now = 0, picks = 10_000): number[] =>
    picked(endpoints, picks, () => pool.pick({ now })).map((count) => Math.round((100 * count) / picks));
  return { pool, told, set, shares };
}

/** About so many percent each. */
function about(shares: readonly number[], expected: readonly number[]): void {
  assert.equal(shares.length, expected.length);
  for (const [nth, share] of shares.entries())
    assert.ok(Math.abs(share - (expected[nth] ?? 0)) <= 2, `${shares.join()}, not ${expected.join()}`);
}

const byPriority = (...priorities: readonly number[]) => endpointsOf(priorities.length, (nth) => ({ priority: priorities[nth] ?? 0 }));

describe("nobody to pick", () => {
  test("without endpoints, and with weights of zero", () => {
    assert.equal(poolOf([]).pool.pick({ now: 0 }), undefined);
    assert.equal(poolOf(endpointsOf(3, () => ({ weight: 0 }))).pool.pick({ now: 0 }), undefined);
    assert.equal(poolOf([]).pool.pick({ now: 0, hash: 5, tried: new Set(endpointsOf(1)) }), undefined);
  });

  test("all out, with a panic threshold of 0", () => {
    const { pool, set } = poolOf(byPriority(0, 0, 1), { panicThreshold: 0 });
    for (const nth of [0, 1, 2]) set(nth, { healthy: false });
    assert.equal(pool.pick({ now: 0 }), undefined);
    set(2, { healthy: true });
    assert.ok(pool.pick({ now: 0 }));
  });
});

describe("priorities", () => {
  test("the first level has all calls while it is well enough, and hands over what it cannot bear", () => {
    const { set, shares } = poolOf(byPriority(0, 0, 0, 0, 7, 7));
    about(shares(), [25, 25, 25, 25, 0, 0]);
    set(0, { ejected: true });
    about(shares(), [0, 33, 33, 33, 0, 0]);
    set(1, { healthy: false });
    about(shares(), [0, 0, 35, 35, 15, 15]);
    set(2, { healthy: false });
    set(3, { healthy: false });
    about(shares(), [0, 0, 0, 0, 50, 50]);
    for (const nth of [0, 1, 2, 3]) set(nth, { healthy: true, ejected: false });
    about(shares(), [25, 25, 25, 25, 0, 0]);
  });

  test("near endpoints come before far ones of the same priority, and far ones before the next priority", () => {
    const places = ["eu/a", "eu/b", "us/a", "eu/a"];
    const endpoints = endpointsOf(4, (nth) => ({ locality: places[nth], priority: nth === 3 ? 1 : 0 }));
    const { set, shares } = poolOf(endpoints, { locality: "eu/a" });
    for (const nth of [0, 1, 2, 3]) {
      about(
        shares(),
        endpoints.map((_, other) => (other === nth ? 100 : 0)),
      );
      set(nth, { healthy: nth === 3 });
    }
  });

  test("a level whose endpoints have all gone is gone itself", () => {
    const endpoints = byPriority(0, 1);
    const { pool } = poolOf(endpoints);
    pool.update(endpoints.slice(1), 0);
    assert.equal(pool.pick({ now: 0 }), endpoints[1]);
    assert.equal(endpoints[0]?.usable, false);
  });

  test("a key keeps its level and its endpoint", () => {
    const endpoints = endpointsOf(40, (nth) => ({ priority: nth < 20 ? 0 : 1 }));
    const { pool, set } = poolOf(endpoints, { balance: { maglev: { header: "x-user" } } });
    for (let nth = 0; nth < 10; nth++) set(nth, { healthy: false });
    let first = 0;
    for (let user = 0; user < 2_000; user++) {
      const hash = hash32(`user-${user}`);
      const endpoint = pool.pick({ now: 0, hash });
      for (let time = 0; time < 3; time++) assert.equal(pool.pick({ now: 0, hash }), endpoint);
      if (endpoint?.priority === 0) first++;
    }
    assert.ok(first > 1_340 && first < 1_460, String(first));
  });
});

describe("panic", () => {
  test("below the threshold calls go to all, and back when enough are well again; both is told once", () => {
    const { told, set, shares } = poolOf(endpointsOf(5));
    for (const nth of [0, 1, 2]) set(nth, { ejected: true });
    about(shares(), [20, 20, 20, 20, 20]);
    set(0, { ejected: false });
    about(shares(), [33, 0, 0, 33, 33]);
    assert.deepEqual(told, [
      { what: "panicked", detail: { priority: 0, distance: 0, available: 2, endpoints: 5 } },
      { what: "calmed", detail: { priority: 0, distance: 0, available: 3, endpoints: 5 } },
    ]);
  });

  test("an update while it lasts is not told as another", () => {
    const endpoints = endpointsOf(5);
    const { pool, told, set } = poolOf(endpoints);
    for (const nth of [0, 1, 2]) set(nth, { ejected: true });
    pool.pick({ now: 0 });
    pool.update([...endpoints], 0);
    pool.pick({ now: 0 });
    assert.deepEqual(
      told.map(({ what }) => what),
      ["panicked"],
    );
  });

  test("with another level that can take over there is none", () => {
    const { told, set, shares } = poolOf(byPriority(0, 0, 1));
    set(0, { healthy: false });
    set(1, { healthy: false });
    about(shares(), [0, 0, 100]);
    assert.deepEqual(told, []);
  });
});

describe("a breaker behind route", () => {
  test("its endpoint is avoided until its time has come, without anybody saying so", () => {
    const { set, shares } = poolOf(endpointsOf(3));
    set(1, { shutUntil: 5_000 });
    about(shares(4_999), [50, 0, 50]);
    about(shares(5_000), [33, 33, 33]);
  });

  test("in a panic too, while another lets calls through; where none does, any is as good", () => {
    const { set, shares } = poolOf(endpointsOf(3));
    set(0, { shutUntil: Number.POSITIVE_INFINITY });
    set(1, { shutUntil: 9_000 });
    set(2, { healthy: false });
    about(shares(), [0, 0, 100]);
    set(2, { shutUntil: 1_000 });
    about(shares(), [33, 33, 33]);
    about(shares(1_000), [0, 0, 100]);
    about(shares(9_000), [0, 50, 50]);
  });
});

describe("tried endpoints", () => {
  test("are avoided: on the level, then on the others; when all were tried, one is tried again", () => {
    const endpoints = byPriority(0, 0, 1);
    const { pool } = poolOf(endpoints);
    for (let call = 0; call < 20; call++) {
      const tried = new Set<Endpoint>();
      for (let attempt = 0; attempt < 3; attempt++) {
        const endpoint = pool.pick({ now: 0, tried });
        assert.ok(endpoint !== undefined && !tried.has(endpoint));
        assert.equal(endpoint === endpoints[2], attempt === 2);
        tried.add(endpoint);
      }
      assert.notEqual(pool.pick({ now: 0, tried }), endpoints[2]);
      assert.notEqual(pool.pick({ now: 0, tried }), undefined);
    }
  });

  test("are preferred to endpoints that are out", () => {
    const endpoints = endpointsOf(3);
    const { pool, set } = poolOf(endpoints);
    set(1, { ejected: true });
    assert.notEqual(pool.pick({ now: 0, tried: new Set([endpoints[0] ?? assert.fail(), endpoints[2] ?? assert.fail()]) }), endpoints[1]);
  });
});

describe("changes", () => {
  test("a weight acts at once, to zero and back", () => {
    const { set, shares } = poolOf(endpointsOf(3));
    set(0, { weight: 8 });
    about(shares(), [80, 10, 10]);
    set(0, { weight: 0 });
    about(shares(), [0, 50, 50]);
    set(0, { weight: 1 });
    about(shares(), [33, 33, 33]);
  });

  test("of an endpoint that has left do nothing", () => {
    const endpoints = endpointsOf(3);
    const { pool, set, shares } = poolOf(endpoints);
    pool.update(endpoints.slice(1), 0);
    set(0, { healthy: true, weight: 100 });
    pool.settled(endpoints[0] ?? assert.fail(), answered(500), 5, 0);
    about(shares(), [0, 50, 50]);
  });
});

describe("outliers", () => {
  test("an endpoint that fails gets no calls until it is returned, and status says so", () => {
    const endpoints = endpointsOf(3);
    const { pool, told, shares } = poolOf(endpoints, { outliers: { maxEjectionPercent: 50 } });
    for (let time = 0; time < 5; time++) pool.settled(endpoints[0] ?? assert.fail(), answered(503), 5, 1_000);
    about(shares(1_000), [0, 50, 50]);
    assert.deepEqual(pool.status(1_000), {
      levels: [{ priority: 0, distance: 0, endpoints: 3, available: 2, load: 100, panic: false }],
      endpoints: [
        { endpoint: "http://10.0.0.0:8080", active: 0, available: false, ejectedForMs: 30_000, ejections: 1 },
        { endpoint: "http://10.0.0.1:8080", active: 0, available: true },
        { endpoint: "http://10.0.0.2:8080", active: 0, available: true },
      ],
    });
    about(shares(39_999), [0, 50, 50]);
    about(shares(40_000), [33, 33, 33]);
    assert.deepEqual(
      told.map(({ what }) => what),
      ["ejected", "returned"],
    );
  });

  test("a health check that passes returns it", () => {
    const endpoints = endpointsOf(2);
    const { pool, shares } = poolOf(endpoints, { outliers: {} });
    const [first = assert.fail()] = endpoints;
    for (let time = 0; time < 5; time++) pool.settled(first, answered(503), 5, 0);
    about(shares(), [0, 100]);
    pool.passed(first, 100);
    about(shares(100), [50, 50]);
  });
});

describe("latency", () => {
  test("answers of the peer teach peak-EWMA, a 404 too; an abort says how long it took at least, a refusal behind route nothing", () => {
    const endpoints = endpointsOf(1);
    const [endpoint = assert.fail()] = endpoints;
    const { pool } = poolOf(endpoints, { balance: "peak-ewma" });
    pool.pick({ now: 0 });
    pool.settled(endpoint, answered(404), 50, 0);
    assert.equal(endpoint.latencyMs, 50);
    pool.settled(endpoint, cancelled, 10, 0);
    assert.equal(endpoint.latencyMs, 50);
    pool.settled(endpoint, cancelled, 900, 0);
    assert.equal(endpoint.latencyMs, 900);
    pool.settled(endpoint, refusedByLayer, 5_000, 0);
    assert.equal(endpoint.latencyMs, 900);
  });
});
