// A policy is its JSON, and its YAML: nothing is lost or added, and the revision tells whether two are the same.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { stringify } from "yaml";
import { definePolicy, type Duration, parsePolicies, type Policy, PolicyError, revision } from "../../src/index.ts";
import { durationMs } from "../../src/policy/duration.ts";
import { kinds } from "../../src/policy/kinds.ts";
import { layersByKind, policies, spellings } from "../harness/arbitraries.ts";

describe("any valid policy", () => {
  test("is taken by definePolicy as it is, and frozen all through", () => {
    fc.assert(
      fc.property(policies, (policy) => {
        const defined = definePolicy(policy);
        assert.deepEqual(defined, policy);
        assertFrozen(defined);
      }),
    );
  });

  test("comes back from JSON, with the same revision", () => {
    fc.assert(
      fc.property(policies, (policy) => {
        const [back] = parsePolicies(JSON.stringify(definePolicy(policy)));
        assert.deepEqual(back, policy);
        assert.equal(revision(back), revision(policy));
      }),
    );
  });

  test("comes back from YAML, with the same revision", () => {
    fc.assert(
      fc.property(policies, (policy) => {
        const [back] = parsePolicies(stringify(policy));
        assert.deepEqual(back, policy);
        assert.equal(revision(back), revision(policy));
      }),
    );
  });

  test("has a revision that neither the order of keys nor the spelling of durations changes", () => {
    fc.assert(
      fc.property(policies, fc.infiniteStream(fc.nat()), (policy, dice) => {
        const next = (): number => Number(dice.next().value ?? 0);
        const respelled = { ...policy, layers: policy.layers.map((layer) => respell(layer, kinds[layer.kind].durations, next)) };
        const other = shuffled(respelled, next) as Policy; // the cast: the same fields in another order
        assert.equal(revision(definePolicy(other)), revision(policy));
      }),
    );
  });

  test("has another revision when any one value in it is another", () => {
    fc.assert(
      fc.property(policies, fc.nat(), (policy, pick) => {
        const leaves = leavesOf(policy).filter((path) => path.at(-1) !== "kind");
        const path = leaves[pick % leaves.length];
        assert.ok(path !== undefined);
        const changed = structuredClone(policy);
        change(changed, path);
        assert.notEqual(revision(changed), revision(policy), path.join("."));
      }),
    );
  });

  test("has another revision when its layers stand in another order, or one is missing", () => {
    fc.assert(
      fc.property(policies, (policy) => {
        const reversed = policy.layers.toReversed();
        const same = JSON.stringify(reversed) === JSON.stringify(policy.layers);
        fc.pre(!same);
        assert.notEqual(revision({ ...policy, layers: reversed }), revision(policy));
        assert.notEqual(revision({ ...policy, layers: policy.layers.slice(1) }), revision(policy));
      }),
    );
  });
});

for (const [kind, layers] of Object.entries(layersByKind)) {
  test(`any ${kind} layer is the same data after the check, JSON and back`, () => {
    fc.assert(
      fc.property(layers, (layer) => {
        const [policy] = parsePolicies({ policies: [{ name: "p", layers: [layer] }] });
        assert.deepEqual(JSON.parse(JSON.stringify(policy?.layers[0])), structuredClone(layer));
      }),
    );
  });
}

test("a revision is 16 hex digits, and documented not to depend on spelling", () => {
  const one = definePolicy({ name: "p", layers: [{ kind: "timeout", after: "1000ms" }] });
  const other = definePolicy({ layers: [{ after: "1s", kind: "timeout" }], name: "p" });
  assert.match(revision(one), /^[0-9a-f]{16}$/);
  assert.equal(revision(one), revision(other));
});

