// Warnings on questionable policies: each rule with what it warns of, with its figures, and what it leaves alone.
import assert from "node:assert/strict";
import { describe, suite, test } from "node:test";
import { noop } from "cockatiel";
import fc from "fast-check";
import {
  adopt,
  breaker,
  bulkhead,
  fault,
  idempotency,
  hedge,
  type LayerDefinition,
  type Match,
  parsePolicies,
  type Policy,
  type PolicyIssue,
  rateLimit,
  retry,
  route,
  standard,
  timeout,
  trace,
} from "../../src/index.ts";
import type { RouteMatch } from "../../src/layers/route/match/definition.ts";
import { type ProblemCode, problems } from "../../src/policy/problems.ts";
import { warningsOf } from "../../src/policy/warnings.ts";
import { documents, fencesOf, read } from "../docs/markdown.ts";
import { policies as anyPolicy } from "../harness/arbitraries.ts";

const warnings = (...policies: readonly Policy[]): readonly PolicyIssue[] =>
  warningsOf(
    parsePolicies(policies),
    policies.map((_policy, index) => `[${index}]`),
  );

const of = (...layers: readonly LayerDefinition[]): readonly PolicyIssue[] => warnings({ name: "p", layers });

const call = timeout("10s");
const attempt = timeout("1s");

interface Row {
  readonly layers: readonly LayerDefinition[];
  /** Of what the rule says: where, and a part of the message; absent: it says nothing. */
  readonly says?: readonly [path: string, message: RegExp];
}

