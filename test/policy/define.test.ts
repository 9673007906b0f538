// definePolicy and the builders: what they give is frozen JSON, and what is wrong is told all at once, each with its path.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  breaker,
  bulkhead,
  definePolicy,
  fallback,
  fault,
  idempotency,
  type LayerDefinition,
  parsePolicies,
  type Policy,
  PolicyError,
  type PolicyIssue,
  rateLimit,
  retry,
  route,
  standard,
  timeout,
  trace,
} from "../../src/index.ts";

/** The issues of a policy with this one layer; each path is that within the layer. */
function issuesOf(layer: unknown): PolicyIssue[] {
  return issuesOfPolicy({ name: "p", layers: [layer] }).map((issue) => ({ ...issue, path: issue.path.replace(/^layers\[0\]\.?/, "") }));
}

function issuesOfPolicy(policy: unknown): readonly PolicyIssue[] {
  try {
    definePolicy(policy as Policy); // the cast: that is what is tested
  } catch (error) {
    assert.ok(error instanceof PolicyError, String(error));
    assert.equal(error.code, "ERR_PREMESH_INVALID_POLICY");
    for (const { path, message } of error.issues) assert.ok(error.message.includes(message), `the message names ${path}`);
    return error.issues;
  }
  return assert.fail("it was taken");
}

describe("each builder", () => {
  const built: Readonly<Record<string, readonly [made: LayerDefinition, json: unknown]>> = {
    trace: [trace(), { kind: "trace" }],
    rateLimit: [rateLimit({ rate: 5, per: "1s", queue: { size: 1 } }), { kind: "rateLimit", rate: 5, per: "1s", queue: { size: 1 } }],
    bulkhead: [bulkhead({ limit: 3, shadow: true }), { kind: "bulkhead", limit: 3, shadow: true }],
    timeout: [timeout("2s"), { kind: "timeout", after: "2s" }],
    "timeout with a name": [timeout({ after: "2s", name: "whole" }), { kind: "timeout", after: "2s", name: "whole" }],
    retry: [retry({ backoff: { base: "1ms" }, on: ["5xx", 409] }), { kind: "retry", backoff: { base: "1ms" }, on: ["5xx", 409] }],
    breaker: [breaker({ trip: [{ consecutive: 5 }] }), { kind: "breaker", trip: [{ consecutive: 5 }] }],
    fallback: [
      fallback({ response: { status: 200, body: { items: [] } } }),
      { kind: "fallback", response: { status: 200, body: { items: [] } } },
    ],
    fault: [fault({ abort: { status: 503, percent: 5 } }), { kind: "fault", abort: { status: 503, percent: 5 } }],
    idempotency: [idempotency(), { kind: "idempotency" }],
  };
  for (const [name, [made, json]] of Object.entries(built)) {
    test(`gives frozen JSON: ${name}`, () => {
      assert.deepEqual(made, json);
      assert.equal(JSON.stringify(made), JSON.stringify(json), "kind comes first, and nothing is lost in JSON");
      const frozenAll = (value: unknown): boolean =>
        typeof value !== "object" || value === null || (Object.isFrozen(value) && Object.values(value).every(frozenAll));
      assert.ok(frozenAll(made));
    });
  }

  test("given nothing, still makes a definition for the check to name", () => {
    for (const nothing of [undefined, null, 5])
      assert.deepEqual(
        issuesOf(route(nothing as never)).map(({ path, code }) => `${code} ${path}`),
        ["PM0202 to"],
      );
  });

  test("leaves out what is undefined", () => {
    assert.deepEqual(Object.keys(retry({ attempts: undefined } as never)), ["kind"]); // the cast: exactOptionalPropertyTypes forbids it
  });

  test("copies: the caller's own objects stay as they are", () => {
    const on = ["5xx" as const];
    const made = retry({ on });
    on.pop();
    assert.deepEqual(made.on, ["5xx"]);
    assert.ok(!Object.isFrozen(on));
  });

  test("takes what contains itself without end, for the check to name", () => {
    const body: Record<string, unknown> = {};
    body["self"] = body;
    assert.match(issuesOf(fallback({ response: { status: 200, body } }))[0]?.message ?? "", /contains itself/);
  });
});

const DURATION = 'must be a duration such as "250ms", "2s" or "1m"';