describe("parsePolicies on any text", () => {
  const refused = (text: unknown): void => {
    try {
      const parsed = parsePolicies(text);
      assert.ok(Array.isArray(parsed));
    } catch (error) {
      assert.ok(error instanceof PolicyError, String(error));
      assert.equal(error.code, "ERR_PREMESH_INVALID_POLICY");
      assert.ok(error.issues.length > 0);
    }
  };

  test("throws nothing but a PolicyError: random text", () => {
    fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 200 }), refused));
  });

  test("throws nothing but a PolicyError: random bytes", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => refused(Buffer.from(bytes).toString("latin1"))));
  });

  test("throws nothing but a PolicyError: random values", () => {
    fc.assert(
      fc.property(
        fc.anything({ withBigInt: true, withDate: true, withMap: true, withSparseArray: true, withNullPrototype: true }),
        refused,
      ),
      { examples: [[Object.assign([], { length: 1 })]] }, // a list with a hole
    );
  });

  test("throws nothing but a PolicyError: a valid document with one piece cut out or put in", () => {
    fc.assert(
      fc.property(policies, fc.nat(), fc.nat({ max: 20 }), fc.string({ maxLength: 5 }), (policy, at, length, put) => {
        const text = stringify([policy]);
        const start = at % text.length;
        refused(text.slice(0, start) + put + text.slice(start + length));
      }),
    );
  });

  test("throws nothing but a PolicyError: a valid policy with a random value in any place", () => {
    fc.assert(
      fc.property(policies, fc.nat(), fc.anything({ withBigInt: true, withDate: true }), (policy, pick, value) => {
        const changed: unknown = structuredClone(policy);
        const leaves = leavesOf(changed);
        const path = leaves[pick % leaves.length] ?? [];
        const parent = path.slice(0, -1).reduce<unknown>((inner, step) => (inner as Record<string | number, unknown>)[step], changed); // the cast: leavesOf has been there
        (parent as Record<string | number, unknown>)[path.at(-1) ?? 0] = value;
        refused(changed);
      }),
    );
  });

  const monsters: Readonly<Record<string, () => unknown>> = {
    "brackets without end": () => "[".repeat(20_000),
    "braces without end": () => "{a: ".repeat(5_000),
    "dashes without end": () => "- ".repeat(20_000),
    "JSON that is 100,000 deep": () =>
      `{"name":"p","layers":[{"kind":"fallback","response":{"status":200,"body":${"[".repeat(100_000)}${"]".repeat(100_000)}}}]}`,
    "a billion laughs": () =>
      [
        "a: &a [x,x,x,x,x,x,x,x,x]",
        ..."bcdefghi".split("").map((name, index) => `${name}: &${name} [${`*${"abcdefgh"[index]},`.repeat(9)}]`),
      ].join("\n"),
    "an alias of itself": () => "name: p\nlayers:\n  - kind: fallback\n    response: &r\n      status: 200\n      body: *r\n",
    "more text than a policy has": () => " ".repeat(9 * 1024 * 1024),
    "two documents": () => "name: a\nlayers: []\n---\nname: b\nlayers: []\n",
    "a key twice": () => "name: a\nname: b\nlayers: []\n",
    "tags of other schemas": () => "name: !!js/function 'x'\nlayers: !foo []\n",
    "a merge key": () => "a: &a {name: p}\n<<: *a\nlayers: []\n",
    "100,000 layers": () => ({ name: "p", layers: Array.from({ length: 100_000 }, () => ({ kind: "retri" })) }),
    "64 layers of 1,000 unknown fields": () => ({
      name: "p",
      layers: Array.from({ length: 64 }, () => ({
        kind: "retry",
        ...Object.fromEntries(Array.from({ length: 1_000 }, (_, index) => [`attempt${index}`, 1])),
      })),
    }),
    "a key of a million letters": () => ({ name: "p", layers: [], ["x".repeat(1_000_000)]: 1 }),
    "a value that contains itself twice": () => {
      const circle: Record<string, unknown> = { status: 200 };
      circle["body"] = [circle, circle];
      return { name: "p", layers: [{ kind: "fallback", response: circle }] };
    },
    "a value with 2^60 paths": () => {
      let body: unknown = 1;
      for (let depth = 0; depth < 60; depth++) body = [body, body];
      return { name: "p", layers: [{ kind: "fallback", response: { status: 200, body } }] };
    },
  };
  for (const [name, make] of Object.entries(monsters)) {
    test(`refuses ${name} with a PolicyError`, () => {
      assert.throws(() => parsePolicies(make()), { name: "PolicyError", code: "ERR_PREMESH_INVALID_POLICY" });
    });
  }
});

function assertFrozen(value: unknown): void {
  if (typeof value !== "object" || value === null) return;
  assert.ok(Object.isFrozen(value));
  for (const field of Object.values(value)) assertFrozen(field);
}

function respell(value: unknown, durations: readonly string[], next: () => number): unknown {
  return durations.reduce<unknown>((inner, path) => respellAt(inner, path.split("."), next), value);
}

function respellAt(value: unknown, [field, ...rest]: readonly string[], next: () => number): unknown {
  if (Array.isArray(value)) return value.map((item: unknown) => respellAt(item, field === undefined ? [] : [field, ...rest], next));
  if (field === undefined) {
    const all = spellings(durationMs(value as Duration)); // the cast: the path leads to a duration
    return all[next() % all.length] ?? value;
  }
  if (typeof value !== "object" || value === null || !(field in value)) return value;
  return { ...value, [field]: respellAt((value as Record<string, unknown>)[field], rest, next) }; // the cast: `in` has shown the field
}

function shuffled(value: unknown, next: () => number): unknown {
  if (Array.isArray(value)) return value.map((item) => shuffled(item, next));
  if (typeof value !== "object" || value === null) return value;
  const dice = Object.entries(value).map(([key, field]) => [next(), key, shuffled(field, next)] as const);
  return Object.fromEntries(dice.toSorted(([a], [b]) => a - b).map(([, key, field]) => [key, field]));
}

type Path = readonly (string | number)[];

function leavesOf(value: unknown, path: Path = []): Path[] {
  if (typeof value !== "object" || value === null) return [path];
  return Object.entries(value).flatMap(([key, field]) => leavesOf(field, [...path, Array.isArray(value) ? Number(key) : key]));
}

function change(value: unknown, [step, ...rest]: Path): void {
  const parent = value as Record<string | number, unknown>; // the cast: leavesOf has been there
  if (step === undefined) return;
  if (rest.length > 0) return change(parent[step], rest);
  const old = parent[step];
  if (typeof old === "number") parent[step] = old === 0 ? 1 : old * 2;
  else if (typeof old === "boolean") parent[step] = !old;
  else if (typeof old === "string") parent[step] = Number.isNaN(durationMs(old)) ? `${old}x` : `${durationMs(old) + 1}ms`;
  else parent[step] = "was null";
}
