// Each balancer by itself: what it picks, whom it passes over, and what it does when there is nobody.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as z from "zod";
import { type Balance, balanceSchema, slowStartSchema } from "../../../src/layers/route/balance/definition.ts";
import { hashKeyOf, newBalancer } from "../../../src/layers/route/balance/balancer.ts";
import { hash32 } from "../../../src/layers/route/balance/hash.ts";
import { startFactor } from "../../../src/layers/route/balance/slow-start.ts";
import { allUsable, balancerOf, balances, endpointsOf, nameOf, picked } from "./endpoints.ts";

const now = 0;
const ofUser = (nth: number) => ({ now, hash: hash32(`user-${nth}`) });

describe("every balancer", () => {
  for (const balance of balances) {
    describe(nameOf(balance), () => {
      test("has nobody to pick before it was told of endpoints, and when the last has gone", () => {
        const balancer = newBalancer(balance, Math.random);
        assert.equal(balancer.pick(ofUser(1)), undefined);
        assert.equal(balancer.pick({ now }), undefined);
        const endpoints = endpointsOf(3);
        allUsable(balancer, endpoints);
        assert.ok(balancer.pick(ofUser(1)));
        for (const endpoint of endpoints) endpoint.usable = false;
        balancer.update(endpoints, []);
        assert.equal(balancer.pick(ofUser(1)), undefined);
        assert.equal(balancer.pick({ now }), undefined);
        balancer.update([], []);
        assert.equal(balancer.pick(ofUser(1)), undefined);
      });

      test("picks only who is usable", () => {
        const endpoints = endpointsOf(100);
        const balancer = balancerOf(balance, endpoints);
        const usable = endpoints.filter((_, nth) => nth % 9 === 0);
        for (const endpoint of endpoints) endpoint.usable = usable.includes(endpoint);
        balancer.update(endpoints, usable);
        const counts = picked(endpoints, 5_000, (nth) => balancer.pick(ofUser(nth)));
        for (const [nth, count] of counts.entries()) assert.equal(count > 0, nth % 9 === 0, `${nth}: ${count}`);
      });

      test("avoids those that the call has tried, down to the last, and then has nobody", () => {
        const endpoints = endpointsOf(5, (nth) => ({ weight: nth === 4 ? 1_000 : 1 }));
        const balancer = balancerOf(balance, endpoints);
        for (let call = 0; call < 50; call++) {
          const tried = new Set<(typeof endpoints)[number]>();
          for (let attempt = 0; attempt < 5; attempt++) {
            const endpoint = balancer.pick({ ...ofUser(call), tried });
            assert.ok(endpoint !== undefined && !tried.has(endpoint));
            tried.add(endpoint);
          }
          assert.equal(balancer.pick({ ...ofUser(call), tried }), undefined);
          assert.equal(balancer.pick({ now, tried }), undefined);
        }
      });

      test("takes up endpoints that come and forgets those that go", () => {
        const endpoints = endpointsOf(20);
        const balancer = balancerOf(balance, endpoints.slice(0, 10));
        allUsable(balancer, endpoints.slice(5));
        const counts = picked(endpoints, 4_000, (nth) => balancer.pick(ofUser(nth)));
        for (const [nth, count] of counts.entries()) assert.equal(count > 0, nth >= 5, `${nth}: ${count}`);
      });

      test("picks the same with the same seed", () => {
        const runs = [1, 1, 2].map((seed) => {
          const endpoints = endpointsOf(50);
          const balancer = balancerOf(balance, endpoints, { seed });
          return Array.from({ length: 100 }, () => balancer.pick({ now })?.key);
        });
        assert.deepEqual(runs[0], runs[1]);
        assert.notDeepEqual(runs[0], runs[2]);
      });
    });
  }
});

describe("round-robin", () => {
  test("goes round: every endpoint once before any comes again", () => {
    const endpoints = endpointsOf(7);
    const balancer = balancerOf("round-robin", endpoints);
    const first = Array.from({ length: 7 }, () => balancer.pick({ now }));
    assert.deepEqual(new Set(first), new Set(endpoints));
    for (let nth = 0; nth < 70; nth++) assert.equal(balancer.pick({ now }), first[nth % 7]);
  });

  test("spreads the turns of a heavy endpoint out", () => {
    const endpoints = endpointsOf(3, (nth) => ({ weight: [5, 1, 1][nth] ?? 1 }));
    const balancer = balancerOf("round-robin", endpoints);
    for (let round = 0; round < 10; round++) {
      const turns = Array.from({ length: 7 }, () => endpoints.indexOf(balancer.pick({ now }) ?? assert.fail()));
      assert.equal(turns.filter((nth) => nth === 0).length, 5, turns.join());
      assert.ok(!/0,0,0,0,0/.test(turns.join()), turns.join());
    }
  });

  test("lets an endpoint that one call avoids keep its turn", () => {
    const endpoints = endpointsOf(3);
    const balancer = balancerOf("round-robin", endpoints);
    const [a, b, c] = Array.from({ length: 3 }, () => balancer.pick({ now }));
    assert.ok(a !== undefined);
    assert.equal(balancer.pick({ now, tried: new Set([a]) }), b);
    assert.equal(balancer.pick({ now }), a);
    assert.equal(balancer.pick({ now }), c);
  });

  test("does not make up for the time that an endpoint was out", () => {
    const endpoints = endpointsOf(4);
    const balancer = balancerOf("round-robin", endpoints);
    balancer.update(endpoints, endpoints.slice(1));
    for (let nth = 0; nth < 3_000; nth++) balancer.pick({ now });
    allUsable(balancer, endpoints);
    const counts = picked(endpoints, 40, () => balancer.pick({ now }));
    for (const count of counts) assert.ok(count >= 9 && count <= 11, counts.join());
  });
});