/** For each code: layers, and what its rule says about them. What other rules say is theirs. */
const rows: Partial<Record<ProblemCode, Readonly<Record<string, Row>>>> = {
  PM0501: {
    "an attempt's timeout as long as the call's": {
      layers: [timeout("1s"), retry(), timeout("1000ms")],
      says: ["layers[2].after", /^1000ms is not shorter than the 1s of layers\[0\] around it/],
    },
    "two timeouts without a retry": { layers: [timeout("1s"), timeout("2s")], says: ["layers[1].after", /never falls due/] },
    "a shorter one inside": { layers: [timeout("1s"), retry(), timeout("999ms")] },
    "a longer one further out": { layers: [timeout("2s"), timeout("1s")] },
    "one in shadow around": { layers: [timeout({ after: "1s", shadow: true }), retry(), timeout("2s")] },
    "one in shadow inside": { layers: [timeout("1s"), retry(), timeout({ after: "2s", shadow: true })] },
  },
  PM0502: {
    "no budget": { layers: [call, retry({ budget: false, attempts: 4 })], says: ["layers[1].budget", /it gets 4 times the load/] },
    "a hedge without one": {
      layers: [call, hedge({ after: "50ms", max: 2, budget: false })],
      says: ["layers[1].budget", /while the peer is slow it gets 3 times the load/],
    },
    "a hedge within that of a retry": { layers: [call, retry(), hedge({ after: "50ms" })] },
    "a budget by default": { layers: [call, retry()] },
    "a budget of its own": { layers: [call, retry({ budget: { percent: 100 } })] },
    "one attempt": { layers: [call, retry({ attempts: 1, budget: false })] },
  },
  PM0503: {
    "a POST": { layers: [call, retry({ methods: ["GET", "POST"] })], says: ["layers[1].methods", /^a POST may be done up to 3 times/] },
    "every method": {
      layers: [call, retry({ methods: ["*"], attempts: 5 })],
      says: ["layers[1].methods", /^a POST or PATCH may be done up to 5 times/],
    },
    "a PATCH, where only POSTs have keys": {
      layers: [call, idempotency({ methods: ["POST"] }), retry({ methods: ["POST", "PATCH"] })],
      says: ["layers[2].methods", /^a PATCH may/],
    },
    "a POST with a key": { layers: [call, idempotency(), retry({ methods: ["GET", "POST"] })] },
    "every method with a key": { layers: [call, idempotency({ methods: ["*"] }), retry({ methods: ["*"] })] },
    "idempotent methods": { layers: [call, retry({ methods: ["GET", "PUT", "DELETE"] })] },
    "the methods by default": { layers: [call, retry()] },
    "one attempt": { layers: [call, retry({ attempts: 1, methods: ["*"] })] },
  },
  PM0504: {
    "five attempts of one second in two": {
      layers: [timeout("2s"), retry({ attempts: 5, backoff: { base: "0ms" } }), timeout("1s")],
      says: ["layers[1].attempts", /^attempt 2 of 5 is the last .* each takes up to 1 s, and layers\[0\] ends the call after 2s/],
    },
    "waits that take all the time": {
      layers: [timeout("3s"), retry({ attempts: 4, backoff: { base: "2s", max: "10s" } }), timeout("100ms")],
      says: ["layers[1].attempts", /^attempt 2 of 4 is the last/],
    },
    "time to start the last, though not to end it": {
      layers: [timeout("2500ms"), retry({ attempts: 3, backoff: { base: "0ms" } }), timeout("1s")],
      says: [
        "layers[1].attempts",
        /^attempt 3 of 3 has 500 ms of its 1 s when those before it run .* layers\[0\] ends the call after 2500ms$/,
      ],
    },
    "waits that take some of the last attempt's time": {
      layers: [timeout("3s"), retry({ attempts: 3, backoff: { base: "200ms" } }), timeout("1s")],
      says: ["layers[1].attempts", /^attempt 3 of 3 has 700 ms of its 1 s/],
    },
    "less than a tenth of the last attempt's time": { layers: [timeout("3s"), retry({ attempts: 3 }), timeout("1s")] },
    "one attempt that is cut": {
      layers: [timeout("2s"), retry({ attempts: 1 }), bulkhead({ limit: 5, queue: { size: 5 } }), timeout("1500ms")],
    },
    "time enough": { layers: [call, retry(), attempt] },
    "no timeout for attempts": { layers: [timeout("2s"), retry({ attempts: 100, backoff: { base: "0ms" } })] },
    "no timeout for the call": { layers: [retry({ attempts: 5 }), attempt] },
    "a timeout for the call in shadow": { layers: [timeout({ after: "2s", shadow: true }), retry({ attempts: 5 }), attempt] },
    "queues inside": {
      layers: [timeout("5s"), retry({ attempts: 3 }), bulkhead({ limit: 5, queue: { size: 5, timeout: "4s" } }), timeout("1s")],
      says: ["layers[1].attempts", /^attempt 1 of 3 .* each takes up to 5 s/],
    },
  },
  PM0505: {
    "a breaker before retry": {
      layers: [call, breaker({ trip: { failureRate: 0.5, minCalls: 20, window: "10s" } }), retry(), attempt],
      says: ["layers[1]", /opens after 20 failed calls or more, up to 60 sends/],
    },
    "the fewest of several trips": {
      layers: [call, breaker({ trip: [{ consecutive: 1 }, { failureRate: 0.5, minCalls: 20, window: "10s" }] }), retry(), attempt],
      says: ["layers[1]", /opens after 1 failed call or more, up to 3 sends/],
    },
    "one before and one after": { layers: [call, breaker(), retry(), breaker(), attempt] },
    "one after": { layers: [call, retry(), breaker(), attempt] },
    "no retry": { layers: [call, breaker()] },
    "one that looks at slow calls only": {
      layers: [call, breaker({ trip: { slowRate: 0.5, slowerThan: "5s", minCalls: 20, window: "1m" } }), retry(), attempt],
    },
    "one in shadow": { layers: [call, breaker({ shadow: true }), retry(), attempt] },
  },
  PM0506: {
    "a rate limit after retry": {
      layers: [call, retry({ attempts: 4 }), rateLimit({ rate: 100, per: "1s" }), attempt],
      says: ["layers[2]", /when all fail, 100 per 1s is 25 calls, and a refused attempt ends the call though attempts are left$/],
    },
    "a rate limit with a queue": {
      layers: [call, retry(), rateLimit({ rate: 100, per: "1s", queue: { size: 5 } }), attempt],
      says: ["layers[2]", /100 per 1s is 33\.33 calls$/],
    },
    "a bulkhead without a queue": {
      layers: [call, retry({ on: ["5xx", "refusal"] }), bulkhead({ limit: 5 }), attempt],
      says: ["layers[2]", /has no queue, so each attempt has to find a place anew$/],
    },
    "a bulkhead with a queue": { layers: [call, retry(), bulkhead({ limit: 5, queue: { size: 5 } }), attempt] },
    "limiters before retry": { layers: [rateLimit({ rate: 100, per: "1s" }), bulkhead({ limit: 5 }), call, retry(), attempt] },
    "no retry": { layers: [call, rateLimit({ rate: 100, per: "1s" }), bulkhead({ limit: 5 })] },
  },
  PM0507: {
    "retry in retry": {
      layers: [call, retry({ attempts: 2 }), retry({ attempts: 5 }), attempt],
      says: ["layers[2]", /^is inside the retry of layers\[1\]: a call is sent up to 2 x 5 = 10 times$/],
    },
    "one that does not repeat": { layers: [call, retry({ attempts: 1 }), retry(), attempt] },
  },
  PM0510: {
    "a retry alone": { layers: [retry()], says: ["layers[0]", /an attempt that hangs is never repeated/] },
    "a breaker alone": { layers: [trace(), breaker()], says: ["layers[1]", /a call that hangs does not count as a failure/] },
    "a bulkhead alone": { layers: [bulkhead({ limit: 1 })], says: ["layers[0]", /a call that hangs keeps its place/] },
    "a timeout in shadow only": { layers: [timeout({ after: "1s", shadow: true }), retry()], says: ["layers[1]", /there is no timeout/] },
    "any timeout": { layers: [retry(), breaker(), attempt] },
    "layers that rely on none": { layers: [trace(), rateLimit({ rate: 1, per: "1s" }), idempotency()] },
    "an adopted instance, which may be one": { layers: [retry(), adopt(noop)] },
    "no layers": { layers: [] },
  },
  PM0511: {
    "a limit in shadow": {
      layers: [rateLimit({ rate: 1, per: "1s", shadow: true })],
      says: ["layers[0].shadow", /^the rateLimit layer only reports/],
    },
    "shadow that is off": { layers: [rateLimit({ rate: 1, per: "1s", shadow: false })] },
  },
  PM0512: {
    "a fault": {
      layers: [fault({ delay: { for: "200ms", percent: 10 }, abort: { code: "unavailable", percent: 5 } })],
      says: ["layers[0]", /^delays 10 % of calls by 200ms and fails 5 % of calls with unavailable on purpose$/],
    },
    "a fault that never happens": { layers: [fault({ abort: { status: 503, percent: 0 } })] },
    "a fault in shadow": { layers: [fault({ abort: { status: 503, percent: 5 }, shadow: true })] },
  },
  PM0513: {
    "fewer calls pass the rate limit": {
      layers: [
        rateLimit({ rate: 2, per: "1s" }),
        call,
        breaker({ trip: [{ consecutive: 5 }, { failureRate: 0.5, minCalls: 20, window: "5s" }] }),
      ],
      says: ["layers[2].trip[1].minCalls", /^20 calls do not come in 5s: the rate limit of layers\[0\] lets at most 12 pass$/],
    },
    "too many a second": {
      layers: [call, breaker({ trip: { slowRate: 0.5, slowerThan: "1s", minCalls: 5_000, window: "1s" } })],
      says: ["layers[1].trip.minCalls", /^5000 calls in 1s are 5000 a second/],
    },
    "attempts that make up for it": {
      layers: [
        rateLimit({ rate: 2, per: "1s" }),
        call,
        retry({ attempts: 2 }),
        breaker({ trip: { failureRate: 0.5, minCalls: 20, window: "5s" } }),
        attempt,
      ],
    },
    "a limit for each key": {
      layers: [rateLimit({ rate: 1, per: "1s", key: { header: "x-tenant" } }), call, breaker()],
    },
    "a limit inside": { layers: [call, breaker(), rateLimit({ rate: 1, per: "1s" })] },
    "a burst that suffices": { layers: [rateLimit({ rate: 1, per: "1s", burst: 20 }), call, breaker()] },
  },
  PM0514: {
    "one attempt": { layers: [call, retry({ attempts: 1 })], says: ["layers[1]", /^never repeats a call: attempts is 1$/] },
    "a budget of nothing": {
      layers: [call, retry({ budget: { percent: 0, min: 0 } })],
      says: ["layers[1]", /its budget has no place for a retry$/],
    },
    "a budget by share alone": { layers: [call, retry({ budget: { min: 0 } })] },
  },
  PM0540: {
    "a bucket that is full before anybody asks": {
      layers: [rateLimit({ rate: 1_000, per: "1s", burst: 24, shared: true })],
      says: ["layers[0].burst", /^a burst of 24 is 24 ms of 1000 per 1s: processes lease their part every 25ms/],
    },
    "one that holds long enough": { layers: [rateLimit({ rate: 1_000, per: "1s", burst: 25, shared: true })] },
    "a rate of less than a call in that time": { layers: [rateLimit({ rate: 30, per: "1s", burst: 1, shared: true })] },
    "a limit of one process": { layers: [rateLimit({ rate: 1_000, per: "1s", burst: 1 })] },
  },
  PM0515: {
    "a key inside retry": {
      layers: [call, retry(), idempotency()],
      says: ["layers[2]", /which does not see its key and so does not repeat POST, PATCH$/],
    },
    "a key before retry": { layers: [call, idempotency(), retry()] },
    "a key inside a retry that repeats all": { layers: [call, retry({ methods: ["*"] }), idempotency()] },
    "no retry": { layers: [call, idempotency()] },
  },
};

