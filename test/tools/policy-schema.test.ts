// The JSON Schema of policy files: fresh, and of one mind with parsePolicies.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { suite, test } from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import { parsePolicies } from "../../src/index.ts";
import { policySchemaText, SCHEMA_FILE } from "./policy-schema.ts";

const text = readFileSync(SCHEMA_FILE, "utf8");
const valid = new Ajv2020({ strict: true, strictTypes: false, allowUnionTypes: true }).compile(JSON.parse(text) as object); // the cast: the schema's own text

const payments = {
  name: "payments",
  match: [
    { host: "API.Internal:8080", path: "/v1", methods: ["GET", "POST"] },
    { service: "payments.v1.Payments", inbound: true },
  ],
  layers: [
    { kind: "trace", name: "spans" },
    { kind: "idempotency", header: "X-Key", methods: ["*"] },
    {
      kind: "fallback",
      on: ["5xx", 429, "timeout"],
      response: { status: 200, headers: { "x-from": "fallback" }, body: { items: [1, null, "a"] } },
    },
    {
      kind: "rateLimit",
      rate: 12.5,
      per: "1.5s",
      burst: 3,
      queue: { size: 4, timeout: "20ms" },
      key: { header: "x-tenant" },
      shadow: true,
    },
    { kind: "bulkhead", limit: 10, queue: { size: 5 } },
    { kind: "timeout", after: "2s" },
    {
      kind: "retry",
      attempts: 4,
      on: ["gateway-error", "unavailable"],
      methods: ["GET"],
      statuses: [409],
      backoff: { base: "0ms", max: "1m" },
      budget: { percent: 20, min: 3 },
      retryAfter: { max: "1h" },
      buffer: 0,
    },
    { kind: "retry", budget: false, retryAfter: false },
    { kind: "breaker", trip: { failureRate: 0.5, minCalls: 20, window: "10s" }, openFor: "5s", maxOpenFor: "24h", probes: 3, on: ["5xx"] },
    { kind: "breaker", trip: [{ consecutive: 5 }, { slowRate: 1, slowerThan: "1s", minCalls: 1, window: "30s" }] },
    { kind: "fault", delay: { for: "200ms", percent: 0 }, abort: { status: 503, percent: 12.5 } },
    { kind: "fault", abort: { code: "unavailable", percent: 100 } },
    { kind: "fallback", response: { target: "https://backup.internal" } },
  ],
};

function parses(document: unknown): boolean {
  try {
    parsePolicies(document);
    return true;
  } catch {
    return false;
  }
}

type Path = readonly (string | number)[];

/** Every place in a document. */
function* places(value: unknown, path: Path = []): Generator<Path> {
  yield path;
  if (typeof value !== "object" || value === null) return;
  for (const [key, inner] of Object.entries(value)) yield* places(inner, [...path, Array.isArray(value) ? Number(key) : key]);
}

/** The document with another value in one place; `undefined` takes the place out. */
function changed(value: unknown, [step, ...rest]: Path, put: (old: unknown) => unknown): unknown {
  if (step === undefined) return put(value);
  if (Array.isArray(value)) return value.flatMap((item: unknown, index) => (index === step ? given(changed(item, rest, put)) : [item]));
  return Object.fromEntries(
    Object.entries(value as object).flatMap(([key, inner]) =>
      key === step ? given(changed(inner, rest, put)).map((field) => [key, field]) : [[key, inner]],
    ),
  ); // the cast: a path goes through objects
}

const given = (value: unknown): unknown[] => (value === undefined ? [] : [value]);

const changes: readonly (readonly [what: string, put: (old: unknown) => unknown])[] = [
  ...[null, true, -1, 0, 1.5, 1e12, "", "no such word", "5 s", "-1s", "GET", [], {}, [null], { kind: "retri" }].map(
    (value) => [`made ${JSON.stringify(value)}`, () => value] as const,
  ),
  ["taken out", () => undefined],
  ["given an unknown field", (old) => (typeof old === "object" && old !== null && !Array.isArray(old) ? { ...old, bakoff: 1 } : old)],
  ["put into a list", (old) => [old]],
];

/** What one field's schema cannot see: rules over several fields, of which only parsePolicies knows. */
const BEYOND =
  /must have delay or abort|needs a service|must name at least a host|longer than 0|at most 24h|shorter than|at most one|already|no body/;

function beyond(document: unknown): boolean {
  try {
    parsePolicies(document);
    return false;
  } catch (error) {
    return BEYOND.test(String(error));
  }
}

suite("the JSON Schema of policy files", () => {
  test("is fresh; if this fails: npm run update:schema", () => {
    assert.equal(text, policySchemaText());
  });

  test("takes every form of a policy file that parsePolicies takes", () => {
    for (const document of [
      payments,
      [payments],
      { policies: [payments] },
      { $schema: "./policy.schema.json", policies: [payments] },
      { policies: [] },
    ]) {
      assert.ok(parses(document));
      assert.ok(valid(document), JSON.stringify(valid.errors));
    }
  });

  test("judges a document with one thing changed, anywhere, as parsePolicies does", () => {
    let bad = 0;
    for (const path of places(payments)) {
      for (const [what, put] of changes) {
        const document = changed(payments, path, put);
        if (beyond(document)) continue;
        const verdict = parses(document);
        if (!verdict) bad++;
        assert.equal(valid(document), verdict, `${path.join(".")} ${what}: the schema says ${!verdict}, parsePolicies ${verdict}`);
      }
    }
    assert.ok(bad > 500, `${bad} bad documents`);
  });

  test("takes no adopted instance, since no file can hold one", () => {
    const document = { name: "p", layers: [{ kind: "adopt", engine: "opossum" }] };
    assert.ok(!valid(document));
    assert.ok(!parses(document));
    assert.doesNotMatch(text, /adopt/);
  });

  test("explains durations where an editor shows it", () => {
    assert.match(text, /"description": "A time span such as/);
  });
});