/** Valid but for one field: `[path of the wrong field, layer, what the message says]`. */
const wrong: readonly (readonly [path: string, layer: object, message: RegExp | string])[] = [
  // fields that every layer has
  ["name", { kind: "trace", name: "" }, /must be 1 to 64 letters/],
  ["name", { kind: "trace", name: "a b" }, /must be 1 to 64 letters/],
  ["name", { kind: "trace", name: "x".repeat(65) }, /must be 1 to 64 letters/],
  ["name", { kind: "trace", name: null }, /must be 1 to 64 letters/],
  ["shadow", { kind: "timeout", after: "1s", shadow: "yes" }, /must be true or false/],
  ["shadow", { kind: "trace", shadow: true }, /is not a known field/],
  ["shadow", { kind: "retry", shadow: true }, /is not a known field/],
  // timeout
  ["after", { kind: "timeout" }, /is missing/],
  ["after", { kind: "timeout", after: 5 }, DURATION],
  ["after", { kind: "timeout", after: "5" }, DURATION],
  ["after", { kind: "timeout", after: "-5s" }, DURATION],
  ["after", { kind: "timeout", after: "5 s" }, DURATION],
  ["after", { kind: "timeout", after: "1e3ms" }, DURATION],
  ["after", { kind: "timeout", after: "05s" }, DURATION],
  ["after", { kind: "timeout", after: "5d" }, DURATION],
  ["after", { kind: "timeout", after: "0s" }, "must be longer than 0"],
  ["after", { kind: "timeout", after: "25h" }, "must be at most 24h"],
  ["after", { kind: "timeout", after: `${"9".repeat(400)}s` }, "must be at most 24h"],
  ["after", { kind: "timeout", after: new Date(0) }, DURATION],
  ["after", { kind: "timeout", after: ["1s"] }, DURATION],
  ["after", { kind: "timeout", after: () => "1s" }, DURATION],
  // retry
  ["attempts", { kind: "retry", attempts: 0 }, "must be a whole number from 1 to 100; got 0"],
  ["attempts", { kind: "retry", attempts: -1 }, "must be a whole number from 1 to 100; got -1"],
  ["attempts", { kind: "retry", attempts: 101 }, /got 101/],
  ["attempts", { kind: "retry", attempts: 1.5 }, /got 1.5/],
  ["attempts", { kind: "retry", attempts: Number.NaN }, /got NaN/],
  ["attempts", { kind: "retry", attempts: Number.POSITIVE_INFINITY }, /got Infinity/],
  ["attempts", { kind: "retry", attempts: "3" }, /got "3"/],
  ["attempts", { kind: "retry", attempts: 3n }, /got 3/],
  ["attempts", { kind: "retry", attempts: null }, /got null/],
  ["attempts", { kind: "retry", attempts: Symbol("x") }, /got Symbol\(x\)/],
  ["on", { kind: "retry", on: [] }, "must name at least one outcome"],
  ["on", { kind: "retry", on: "5xx" }, /./],
  ["on[0]", { kind: "retry", on: ["6xx"] }, /must be an HTTP status from 400 to 599 or one of/],
  ["on[1]", { kind: "retry", on: ["5xx", 200] }, /from 400 to 599; got 200/],
  ["methods", { kind: "retry", methods: [] }, "must name at least one method"],
  ["methods[0]", { kind: "retry", methods: ["post"] }, /must be an HTTP method in upper case/],
  ["methods[0]", { kind: "retry", methods: ["GE T"] }, /must be an HTTP method in upper case/],
  ["statuses[0]", { kind: "retry", statuses: [200] }, /from 400 to 599/],
  ["backoff.base", { kind: "retry", backoff: { base: 25 } }, DURATION],
  ["backoff.max", { kind: "retry", backoff: { base: "2s", max: "1s" } }, /is shorter than backoff.base/],
  ["backoff.factor", { kind: "retry", backoff: { factor: 2 } }, /is not a known field/],
  ["budget.percent", { kind: "retry", budget: { percent: 101 } }, /percentage from 0 to 100/],
  ["budget.percent", { kind: "retry", budget: { percent: -1 } }, /percentage from 0 to 100/],
  ["budget.min", { kind: "retry", budget: { min: -1 } }, /whole number from 0/],
  ["budget", { kind: "retry", budget: true }, /./],
  ["retryAfter.max", { kind: "retry", retryAfter: { max: "x" } }, DURATION],
  ["retryAfter", { kind: "retry", retryAfter: true }, /./],
  ["buffer", { kind: "retry", buffer: -1 }, /whole number from 0/],
  ["buffer", { kind: "retry", buffer: 2 ** 31 }, /whole number from 0/],
  ["bakoff", { kind: "retry", bakoff: {} }, /is not a known field/],
  // breaker
  ["trip.failureRate", { kind: "breaker", trip: { failureRate: 0, minCalls: 1, window: "1s" } }, /above 0 and at most 1/],
  ["trip.failureRate", { kind: "breaker", trip: { failureRate: 50, minCalls: 1, window: "1s" } }, /above 0 and at most 1/],
  ["trip.minCalls", { kind: "breaker", trip: { failureRate: 0.5, minCalls: 0, window: "1s" } }, /whole number from 1/],
  ["trip.window", { kind: "breaker", trip: { failureRate: 0.5, minCalls: 5 } }, /is missing/],
  ["trip.slowerThan", { kind: "breaker", trip: { slowRate: 0.5, minCalls: 5, window: "1s" } }, /is missing/],
  ["trip.consecutive", { kind: "breaker", trip: { consecutive: 0 } }, /whole number from 1/],
  ["trip[1].consecutive", { kind: "breaker", trip: [{ consecutive: 1 }, { consecutive: "2" }] }, /whole number from 1/],
  ["openFor", { kind: "breaker", openFor: "0ms" }, "must be longer than 0"],
  ["maxOpenFor", { kind: "breaker", openFor: "10s", maxOpenFor: "5s" }, /is shorter than openFor/],
  ["maxOpenFor", { kind: "breaker", maxOpenFor: "1s" }, /is shorter than openFor/],
  ["probes", { kind: "breaker", probes: 0 }, /whole number from 1/],
  // rateLimit
  ["rate", { kind: "rateLimit", per: "1s" }, /is missing/],
  ["rate", { kind: "rateLimit", rate: 0, per: "1s" }, /above 0/],
  ["rate", { kind: "rateLimit", rate: Number.POSITIVE_INFINITY, per: "1s" }, /above 0/],
  ["per", { kind: "rateLimit", rate: 1 }, /is missing/],
  ["burst", { kind: "rateLimit", rate: 1, per: "1s", burst: 0 }, /whole number from 1/],
  ["queue.size", { kind: "rateLimit", rate: 1, per: "1s", queue: {} }, /is missing/],
  ["queue.size", { kind: "rateLimit", rate: 1, per: "1s", queue: { size: 0 } }, /whole number from 1/],
  ["queue.timeout", { kind: "rateLimit", rate: 1, per: "1s", queue: { size: 1, timeout: "0s" } }, "must be longer than 0"],
  ["key.header", { kind: "rateLimit", rate: 1, per: "1s", key: { header: "a b" } }, /must be a header field name/],
  // bulkhead
  ["limit", { kind: "bulkhead" }, /is missing/],
  ["limit", { kind: "bulkhead", limit: 0 }, /whole number from 1/],
  ["limit", { kind: "bulkhead", limit: 2e6 }, /whole number from 1/],
  ["queue", { kind: "bulkhead", limit: 1, queue: 5 }, /./],
  // fallback
  ["response", { kind: "fallback" }, /is missing/],
  ["response.status", { kind: "fallback", response: { status: 199 } }, /whole number from 200/],
  ["response.headers.a", { kind: "fallback", response: { status: 200, headers: { a: "b\r\nc" } } }, /without control characters/],
  ["response.headers.a", { kind: "fallback", response: { status: 200, headers: { a: 5 } } }, /./],
  ["response.body", { kind: "fallback", response: { status: 204, body: "x" } }, /has no body/],
  ["response.body", { kind: "fallback", response: { status: 200, body: () => 1 } }, /./],
  ["response.body.d", { kind: "fallback", response: { status: 200, body: { d: new Date(0) } } }, /./],
  ["response.body.n", { kind: "fallback", response: { status: 200, body: { n: Number.NaN } } }, /./],
  ["response.body.m", { kind: "fallback", response: { status: 200, body: { m: new Map() } } }, /./],
  [
    "response.body.__proto__",
    { kind: "fallback", response: { status: 200, body: JSON.parse('{"__proto__":{"a":1}}') } },
    /is not a known field/,
  ],
  [
    "response.headers.__proto__",
    { kind: "fallback", response: { status: 200, headers: JSON.parse('{"__proto__":"a"}') } },
    /is not a known field/,
  ],
  ["response.target", { kind: "fallback", response: { target: "backup" } }, /must be an origin/],
  ["response.target", { kind: "fallback", response: { target: "https://a/b" } }, /must be an origin/],
  ["response.target", { kind: "fallback", response: { target: "https://user:pw@a" } }, /must be an origin/],
  // fault
  ["", { kind: "fault" }, "must have delay or abort"],
  ["delay.percent", { kind: "fault", delay: { for: "1s" } }, /is missing/],
  ["delay.for", { kind: "fault", delay: { for: 5, percent: 1 } }, DURATION],
  ["abort.status", { kind: "fault", abort: { status: 200, percent: 1 } }, /from 400 to 599/],
  ["abort.code", { kind: "fault", abort: { code: "UNAVAILABLE", percent: 1 } }, /must be one of cancelled/],
  ["abort.percent", { kind: "fault", abort: { status: 500, percent: "5" } }, /percentage/],
  // idempotency
  ["header", { kind: "idempotency", header: "a:b" }, /must be a header field name/],
  ["methods[0]", { kind: "idempotency", methods: ["post"] }, /must be an HTTP method in upper case/],
  // kinds
  ["kind", { kind: "retri" }, /"retri" is not a kind of layer/],
  ["kind", { kind: 5 }, /5 is not a kind of layer/],
  ["kind", {}, /is missing/],
  ["kind", { kind: "toString" }, /is not a kind of layer/],
  ["kind", { kind: "__proto__" }, /is not a kind of layer/],
  ["kind", { kind: "mesh" }, /does not run yet/],
  ["address", { kind: "sidecar", address: "https://127.0.0.1:15001" }, /must be the address of a sidecar/],
  ["address", { kind: "sidecar", address: "unix:premesh.sock" }, /must be the address of a sidecar/],
  ["fallback", { kind: "sidecar", fallback: "retry" }, /must be "in-process" or "fail"/],
  // a layer that is none
  ["__proto__", JSON.parse('{"kind":"retry","__proto__":{"attempts":99}}'), /is not a known field/],
  ["constructor", { kind: "retry", constructor: 1 }, /is not a known field/],
];