for (const [code, cases] of Object.entries(rows)) {
  describe(`${code} (${problems[code as ProblemCode].title})`, () => {
    for (const [name, { layers, says }] of Object.entries(cases)) {
      test(`${says === undefined ? "leaves alone" : "warns of"} ${name}`, () => {
        const found = of(...layers).filter((issue) => issue.code === code);
        if (says === undefined) return assert.deepEqual(found, []);
        const [path, message] = says;
        assert.equal(found.length, 1, JSON.stringify(found));
        assert.equal(found[0]?.path, `[0].${path}`);
        assert.match(found[0]?.message ?? "", message);
        assert.equal(found[0]?.policy, "p");
        return undefined;
      });
    }
  });
}

suite("a retry for none of the policy's methods", () => {
  const found = (match: readonly Match[] | undefined, ...layers: readonly LayerDefinition[]): readonly string[] =>
    warnings({ name: "p", ...(match === undefined ? {} : { match }), layers: [call, ...layers, attempt] })
      .filter(({ code }) => code === "PM0516")
      .map(({ path, message }) => `${path} ${message}`);
  const posts: readonly Match[] = [{ host: "h", methods: ["POST"] }];

  test("warns of POSTs without a key", () => {
    const [says, ...more] = found([...posts, { host: "g", methods: ["PATCH", "POST"] }], retry());
    assert.match(
      says ?? "",
      /^\[0\]\.layers\[1\] does not repeat POST or PATCH, and the policy is for nothing else: only what the peer never saw/,
    );
    assert.deepEqual(more, []);
  });

  const fine: Readonly<Record<string, readonly [match: readonly Match[] | undefined, ...layers: readonly LayerDefinition[]]>> = {
    "POSTs with a key": [posts, idempotency(), retry()],
    "POSTs that the retry names": [posts, retry({ methods: ["POST"] })],
    "POSTs with a key inside retry, which has a warning of its own": [posts, retry(), idempotency()],
    "a method that is repeated among them": [[{ host: "h", methods: ["POST", "GET"] }], retry()],
    "an entry for every method": [[...posts, { host: "g" }], retry()],
    "RPCs, whose service says which may be repeated": [[{ service: "p.S", methods: ["POST"] }], retry()],
    "a policy that is used by name": [undefined, retry()],
    "a retry that never repeats": [posts, retry({ attempts: 1 })],
  };
  for (const [name, [match, ...layers]] of Object.entries(fine)) {
    test(`leaves alone ${name}`, () => {
      assert.deepEqual(found(match, ...layers), []);
    });
  }
});

