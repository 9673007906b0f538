// The quick look at policies says the same as zod: yes to the same values, with the same copies, and where it says no, zod has the last word.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import * as z from "zod";
import { frozen } from "../../src/policy/freeze.ts";
import { policySchema } from "../../src/policy/policy-schema.ts";
import { quickly } from "../../src/policy/quick-check.ts";
import { policies } from "../harness/arbitraries.ts";

const quick = quickly(policySchema);
const schema = policySchema(z);

/** What zod makes of a value. */
function slow(value: unknown): unknown {
  const result = schema.safeParse(value);
  return result.success ? result.data : undefined;
}

const same = (value: unknown): void => assert.equal(JSON.stringify(quick(value)), JSON.stringify(slow(value)), JSON.stringify(value));

/** Every object and list in a value. */
function within(value: unknown): (Record<string, unknown> | unknown[])[] {
  if (typeof value !== "object" || value === null) return [];
  return [value as Record<string, unknown>, ...Object.values(value).flatMap(within)]; // the cast: an object or a list
}

const odd: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    undefined,
    "",
    "2s",
    "0s",
    "25h",
    "*",
    "GET",
    "5xx",
    true,
    [],
    {},
    Number.NaN,
    Infinity,
    -0,
    1e9,
    0.5,
    101,
  ),
  fc.integer({ min: -2, max: 700 }),
  fc.jsonValue({ maxDepth: 2 }),
);

/** A policy with something put in the place of something, added or taken out; and how it came about, for whoever reads a failure. */
const spoiled = fc
  .tuple(policies, fc.nat(), fc.nat(), odd, fc.constantFrom("put", "add", "take"))
  .map(([policy, which, key, value, how]) => {
    const copy = structuredClone(policy);
    const parts = within(copy);
    const part = parts[which % parts.length] ?? [];
    const keys = Object.keys(part);
    const name = keys[key % Math.max(1, keys.length)] ?? "0";
    if (how === "take") delete (part as Record<string, unknown>)[name]; // the cast: of a list, it leaves a hole
    else if (how === "put") (part as Record<string, unknown>)[name] = value;
    else if (Array.isArray(part)) part.push(value);
    else part[`${name}x`] = value;
    return copy;
  });

describe("the quick look", () => {
  test("takes every valid policy, as zod does, the order of fields included", () => {
    fc.assert(
      fc.property(policies, (policy) => {
        assert.notEqual(quick(policy), undefined);
        same(policy);
      }),
    );
  });

  test("takes of spoiled ones what zod takes, and nothing else", () => {
    fc.assert(fc.property(spoiled, same), { numRuns: 2_000 });
  });

  test("takes no value that is no plain data", () => {
    class Mine {
      name = "a";
      layers = [];
    }
    for (const value of [undefined, null, 5, "a", [], new Mine(), new Map(), () => undefined, Object.create({ name: "a", layers: [] })])
      assert.equal(quick(value), undefined);
    const tied = { kind: "fallback", response: { status: 200, body: { [Symbol("a")]: 1 } } };
    assert.equal(quick({ name: "a", layers: [tied] }), undefined);
    assert.notEqual(quick(Object.assign(Object.create(null), { name: "a", layers: [] })), undefined);
  });

  test("gives a copy, which can be frozen", () => {
    const policy = { name: "a", layers: [{ kind: "retry", methods: ["PUT"] }] };
    frozen(quick(policy));
    policy.layers[0]?.methods.push("GET");
    assert.deepEqual(policy.layers[0]?.methods, ["PUT", "GET"]);
  });
});