describe("least-request", () => {
  test("of two endpoints takes the idle one", () => {
    const endpoints = endpointsOf(2);
    const [busy, idle] = endpoints;
    const balancer = balancerOf("least-request", endpoints);
    assert.ok(busy !== undefined);
    busy.active = 3;
    for (let nth = 0; nth < 100; nth++) assert.equal(balancer.pick({ now }), idle);
  });

  test("compares attempts for the weight: three on an endpoint of 10 are less than one on an endpoint of 1", () => {
    const endpoints = endpointsOf(2, (nth) => ({ weight: nth === 0 ? 10 : 1 }));
    const [heavy, light] = endpoints;
    const balancer = balancerOf("least-request", endpoints);
    assert.ok(heavy !== undefined && light !== undefined);
    heavy.active = 3;
    light.active = 1;
    const counts = picked(endpoints, 1_000, () => balancer.pick({ now }));
    assert.ok((counts[0] ?? 0) > 970, counts.join());
  });

  test("with more choices looks at more endpoints", () => {
    const endpoints = endpointsOf(10);
    for (const [nth, endpoint] of endpoints.entries()) endpoint.active = nth;
    const [two = 0, thirty = 0] = [2, 30].map((choiceCount) => {
      const balancer = balancerOf({ leastRequest: { choiceCount } }, endpoints);
      return picked(endpoints, 1_000, () => balancer.pick({ now }))[0];
    });
    assert.ok(two < 300, String(two));
    assert.ok(thirty > 900, String(thirty));
  });
});

describe("peak-EWMA", () => {
  test("takes 30 ms for what it does not know, and leaves an endpoint after one slow answer", () => {
    const endpoints = endpointsOf(2);
    const [slow, quick] = endpoints;
    const balancer = balancerOf("peak-ewma", endpoints);
    assert.ok(slow !== undefined && quick !== undefined);
    assert.equal(slow.latencyMs, 30);
    balancer.settled?.(slow, false, 2_000, 0);
    for (let nth = 0; nth < 100; nth++) assert.equal(balancer.pick({ now: 0 }), quick);
  });

  test("forgets with its decay: after 10 s 37 % of a peak are left", () => {
    const [endpoint] = endpointsOf(1);
    assert.ok(endpoint !== undefined);
    const balancer = balancerOf("peak-ewma", [endpoint]);
    balancer.settled?.(endpoint, false, 1_000, 0);
    balancer.settled?.(endpoint, false, 0, 10_000);
    assert.equal(Math.round(endpoint.latencyMs), 368);
    balancer.settled?.(endpoint, false, 368, 10_001);
    assert.equal(Math.round(endpoint.latencyMs), 368);
  });

  test("weighs attempts under way: 10 ms with four before it is more than 40 ms with none", () => {
    const endpoints = endpointsOf(2);
    const [busy, idle] = endpoints;
    const balancer = balancerOf("peak-ewma", endpoints);
    assert.ok(busy !== undefined && idle !== undefined);
    busy.latencyMs = 10;
    idle.latencyMs = 40;
    busy.active = 4;
    assert.equal(balancer.pick({ now: 0 }), idle);
    busy.active = 2;
    assert.equal(balancer.pick({ now: 0 }), busy);
  });

  test("an endpoint that fails at once does not look fast", () => {
    const endpoints = endpointsOf(2);
    const [failing] = endpoints;
    const balancer = balancerOf("peak-ewma", endpoints);
    assert.ok(failing !== undefined);
    for (let second = 1; second <= 60; second++) balancer.settled?.(failing, true, 1, second * 1_000);
    assert.equal(failing.latencyMs, 30);
  });
});