suite("entries of a route", () => {
  const found = (...matches: readonly (RouteMatch | undefined)[]): readonly string[] => {
    const to = matches.map((match, at) => ({ endpoints: [`http://10.0.0.${at + 1}`], ...(match === undefined ? {} : { match }) }));
    return of(route({ to })).map(({ code, path, message }) => `${code} ${path} ${message}`);
  };
  const never = (at: number, by: number): string =>
    `PM0508 [0].layers[0].to[${at}].match never fits: to[${by}] stands before it and takes all its calls`;

  const cases: Readonly<Record<string, readonly [matches: readonly (RouteMatch | undefined)[], found: readonly string[]]>> = {
    "behind the entry for every call": [[undefined, { path: "/x" }], [never(1, 0)]],
    "behind a shorter path": [
      [{ path: "/x/" }, { path: "/x/y" }, { path: { exact: "/x" } }],
      [never(1, 0), never(2, 0)],
    ],
    "behind more methods": [
      [
        { path: "/", methods: ["GET", "PUT"] },
        { path: "/x", methods: ["PUT"] },
      ],
      [never(1, 0)],
    ],
    "behind fewer fields": [
      [
        { headers: [{ name: "x-a", exact: "1" }] },
        {
          headers: [
            { name: "X-A", exact: "1" },
            { name: "x-b", present: true },
          ],
          path: "/x",
        },
      ],
      [never(1, 0)],
    ],
    "behind the same expression": [[{ path: { regex: "/a+" } }, { path: { regex: "/a+" }, methods: ["GET"] }], [never(1, 0)]],
    "a method behind its service": [[{ service: "p.S" }, { service: "p.S", method: "M" }], [never(1, 0)]],
    "a service behind POST": [[{ methods: ["POST"] }, { service: "p.S" }], [never(1, 0)]],
    "the same match in other words": [[{ path: "/x" }, { path: "/x/" }], [never(1, 0)]],
    "one that stands twice is named once": [[undefined, { path: "/x" }, { path: "/x" }], [never(1, 0)]],
    "the entry for every call last": [[{ path: "/x/y" }, { path: "/x" }, undefined], []],
    "the same match, which is one rule": [[{ path: "/x" }, { path: "/x" }, undefined, undefined], []],
    "a path that only begins alike": [[{ path: "/x" }, { path: "/xy" }], []],
    "an exact path before a prefix": [[{ path: { exact: "/x" } }, { path: "/x" }], []],
    "an expression before a path": [[{ path: { regex: "/x.*" } }, { path: "/x" }], []],
    "fields with other values": [[{ query: [{ name: "q", exact: "1" }] }, { query: [{ name: "q", exact: "2" }] }], []],
    "fields of another place": [[{ query: [{ name: "q", exact: "1" }] }, { headers: [{ name: "q", exact: "1" }] }], []],
    "a path before a service, whose calls have paths of their own": [[{ path: "/p.S" }, { service: "p.S" }], []],
    "other methods": [[{ methods: ["GET"] }, { methods: ["GET", "PUT"] }], []],
    "a service before calls that are none": [[{ service: "p.S" }, { path: "/p.S/M" }], []],
  };
  for (const [name, [matches, expected]] of Object.entries(cases)) {
    test(`${expected.length === 0 ? "that are fine" : "to warn of"}: ${name}`, () => {
      assert.deepEqual(found(...matches), expected);
    });
  }
});