describe("definePolicy names", () => {
  for (const [path, layer, message] of wrong) {
    const shown = `${"kind" in layer ? String(layer.kind) : "a layer"}: ${path === "" ? "the layer" : path} ${String(message)}`;
    test(`${shown} (${Object.values(layer)
      .map((value) => typeof value)
      .join(" ")}, row ${wrong.findIndex((row) => row[1] === layer)})`, () => {
      const issues = issuesOf(layer);
      assert.equal(issues.length, 1, JSON.stringify(issues));
      assert.equal(issues[0]?.path, path);
      if (typeof message === "string") assert.ok(issues[0]?.message.startsWith(message), issues[0]?.message);
      else assert.match(issues[0]?.message ?? "", message);
    });
  }

  const noPolicies: Readonly<Record<string, readonly [policy: unknown, paths: readonly string[]]>> = {
    undefined: [undefined, [""]],
    null: [null, [""]],
    "a number": [5, [""]],
    "a function": [() => 5, [""]],
    "an empty object": [{}, ["name", "layers"]],
    "a Map": [new Map(), ["name", "layers"]],
    "layers that are no list": [{ name: "p", layers: {} }, ["layers"]],
    "layers that are no layers": [
      { name: "p", layers: [null, 5, "retry", () => 1, new Date(0)] },
      ["layers[0]", "layers[1]", "layers[2]", "layers[3]", "layers[4].kind"],
    ],
    "too many layers": [{ name: "p", layers: Array.from({ length: 65 }, () => ({ kind: "timeout", after: "1s" })) }, ["layers"]],
    "a name that is no name": [{ name: "a/b", layers: [] }, ["name"]],
    "an unknown field": [{ name: "p", layers: [], matches: [] }, ["matches"]],
    "a match without fields": [{ name: "p", match: [{}], layers: [] }, ["match[0]"]],
    "a match that is no list": [{ name: "p", match: { host: "*" }, layers: [] }, ["match"]],
    "a host with a path": [{ name: "p", match: [{ host: "a/b" }], layers: [] }, ["match[0].host"]],
    "a host with a scheme": [{ name: "p", match: [{ host: "http://a" }], layers: [] }, ["match[0].host"]],
    "a wildcard within a host": [{ name: "p", match: [{ host: "a.*.b" }], layers: [] }, ["match[0].host"]],
    "a path without a slash": [{ name: "p", match: [{ host: "*", path: "v1" }], layers: [] }, ["match[0].path"]],
    "a path with a query": [{ name: "p", match: [{ host: "*", path: "/v1?a" }], layers: [] }, ["match[0].path"]],
    "no methods": [{ name: "p", match: [{ host: "*", methods: [] }], layers: [] }, ["match[0].methods"]],
    "a gRPC method without its service": [{ name: "p", match: [{ method: "Charge" }], layers: [] }, ["match[0].method"]],
    "two traces": [{ name: "p", layers: [trace(), trace()] }, ["layers[1]"]],
    "two idempotency layers": [{ name: "p", layers: [idempotency(), retry(), idempotency()] }, ["layers[2]"]],
    "a name twice in one policy": [
      { name: "p", layers: [timeout({ after: "1s", name: "t" }), timeout({ after: "2s", name: "t" })] },
      ["layers[1].name"],
    ],
  };
  for (const [name, [policy, paths]] of Object.entries(noPolicies)) {
    test(`what is wrong with ${name}`, () => {
      const found = new Set(issuesOfPolicy(policy).map(({ path }) => path));
      for (const path of paths) assert.ok(found.has(path), `${path} in ${[...found].join()}`);
    });
  }

  const types: Readonly<Record<string, readonly [policy: unknown, says: string]>> = {
    "a policy that is null": [null, "must be a policy: an object with name and layers; got null"],
    "a list in place of a policy": [[], "must be a policy: an object with name and layers; got a list"],
    "a layer that is a list": [{ name: "p", layers: [[]] }, "layers[0] must be an object; got a list"],
    "an object": [{ name: "p", layers: [{ kind: "retry", backoff: 5 }] }, "layers[0].backoff must be an object; got 5"],
    "false or an object": [{ name: "p", layers: [{ kind: "retry", budget: 5 }] }, "layers[0].budget must be false or an object; got 5"],
    "one object or several": [{ name: "p", layers: [{ kind: "breaker", trip: 5 }] }, "layers[0].trip must be an object or a list; got 5"],
    "a list": [{ name: "p", match: [{ methods: "GET" }], layers: [] }, 'match[0].methods must be a list; got "GET"'],
    "a text": [{ name: "p", match: [{ host: 5 }], layers: [] }, "match[0].host must be text; got 5"],
  };
  for (const [name, [policy, says]] of Object.entries(types)) {
    test(`in our own words, of the wrong type: ${name}`, () => {
      assert.deepEqual(
        issuesOfPolicy(policy).map(({ path, message }) => `${path} ${message}`.trim()),
        [says],
      );
    });
  }

  test("a text that holds nothing", () => {
    for (const text of ["", "# only a comment\n", "null"])
      assert.throws(() => parsePolicies(text), { issues: [{ code: "PM0112", path: "", message: "is empty: it holds no policy" }] });
  });

  test("every issue at once, each with its path", () => {
    const paths = issuesOfPolicy({
      name: "a b",
      layers: [
        { kind: "retri" },
        { kind: "retry", attempts: -3, bakoff: 1 },
        { kind: "breaker", trip: { failureRate: 2 } },
        { kind: "timeout", after: "-5s" },
        trace(),
        trace(),
      ],
    }).map(({ path }) => path);
    for (const path of [
      "name",
      "layers[0].kind",
      "layers[1].attempts",
      "layers[1].bakoff",
      "layers[2].trip.failureRate",
      "layers[2].trip.minCalls",
      "layers[3].after",
      "layers[5]",
    ]) {
      assert.ok(paths.includes(path), `${path} in ${paths.join()}`);
    }
  });

  test("what was probably meant", () => {
    assert.match(issuesOf({ kind: "retry", bakoff: {} })[0]?.hint ?? "", /"backoff"/);
    assert.match(issuesOf({ kind: "retri" })[0]?.hint ?? "", /"retry"/);
    assert.match(issuesOf({ kind: "nothing-like-it" })[0]?.hint ?? "", /trace, rateLimit, bulkhead/);
  });

  test("nothing into the prototype of anything", () => {
    issuesOf(JSON.parse('{"kind":"retry","__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}'));
    assert.equal(({} as { polluted?: unknown }).polluted, undefined); // the cast: only read
  });
});