for (const balance of [{ ringHash: { cookie: "session" } }, { maglev: { path: true } }] as const satisfies readonly Balance[]) {
  describe(`${nameOf(balance)} by a key`, () => {
    test("sends the same key to the same endpoint, whatever the order of the list", () => {
      const endpoints = endpointsOf(50);
      const one = balancerOf(balance, endpoints);
      const other = balancerOf(balance, endpoints.toReversed(), { seed: 9 });
      for (let nth = 0; nth < 500; nth++) assert.equal(one.pick(ofUser(nth)), other.pick(ofUser(nth)));
    });

    test("keys of an endpoint that is out go elsewhere, those of others stay, and they come back with it", () => {
      const endpoints = endpointsOf(20);
      const balancer = balancerOf(balance, endpoints);
      const before = Array.from({ length: 1_000 }, (_, nth) => balancer.pick(ofUser(nth)));
      const [out] = endpoints;
      assert.ok(out !== undefined);
      out.usable = false;
      balancer.update(endpoints, endpoints.slice(1));
      const elsewhere = new Set<unknown>();
      for (const [nth, endpoint] of before.entries()) {
        const found = balancer.pick(ofUser(nth));
        if (endpoint === out) elsewhere.add(found);
        else assert.equal(found, endpoint);
      }
      assert.ok(!elsewhere.has(out) && elsewhere.size > 3, "not all to one neighbour");
      out.usable = true;
      balancer.update(endpoints, endpoints);
      for (const [nth, endpoint] of before.entries()) assert.equal(balancer.pick(ofUser(nth)), endpoint);
    });

    test("a call without a key goes anywhere", () => {
      const endpoints = endpointsOf(10);
      const balancer = balancerOf(balance, endpoints);
      for (const count of picked(endpoints, 10_000, () => balancer.pick({ now }))) assert.ok(count > 850 && count < 1_150);
    });

    test("gives keys by weight", () => {
      const endpoints = endpointsOf(10, (nth) => ({ weight: nth === 0 ? 9 : 1 }));
      const balancer = balancerOf(balance, endpoints);
      const [heavy = 0] = picked(endpoints, 20_000, (nth) => balancer.pick(ofUser(nth)));
      assert.ok(heavy > 9_000 && heavy < 11_000, String(heavy));
    });
  });
}

test("what a balance hashes, and its defaults", () => {
  assert.deepEqual(hashKeyOf({ ringHash: { header: "x-user", minimumRingSize: 10 } }), { header: "x-user", minimumRingSize: 10 });
  assert.deepEqual(hashKeyOf({ maglev: { path: true } }), { path: true });
  assert.equal(hashKeyOf("least-request"), undefined);
  assert.equal(hashKeyOf({ peakEwma: {} }), undefined);
});

describe("the schema of balance", () => {
  const schema = balanceSchema(z);
  for (const balance of [
    ...balances,
    { leastRequest: { choiceCount: 3 } },
    { leastRequest: {} },
    { peakEwma: { decay: "5s", defaultRtt: "1s" } },
    { ringHash: { cookie: "session", minimumRingSize: 5_000 } },
    { maglev: { path: true } },
  ]) {
    test(`takes ${JSON.stringify(balance)}`, () => assert.deepEqual(schema.parse(balance), balance));
  }

  for (const balance of [
    "ring-hash",
    "fastest",
    {},
    { leastRequest: { choiceCount: 1 } },
    { peakEwma: { decay: "0s" } },
    { ringHash: {} },
    { ringHash: { header: "x-user", cookie: "session" } },
    { ringHash: { path: false } },
    { maglev: { header: "x-user", minimumRingSize: 5 } },
    { maglev: { header: "x-user" }, ringHash: { header: "x-user" } },
  ]) {
    test(`refuses ${JSON.stringify(balance)}`, () => assert.ok(!schema.safeParse(balance).success));
  }

  test("and that of slow start wants a window", () => {
    assert.ok(slowStartSchema(z).safeParse({ window: "1m", aggression: 2, minWeightPercent: 0 }).success);
    assert.ok(!slowStartSchema(z).safeParse({}).success);
    assert.ok(!slowStartSchema(z).safeParse({ window: "1m", aggression: 0 }).success);
  });
});

describe("slow start (Envoy: load_balancing/slow_start)", () => {
  const rule = { windowMs: 60_000, aggression: 1, minWeightPercent: 10 };
  for (const [ageMs, aggression, factor] of [
    [0, 1, 0.1],
    [3_000, 1, 0.1],
    [30_000, 1, 0.5],
    [60_000, 1, 1],
    [90_000, 1, 1],
    [15_000, 2, 0.5],
    [30_000, 0.5, 0.25],
  ] as const) {
    test(`after ${ageMs / 1_000} s of 60, aggression ${aggression}: ${factor} of the weight`, () => {
      assert.equal(startFactor({ ...rule, aggression }, ageMs), factor);
    });
  }

  test("however slow the start, there is one", () =>
    assert.equal(startFactor({ windowMs: 86_400_000, aggression: 0.01, minWeightPercent: 0 }, 0), 0.001));

  test("where all endpoints are equally new, nothing changes", () => {
    for (const balance of ["round-robin", "least-request", "peak-ewma", "random"] as const) {
      const endpoints = endpointsOf(4);
      const balancer = balancerOf(balance, endpoints, { slowStart: { window: "1m" } });
      for (const count of picked(endpoints, 4_000, () => balancer.pick({ now: 500 }))) assert.ok(count > 850 && count < 1_150);
    }
  });
});