suite("matches", () => {
  const policy = (name: string, ...match: readonly Match[]): Policy => ({ name, match, layers: [] });
  const found = (...policies: readonly Policy[]): readonly string[] => warnings(...policies).map(({ code, path }) => `${code} ${path}`);

  const cases: Readonly<Record<string, readonly [policies: readonly Policy[], found: readonly string[]]>> = {
    "the same host in two policies": [
      [policy("a", { host: "api.internal" }), policy("b", { host: "API.internal" })],
      ["PM0508 [1].match[0]"],
    ],
    "the same entry twice in one policy": [[policy("a", { host: "*" }, { path: "/" })], ["PM0508 [0].match[1]"]],
    "methods that others have taken": [
      [
        policy("a", { host: "h", methods: ["GET"] }),
        policy("b", { host: "h", methods: ["POST"] }),
        policy("c", { host: "h", methods: ["POST", "GET"] }),
      ],
      ["PM0508 [2].match[0]"],
    ],
    "methods that overlap": [
      [policy("a", { host: "h", methods: ["GET", "POST"] }), policy("b", { host: "h", methods: ["POST", "PUT"] })],
      ["PM0509 [1].match[0]"],
    ],
    "methods that overlap in one policy": [
      [policy("a", { host: "h", methods: ["GET", "POST"] }, { host: "h", methods: ["POST", "PUT"] })],
      [],
    ],
    "methods beside none": [[policy("a", { host: "h" }), policy("b", { host: "h", methods: ["POST"] })], []],
    "a wildcard beside a host": [
      [policy("a", { host: "*" }), policy("b", { host: "*.internal" }), policy("c", { host: "api.internal" })],
      [],
    ],
    "a port beside none": [[policy("a", { host: "h" }), policy("b", { host: "h:80" })], []],
    "paths of other lengths": [[policy("a", { host: "h", path: "/v1" }), policy("b", { host: "h", path: "/v1/x" })], []],
    "a path with a slash at its end": [
      [policy("a", { host: "h", path: "/v1" }), policy("b", { host: "h", path: "/v1/" })],
      ["PM0508 [1].match[0]"],
    ],
    "the same service": [[policy("a", { service: "p.S" }), policy("b", { service: "p.S" })], ["PM0508 [1].match[0]"]],
    "a service and its method": [
      [policy("a", { service: "p.S" }), policy("b", { service: "p.S", method: "M" }), policy("c", { service: "*" })],
      [],
    ],
    "a service without POST": [[policy("a", { service: "p.S", methods: ["GET"] })], ["PM0508 [0].match[0]"]],
    "one for calls that come in": [[policy("a", { host: "h", inbound: true })], []],
    "the same host for calls of both directions": [[policy("a", { host: "h", inbound: true }, { host: "h" })], []],
    "twice for calls that come in": [[policy("a", { host: "h", inbound: true }, { host: "h", inbound: true })], ["PM0508 [0].match[1]"]],
    "policies without matches": [[{ name: "a", layers: [] }, policy("b")], []],
  };
  for (const [name, [policies, expected]] of Object.entries(cases)) {
    test(`${expected.length === 0 ? "that are fine" : "to warn of"}: ${name}`, () => {
      assert.deepEqual(found(...policies), expected);
    });
  }

  test("the warning names who gets the calls", () => {
    const [issue] = warnings(policy("a", { host: "h" }), policy("b", { host: "h" }));
    assert.match(issue?.message ?? "", /^never fits: all its calls go to match\[0\] of policy "a"$/);
  });

  test("ten thousand entries of one host take no time to speak of", () => {
    const many = Array.from({ length: 10 }, (_, index) =>
      policy(`p${index}`, ...Array.from({ length: 1_000 }, (_entry, at) => ({ host: "h", methods: [`M${index}-${at}`, "GET"] }))),
    );
    assert.equal(warnings(...many).length, 9_000); // each overlaps in GET with the first policy's; within a policy that is no matter
  });
});