describe("several policies together", () => {
  const policy = (name: string, ...layers: LayerDefinition[]): Policy => ({ name, layers });
  const issues = (policies: unknown): readonly PolicyIssue[] => {
    try {
      parsePolicies(policies);
    } catch (error) {
      assert.ok(error instanceof PolicyError);
      return error.issues;
    }
    return [];
  };

  test("have names apart", () => {
    assert.deepEqual(
      issues([policy("a"), policy("b"), policy("a")]).map(({ path }) => path),
      ["[2].name"],
    );
  });

  test("share a layer by name only where it is the same", () => {
    const same = [policy("a", bulkhead({ limit: 1, name: "db" })), policy("b", bulkhead({ limit: 1, name: "db" }))];
    const spelt = [policy("a", timeout({ after: "1s", name: "t" })), policy("b", timeout({ after: "1000ms", name: "t" }))];
    const other = [policy("a", bulkhead({ limit: 1, name: "db" })), policy("b", bulkhead({ limit: 2, name: "db" }))];
    assert.deepEqual(issues(same), []);
    assert.deepEqual(issues(spelt), []);
    assert.deepEqual(
      issues({ policies: other }).map(({ path }) => path),
      ["policies[1].layers[0]"],
    );
  });

  test("clash by their names and at their own places, whatever else is wrong with them", () => {
    const bad = { name: "bad", layers: [{ kind: "retri" }] };
    const good = { name: "good", layers: [{ kind: "retry", name: "same" }] };
    const same = [
      { name: "bad", layers: [] },
      { name: "other", layers: [{ kind: "timeout", after: "1s", name: "same" }] },
    ];
    assert.deepEqual(
      issues([bad, good, ...same]).map(({ code, path }) => [code, path]),
      [
        ["PM0208", "[0].layers[0].kind"],
        ["PM0305", "[2].name"],
        ["PM0306", "[3].layers[0]"],
      ],
    );
  });

  test("tell the issues of all of them", () => {
    const paths = issues([{ name: "a" }, { name: "b", layers: [{ kind: "x" }] }]).map(({ path }) => path);
    assert.deepEqual(paths, ["[0].layers", "[1].layers[0].kind"]);
  });

  test("come as a file, a list or one, and as nothing else", () => {
    const one = policy("a", retry());
    assert.deepEqual(parsePolicies(one), [one]);
    assert.deepEqual(parsePolicies([one]), [one]);
    assert.deepEqual(parsePolicies({ policies: [one] }), [one]);
    assert.deepEqual(parsePolicies({ $schema: "https://example.com/policy.schema.json", policies: [one] }), [one]);
    assert.deepEqual(parsePolicies("policies:\n  - name: a\n    layers:\n      - kind: retry\n"), [one]);
    assert.deepEqual(parsePolicies([]), []);
    assert.match(issues({ policies: {} })[0]?.message ?? "", /must be a list/);
    assert.equal(issues({ policies: [], extra: 1 })[0]?.path, "extra");
  });

  test("name the line of a mistake in YAML", () => {
    assert.equal(issues("name: a\nlayers: [")[0]?.line, 2);
  });
});

