// adopt as a definition: what is taken for which engine, and how the instance stays with the data of its layer.
import assert from "node:assert/strict";
import test, { describe } from "node:test";
import Bottleneck from "bottleneck";
import {
  bulkhead,
  circuitBreaker,
  ConsecutiveBreaker,
  fallback,
  handleAll,
  noop,
  retry as cockatielRetry,
  timeout,
  TimeoutStrategy,
  wrap,
} from "cockatiel";
import CircuitBreaker from "opossum";
import {
  adopt,
  type Adoptable,
  createClient,
  definePolicy,
  parsePolicies,
  type Policy,
  PolicyError,
  revision,
} from "../../../src/index.ts";

const quiet = { enableSnapshots: false, timeout: false } as const;

function opossum(t: test.TestContext, options: CircuitBreaker.Options = {}): CircuitBreaker {
  const made = new CircuitBreaker(() => Promise.resolve(1), { ...quiet, ...options });
  t.after(() => made.shutdown());
  return made;
}

const issuesOf = (make: () => unknown): readonly { readonly path: string; readonly message: string }[] => {
  try {
    make();
  } catch (error) {
    assert.ok(error instanceof PolicyError);
    return error.issues;
  }
  return assert.fail("it was taken");
};

const layerOf = (policy: Policy): object => policy.layers[0] ?? assert.fail("no layer");

describe("an instance is known by its shape", () => {
  const breaker = circuitBreaker(handleAll, { halfOpenAfter: 1, breaker: new ConsecutiveBreaker(1) });
  const policies: Readonly<Record<string, Adoptable>> = {
    retry: cockatielRetry(handleAll, { maxAttempts: 1 }),
    breaker,
    bulkhead: bulkhead(1),
    timeout: timeout(1, TimeoutStrategy.Aggressive),
    fallback: fallback(handleAll, 1),
    noop,
    wrap: wrap(cockatielRetry(handleAll, { maxAttempts: 1 }), breaker),
  };
  for (const [name, policy] of Object.entries(policies)) {
    test(`cockatiel: ${name}`, () => assert.deepEqual(adopt(policy), { kind: "adopt", engine: "cockatiel" }));
  }
  test("opossum", (t) => assert.deepEqual(adopt(opossum(t)), { kind: "adopt", engine: "opossum" }));
  test("bottleneck", () => {
    assert.deepEqual(adopt(new Bottleneck()), { kind: "adopt", engine: "bottleneck" });
    assert.deepEqual(adopt(new Bottleneck.Group().key("a"), { name: "tenant-a" }), {
      kind: "adopt",
      engine: "bottleneck",
      name: "tenant-a",
    });
  });
});

test("anything else is refused at once, and told what is taken", () => {
  const others: readonly (readonly [other: unknown, got: string])[] = [
    [undefined, "undefined"],
    [{}, "another object"],
    [handleAll, "an instance of Policy"],
    [() => 1, "a function"],
    [new Bottleneck.Group(), "a Group: adopt the limiter that its key(...) gives"],
  ];
  for (const [other, got] of others) {
    assert.throws(() => adopt(other as Adoptable), {
      code: "ERR_PREMESH_INVALID_OPTIONS",
      message: `adopt takes a live instance: a cockatiel policy (with execute), an opossum CircuitBreaker (with fire) or a Bottleneck limiter (with schedule); got ${got}`,
    }); // the cast: that it is none is the point
  }
});

test("a policy shows its data and keeps the instance out of it", (t) => {
  const policy = definePolicy({ name: "p", layers: [adopt(opossum(t), { name: "mail" })] });
  assert.equal(JSON.stringify(policy), '{"name":"p","layers":[{"kind":"adopt","name":"mail","engine":"opossum"}]}');
  assert.ok(Object.isFrozen(layerOf(policy)));
  assert.equal(definePolicy({ ...policy }).layers.length, 1, "a policy made of checked layers has their instances");
});

