// Consistent balancers move few keys when endpoints come or go: about 1/n on the ring and no others, somewhat more with maglev.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { hash32 } from "../../src/layers/route/balance/hash.ts";
import type { Balance } from "../../src/layers/route/balance/definition.ts";
import type { Endpoint } from "../../src/layers/route/endpoint.ts";
import { balancerOf, endpointsOf } from "../layers/route/endpoints.ts";

const KEYS = 50_000;
const ring: Balance = { ringHash: { header: "x" } };
const maglev: Balance = { maglev: { header: "x" } };

function owners(balance: Balance, endpoints: readonly Endpoint[]): readonly (Endpoint | undefined)[] {
  const balancer = balancerOf(balance, endpoints);
  return Array.from({ length: KEYS }, (_, key) => balancer.pick({ now: 0, hash: hash32(`key-${key}`) }));
}

/** Shares of keys that moved: those that had to, and those that need not have. */
function moved(balance: Balance, before: readonly Endpoint[], after: readonly Endpoint[]): { readonly due: number; readonly idle: number } {
  const [then, now] = [owners(balance, before), owners(balance, after)];
  const [old, young] = [new Set(before), new Set(after)];
  let due = 0;
  let idle = 0;
  for (const [key, owner] of then.entries()) {
    const next = now[key];
    if (owner === next || owner === undefined || next === undefined) continue;
    if (!young.has(owner) || !old.has(next)) due++;
    else idle++;
  }
  return { due: due / KEYS, idle: idle / KEYS };
}

const near = (value: number, expected: number, part: number): void =>
  assert.ok(Math.abs(value - expected) <= expected * part, `${value}, not about ${expected}`);

for (const n of [3, 10, 100, 300]) {
  const endpoints = endpointsOf(n);
  describe(`of ${n} endpoints`, () => {
    test("ring-hash: one that goes or comes moves its own keys, about 1/n, and no others", () => {
      const gone = moved(ring, endpoints, endpoints.slice(1));
      near(gone.due, 1 / n, 0.35);
      assert.equal(gone.idle, 0);
      const come = moved(ring, endpoints, [...endpoints, ...endpointsOf(n + 1).slice(-1)]);
      near(come.due, 1 / (n + 1), 0.35);
      assert.equal(come.idle, 0);
    });

    test("maglev: the same, and at most three times as many again", () => {
      const gone = moved(maglev, endpoints, endpoints.slice(1));
      near(gone.due, 1 / n, 0.2);
      assert.ok(gone.idle <= 3 / n, `${gone.idle}`);
      const come = moved(maglev, endpoints, [...endpoints, ...endpointsOf(n + 1).slice(-1)]);
      near(come.due, 1 / (n + 1), 0.2);
      assert.ok(come.idle <= 3 / n, `${come.idle}`);
    });

    // with three, one of more weight changes what weight is usual
    if (n === 3) return;
    test("a changed weight moves keys to or from that endpoint", () => {
      for (const [balance, most] of [
        [ring, 0],
        [maglev, 4 / n],
      ] as const) {
        const before = owners(balance, endpoints);
        const [first = assert.fail()] = endpoints;
        first.weight = 3;
        const after = owners(balance, endpoints);
        first.weight = 1;
        const others = before.filter((owner, key) => owner !== after[key] && after[key] !== first).length / KEYS;
        assert.ok(others <= most, `${others}`);
        near(after.filter((owner) => owner === first).length / KEYS, 3 / (n + 2), 0.35);
      }
    });
  });
}