describe("standard()", () => {
  test("is rate limit, overall timeout, retry, breaker, attempt timeout", () => {
    assert.deepEqual(
      standard().map(({ kind }) => kind),
      ["rateLimit", "timeout", "retry", "breaker", "timeout"],
    );
    const policy = definePolicy({ name: "p", layers: standard() });
    assert.deepEqual(parsePolicies(JSON.stringify(policy)), [policy]);
    assert.ok(Object.isFrozen(standard()));
  });

  test("leaves out what is switched off, and takes what is given", () => {
    assert.deepEqual(standard({ rateLimit: false, timeout: false, retry: false, breaker: false, attemptTimeout: false }), []);
    const [first, second, third, fourth, fifth] = standard({
      rateLimit: { rate: 5, per: "1s" },
      timeout: "5s",
      retry: { attempts: 2 },
      breaker: { openFor: "1s" },
      attemptTimeout: "1s",
    });
    assert.deepEqual(first, rateLimit({ rate: 5, per: "1s" }));
    assert.deepEqual(second, timeout("5s"));
    assert.deepEqual(third, retry({ attempts: 2, backoff: { base: "200ms", max: "2s" } }));
    assert.deepEqual(fourth, breaker({ trip: { failureRate: 0.5, minCalls: 20, window: "30s" }, openFor: "1s" }));
    assert.deepEqual(fifth, timeout("1s"));
  });

  test("checks its options like any other layer", () => {
    assert.throws(() => definePolicy({ name: "p", layers: standard({ timeout: "soon" as never }) }), {
      code: "ERR_PREMESH_INVALID_POLICY",
    });
  });
});