suite("no warnings", () => {
  test("on standard()", () => {
    assert.deepEqual(of(...standard()), []);
    assert.deepEqual(of(...standard({ timeout: "5s", attemptTimeout: "1s" })), []);
  });

  test("on the policy file among the examples", () => {
    assert.deepEqual(warningsOf(parsePolicies(read("examples/policy-file/policies.yaml")), [""]), []);
  });

  test("on the policies of the documentation, but for those that are meant so", () => {
    for (const { line, document, language, marks, text } of documents().flatMap(fencesOf)) {
      if ((language !== "yaml" && language !== "json") || marks.has("gives") || marks.has("scenario") || marks.has("endpoints")) continue;
      const codes = new Set(warningsOf(parsePolicies(text), []).map(({ code }) => code));
      assert.deepEqual([...codes].join(" "), marks.get("warns") ?? "", `${document}:${line}`);
    }
  });
});

test("no rule throws on any policies, and each code is a warning of the table with a path into its policy", () => {
  fc.assert(
    fc.property(fc.uniqueArray(anyPolicy, { minLength: 1, maxLength: 4, selector: ({ name }) => name }), (policies) => {
      for (const { code, path, message, hint } of warningsOf(policies, [])) {
        assert.equal(problems[code as ProblemCode].severity, "warning", code);
        assert.match(path, /^(?:layers|match)\[\d+\]/);
        assert.ok(message.length > 0 && (hint ?? "").length > 0);
        assert.doesNotMatch(message, /NaN|undefined|Infinity/);
      }
    }),
  );
});