test("from JSON, YAML or a copy of the data it is refused: there is no instance", (t) => {
  const policy = definePolicy({ name: "p", layers: [adopt(opossum(t))] });
  for (const source of [
    JSON.stringify(policy),
    "name: p\nlayers:\n  - kind: adopt\n    engine: opossum\n",
    structuredClone(policy),
    { name: "p", layers: [{ ...layerOf(policy) }] },
  ]) {
    assert.deepEqual(
      issuesOf(() => parsePolicies(source)).map(({ path, message }) => `${path} ${message}`),
      ["layers[0] has no live instance: what is adopted exists only in the process that made it"],
    );
  }
});

test("an opossum breaker that shares results between calls is refused", (t) => {
  for (const option of ["cache", "coalesce"]) {
    const layer = adopt(opossum(t, { [option]: true }));
    assert.match(
      issuesOf(() => definePolicy({ name: "p", layers: [layer] }))[0]?.message ?? "",
      new RegExp(`option ${option}: one call would get the response of another`),
    );
  }
});

test("the revision goes by engine and name", (t) => {
  const made = (instance: Adoptable, name?: string): string =>
    revision(definePolicy({ name: "p", layers: [adopt(instance, name === undefined ? {} : { name })] }));
  assert.equal(made(opossum(t)), made(opossum(t)));
  assert.notEqual(made(opossum(t)), made(opossum(t), "a"));
  assert.notEqual(made(opossum(t)), made(new Bottleneck()));
});

test("layers of one name must adopt one instance", (t) => {
  const one = opossum(t);
  const policies = (second: Adoptable): Policy[] => [
    definePolicy({ name: "a", layers: [adopt(one, { name: "mail" })] }),
    definePolicy({ name: "b", layers: [adopt(second, { name: "mail" })] }),
  ];
  createClient({ policies: policies(one) });
  assert.match(issuesOf(() => createClient({ policies: policies(opossum(t)) }))[0]?.message ?? "", /but is defined otherwise/);
});

test("an update with another instance takes it, one with the same keeps it", async (t) => {
  const [first, second] = [opossum(t), opossum(t)];
  const fired: string[] = [];
  first.on("fire", () => fired.push("first"));
  second.on("fire", () => fired.push("second"));
  const policy = (instance: Adoptable): Policy => definePolicy({ name: "p", layers: [adopt(instance)] });
  const client = createClient({ policies: [policy(first)] });
  for (const instance of [first, first, second]) {
    client.update([policy(instance)]);
    await client.run("p", () => 1);
  }
  assert.deepEqual(fired, ["first", "first", "second"]);
});

test("status shows what the engine shows", async (t) => {
  const broken = circuitBreaker(handleAll, { halfOpenAfter: 1_000, breaker: new ConsecutiveBreaker(1) });
  const layers = [
    adopt(wrap(cockatielRetry(handleAll, { maxAttempts: 1 }), broken), { name: "wrapped" }),
    adopt(broken, { name: "breaker" }),
    adopt(bulkhead(3, 2), { name: "bulkhead" }),
    adopt(opossum(t, { name: "mail" }), { name: "opossum" }),
    adopt(new Bottleneck(), { name: "bottleneck" }),
  ];
  const client = createClient({ policies: [definePolicy({ name: "p", layers })] });
  await client.run("p", () => 1);
  broken.isolate();
  const shown = client.status().policies["p"]?.targets["run"] ?? [];
  const states = Object.fromEntries(shown.map(({ layer, state }) => [layer, state]));
  assert.deepEqual(states["wrapped"], {
    engine: "cockatiel",
    wrapped: [{ policy: "retry" }, { policy: "circuitBreaker", phase: "isolated" }],
  });
  assert.deepEqual(states["breaker"], { engine: "cockatiel", policy: "circuitBreaker", phase: "isolated" });
  assert.deepEqual(states["bulkhead"], { engine: "cockatiel", policy: "bulkhead", executionSlots: 3, queueSlots: 2 });
  const { engine, phase, name, enabled, stats } = states["opossum"] ?? {};
  assert.deepEqual({ engine, phase, name, enabled }, { engine: "opossum", phase: "closed", name: "mail", enabled: true });
  assert.equal((stats as { fires?: unknown }).fires, 1); // the cast: what opossum counts
  assert.deepEqual(Object.keys(states["bottleneck"]?.["counts"] ?? {}), ["RECEIVED", "QUEUED", "RUNNING", "EXECUTING"]);
  assert.deepEqual(JSON.parse(JSON.stringify(shown)), shown);
});
