// What the compiler must refuse. `tsc -p test/tsconfig.json` checks this file: an error that is expected and does not come is an error.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  adopt,
  breaker,
  bulkhead,
  createClient,
  definePolicy,
  type Duration,
  fallback,
  fault,
  idempotency,
  type LayerDefinition,
  type Policy,
  rateLimit,
  retry,
  standard,
  timeout,
  trace,
} from "../../src/index.ts";

/** Never called: only its types are of interest. */
export function refusedByTheCompiler(): void {
  // units
  // @ts-expect-error -- a number is no duration
  timeout(5);
  // @ts-expect-error -- nor is a number without unit
  timeout("5");
  // @ts-expect-error -- days are no unit
  timeout("5d");
  // @ts-expect-error -- nor are seconds in words
  timeout("5 seconds");
  // @ts-expect-error -- a duration is text
  const span: Duration = 5;
  // @ts-expect-error -- as above, in a field
  rateLimit({ rate: 5, per: 1_000 });
  // @ts-expect-error -- as above, deep in a field
  retry({ backoff: { base: 25 } });
  // @ts-expect-error -- as above, in a queue
  bulkhead({ limit: 5, queue: { size: 1, timeout: 5 } });

  // fields
  // @ts-expect-error -- misspelt
  retry({ attempt: 3 });
  // @ts-expect-error -- misspelt, deep
  retry({ backoff: { initial: "1s" } });
  // @ts-expect-error -- of another kind
  timeout({ after: "1s", attempts: 3 });
  // @ts-expect-error -- retry does not refuse, so it has no shadow
  retry({ shadow: true });
  // @ts-expect-error -- nor does trace
  trace({ shadow: true });
  // @ts-expect-error -- nor does idempotency
  idempotency({ shadow: true });
  // @ts-expect-error -- nor does fallback
  fallback({ response: { status: 200 }, shadow: true });
  // @ts-expect-error -- an adopted layer neither
  adopt({ schedule: (job) => job().then((value) => value), counts: () => ({}), stop: () => Promise.resolve() }, { shadow: true });
  // @ts-expect-error -- what has no shape of the three is not adopted
  adopt({ retry: 3 });
  // @ts-expect-error -- text is no number
  retry({ attempts: "3" });
  // @ts-expect-error -- `true` is no budget
  retry({ budget: true });
  // @ts-expect-error -- not a condition
  retry({ on: ["4xx"] });
  // @ts-expect-error -- not a gRPC status of ours
  breaker({ on: ["UNAVAILABLE"] });

  // what is required
  // @ts-expect-error -- a timeout of what?
  timeout();
  // @ts-expect-error -- a limit of what?
  bulkhead({});
  // @ts-expect-error -- per what?
  rateLimit({ rate: 5 });
  // @ts-expect-error -- with what?
  fallback({});
  // @ts-expect-error -- how often?
  fault({ abort: { status: 503 } });
  // @ts-expect-error -- over which window?
  breaker({ trip: { failureRate: 0.5, minCalls: 5 } });
  // @ts-expect-error -- slower than what?
  breaker({ trip: { slowRate: 0.5, minCalls: 5, window: "1s" } });

  // combinations
  // @ts-expect-error -- two conditions belong in a list
  breaker({ trip: { consecutive: 5, failureRate: 0.5, minCalls: 5, window: "1s" } });
  // @ts-expect-error -- status or code
  fault({ abort: { status: 503, code: "unavailable", percent: 5 } });
  // @ts-expect-error -- a fixed answer or a target
  fallback({ response: { status: 200, target: 5 } });

  // policies
  // @ts-expect-error -- without a name
  definePolicy({ layers: [] });
  // @ts-expect-error -- without layers
  definePolicy({ name: "p" });
  // @ts-expect-error -- an options object is no layer
  definePolicy({ name: "p", layers: [{ attempts: 3 }] });
  // @ts-expect-error -- no such kind
  definePolicy({ name: "p", layers: [{ kind: "retri" }] });
  // @ts-expect-error -- a builder that was not called
  definePolicy({ name: "p", layers: [retry] });
  // @ts-expect-error -- misspelt
  definePolicy({ name: "p", matches: [], layers: [] });
  // @ts-expect-error -- match is a list
  definePolicy({ name: "p", match: { host: "*" }, layers: [] });
  // @ts-expect-error -- no such field of a match
  definePolicy({ name: "p", match: [{ hosts: ["*"] }], layers: [] });
  // @ts-expect-error -- a switch of standard() is false or options
  standard({ retry: true });

  // definitions are readonly
  const policy = definePolicy({ name: "p", layers: [retry()] });
  // @ts-expect-error -- readonly
  policy.name = "q";
  // @ts-expect-error -- readonly
  policy.layers.push(trace());
  // @ts-expect-error -- readonly
  retry().attempts = 5;

  // clients
  // @ts-expect-error -- policies are a list
  createClient({ policies: policy });
  // @ts-expect-error -- misspelt
  createClient({ policies: [], clock: Date.now });
  const client = createClient({ policies: [policy] });
  // @ts-expect-error -- no such option
  void client.fetch("http://a.internal", { premesh: { polcy: "p" } });
  // @ts-expect-error -- work is a function
  void client.run("p", 5);
  // @ts-expect-error -- run gives what the work gives
  void client.run("p", () => 5).then((text: string) => text);
  void span;
}

test("what is written by hand is the type that builders give", () => {
  const layers: readonly LayerDefinition[] = [
    trace(),
    { kind: "trace" },
    timeout("1.5s"),
    { kind: "timeout", after: "1.5s" },
    retry({ on: ["5xx", 409, "unavailable"], budget: false, retryAfter: false }),
    breaker({ trip: [{ consecutive: 5 }, { slowRate: 0.5, slowerThan: "1s", minCalls: 5, window: "1m" }] }),
    fault({ abort: { code: "unavailable", percent: 5 } }),
  ];
  const policy: Policy = { name: "p", layers: layers.slice(1) };
  assert.equal(definePolicy(policy).layers.length, layers.length - 1);
  assert.equal(typeof refusedByTheCompiler, "function");
});
