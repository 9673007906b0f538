// The reference is complete and true: codes, fields, words, decisions and links in it are those of the code.
import assert from "node:assert/strict";
import { existsSync, globSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, test } from "node:test";
import * as z from "zod";
import { conditionsOfCode, conditionsOfHttpStatus, errorOutcome, REFUSAL, thrownOutcome, TIMEOUT } from "../../src/call/classify.ts";
import { codeOf } from "../../src/call/codes.ts";
import { commands } from "../../src/cli/commands.ts";
import { createClient } from "../../src/index.ts";
import { CONDITIONS, GRPC_STATUSES } from "../../src/policy/conditions.ts";
import { kinds } from "../../src/policy/kinds.ts";
import type { LayerKind } from "../../src/policy/policy.ts";
import { scenarios } from "../../src/testing/index.ts";
import { scenarioSchema } from "../../src/testing/simulate/schema.ts";
import { anchorsOf, codesIn, documents, prose, read, root, rowsOf } from "./markdown.ts";

const kindNames = Object.keys(kinds) as LayerKind[]; // the cast: keys of the table are the kinds
const page = (kind: string): string => `docs/reference/layers/${kind}.md`;

/** The part of a document under a heading, up to the next of the same rank or above. */
function section(document: string, heading: string): string {
  const text = read(document);
  const start = text.indexOf(`${heading}\n`);
  assert.notEqual(start, -1, `${document} has no "${heading}"`);
  const rank = heading.indexOf(" ");
  const rest = text.slice(start + heading.length);
  const end = rest.search(new RegExp(`^#{1,${rank}} `, "m"));
  return end === -1 ? rest : rest.slice(0, end);
}

const sorted = (words: Iterable<string>): readonly string[] => [...words].toSorted((a, b) => (a < b ? -1 : 1));

const firstCodes = (text: string): readonly string[] => rowsOf(text).flatMap(([first = ""]) => codesIn(first));

test("every error code has its entry, and there is no other", () => {
  const [, union = ""] = /type PolicyErrorCode =([^;]*);/.exec(read("src/policy/error.ts")) ?? [];
  const codes = Array.from(union.matchAll(/"([A-Z_]+)"/g), ([, code = ""]) => code);
  assert.ok(codes.length > 5);
  const entries = Array.from(read("docs/reference/errors.md").matchAll(/^## `(ERR_[A-Z_]+)`$/gm), ([, code = ""]) => code);
  assert.deepEqual(sorted(entries), sorted(codes));
});

/** Paths of all fields: `backoff.base`, through lists and alternatives. */
function fieldsOf(schema: unknown, path: string): string[] {
  if (typeof schema !== "object" || schema === null) return [];
  return Object.entries(schema).flatMap(([key, value]: [string, unknown]) => {
    if (key !== "properties") return typeof value === "object" && key !== "additionalProperties" ? fieldsOf(value, path) : [];
    // the cast: JSON Schema's own shape
    return Object.entries(value as object).flatMap(([name, field]) => {
      const where = path === "" ? name : `${path}.${name}`;
      return [where].concat(fieldsOf(field, where));
    });
  });
}

describe("every field of a layer stands on its page, and no other", () => {
  for (const kind of kindNames) {
    test(kind, () => {
      const schema = z.toJSONSchema(kinds[kind].schema(z), { unrepresentable: "any" });
      const fields = new Set(fieldsOf(schema, "").filter((field) => field !== "kind" && field !== "$schema"));
      const written = new Set(firstCodes(section(page(kind), "## Fields")));
      assert.deepEqual(sorted(written), sorted(fields));
    });
  }
});

/** Words that the runtime of a kind reports as `what`: where they are written out, and where a function takes them to report. */
function decisionsOf(kind: string): readonly string[] {
  const source = globSync(`src/layers/${kind}/**/*.ts`, { cwd: root }).map(read).join("\n");
  const words = Array.from(source.matchAll(/(?:what:|\bstop\(|\brefusal\(|\breport\(|\benter\(|\bclose\()([^\n]*)/g), ([, line = ""]) =>
    Array.from(line.replaceAll(/(?:kind|reason): "[^"]*"/g, "").matchAll(/"([a-z-]+)"/g), ([, word = ""]) => word),
  ).flat();
  const phases = kind === "breaker" ? ["open", "half-open", "closed", "isolated"] : [];
  return [...new Set(words)].filter((word) => !phases.includes(word) || word === "closed" || word === "isolated");
}

describe("every decision of a layer stands on its page", () => {
  for (const kind of kindNames) {
    test(kind, () => {
      const written = new Set(firstCodes(section(page(kind), "## Decisions")));
      const made = decisionsOf(kind);
      for (const word of made) assert.ok(written.has(word), `${page(kind)} lacks the decision "${word}"`);
      for (const word of written) {
        const base = word.replace(/^would-be-/, "");
        assert.ok(made.includes(word) || made.includes(base), `${page(kind)} has "${word}", which the ${kind} layer does not report`);
      }
    });
  }
});

describe("every layer that refuses has its shadow decision", () => {
  for (const kind of kindNames.filter((name) => "shadow" in (z.toJSONSchema(kinds[name].schema(z)).properties ?? {}))) {
    test(kind, () => {
      assert.match(section(page(kind), "## Decisions"), /`would-/);
    });
  }
});

test("every condition word is explained", () => {
  const written = firstCodes(section("docs/reference/policy.md", "### The words"));
  assert.deepEqual(sorted(written), sorted(CONDITIONS));
});

const reset = (code: string): Record<string, string> => ({ code });

/** The outcomes of the table "Which words fit which outcome", by the name of their row. */
const outcomes: Readonly<Record<string, number>> = {
  ...Object.fromEntries(
    [400, 401, 403, 404, 409, 416, 429, 499, 500, 501, 502, 503, 504].map((status) => [String(status), conditionsOfHttpStatus(status)]),
  ),
  "any other 4xx": conditionsOfHttpStatus(418),
  "any other 5xx": conditionsOfHttpStatus(599),
  "no connection": errorOutcome(reset("ECONNREFUSED"), false).conditions,
  "a refused HTTP/2 stream": errorOutcome({ code: "ERR_HTTP2_STREAM_ERROR", message: "NGHTTP2_REFUSED_STREAM" }, true).conditions,
  "a connection that broke before the response's head": errorOutcome(reset("ECONNRESET"), true).conditions,
  "an attempt that a `timeout` layer ended": TIMEOUT,
  "a refusal by a layer": REFUSAL,
  "`run`: work that threw": thrownOutcome(new Error("x")).conditions,
};

const wordsOf = (bits: number): readonly string[] => sorted(CONDITIONS.filter((_word, index) => Math.floor(bits / 2 ** index) % 2 === 1));

test("the table of outcomes says what classify does", () => {
  const [, ...rows] = rowsOf(section("docs/reference/policy.md", "### Which words fit which outcome"));
  const written = Object.fromEntries(rows.map(([outcome = "", words = ""]) => [outcome, sorted(codesIn(words))]));
  assert.deepEqual(written, Object.fromEntries(Object.entries(outcomes).map(([outcome, bits]) => [outcome, wordsOf(bits)])));
});

test("a status of 400 or above fits the words that its row says", () => {
  for (let status = 400; status <= 599; status++) {
    const row = outcomes[String(status)] ?? outcomes[status < 500 ? "any other 4xx" : "any other 5xx"];
    assert.equal(conditionsOfHttpStatus(status), row, String(status));
  }
  for (const name of GRPC_STATUSES) assert.deepEqual(wordsOf(conditionsOfCode(codeOf(name))), [name]);
});

test("every method of a client and every option stands in the reference", () => {
  const text = read("docs/reference/client.md");
  for (const method of Object.keys(createClient({ policies: [] })))
    assert.match(text, new RegExp(`^### \`client\\.${method}\\(`, "m"), method);
  for (const [name, file] of [
    ["ClientOptions", "src/client-options.ts"],
    ["RunOptions", "src/client.ts"],
  ] as const) {
    const [, body = ""] = new RegExp(`interface ${name} \\{([^]*?)\\n\\}`).exec(read(file)) ?? [];
    const options = Array.from(body.matchAll(/readonly (\w+)\??:/g), ([, option = ""]) => option);
    assert.ok(options.length > 0);
    for (const option of options) assert.ok(firstCodes(text).includes(option), `client.md lacks the option ${option} of ${name}`);
  }
});

test("every command of the command line and every option of it stands in the reference", async () => {
  const words = firstCodes(read("docs/reference/cli.md"));
  for (const load of Object.values(commands)) {
    const { usage, options } = await load();
    assert.ok(words.includes(`premesh ${usage}`), usage);
    for (const [name, { value }] of Object.entries(options)) {
      const option = `--${name}${value === undefined ? "" : ` <${value}>`}`;
      assert.ok(words.includes(option), `${option} of ${usage}`);
    }
  }
});

test("every field of a scenario and of its result stands in the reference, and every scenario with a name", () => {
  const about = section("docs/reference/testing.md", "### Scenarios");
  const known = new Set([...firstCodes(about), ...codesIn(about)]);
  for (const field of fieldsOf(z.toJSONSchema(scenarioSchema(z)), "").map((path) => path.split(".").at(-1) ?? ""))
    if (field !== "$schema") assert.ok(known.has(field) || about.includes(field), `testing.md lacks the field ${field} of a scenario`);
  for (const name of Object.keys(scenarios)) assert.ok(known.has(name), `testing.md lacks the scenario ${name}`);
  const result = section("docs/reference/testing.md", "### The result");
  for (const name of ["Simulation", "Slot", "Transition", "DecisionCount", "Percentiles"]) {
    const [, body = ""] = new RegExp(`interface ${name} \\{([^]*?)\\n\\}`).exec(read("src/testing/simulate/figures.ts")) ?? [];
    for (const [, field = ""] of body.matchAll(/readonly (\w+)\??:/g))
      assert.ok(codesIn(result).includes(field), `testing.md lacks ${field} of ${name}`);
  }
});

describe("links resolve", () => {
  for (const document of documents()) {
    test(document, () => {
      for (const [, target = ""] of prose(document).matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^[a-z]+:/.test(target)) continue;
        const [path = "", anchor] = target.split("#");
        const file = path === "" ? document : normalize(join(dirname(document), path));
        assert.ok(existsSync(join(root, file)), `${document} links to ${target}, which does not exist`);
        if (anchor !== undefined) assert.ok(anchorsOf(file).has(anchor), `${document} links to ${target}, but ${file} has no such heading`);
      }
    });
  }
});

test("every decision record has the fixed form, and its script exists", () => {
  for (const record of globSync("docs/decisions/[0-9]*.md", { cwd: root })) {
    const text = read(record);
    for (const heading of ["## Context", "## Decision", "## Measurement", "## Consequences"])
      assert.ok(text.includes(`\n${heading}\n`), `${record}: ${heading}`);
    for (const [script] of text.matchAll(/test\/bench\/decisions\/[\w.-]+\.ts/g))
      assert.ok(existsSync(join(root, script)), `${record} names ${script}`);
  }
});

test("every metric stands in the reference, and no other", () => {
  const sources = ["src/telemetry/metrics.ts", "src/telemetry/gauges.ts"].map(read).join("\n");
  const made = Array.from(
    sources.matchAll(/"((?:premesh|rpc)\.[a-z.]+)",\s*"|createHistogram\("([^"]+)"|createCounter\("([^"]+)"/g),
    ([, gauge, histogram, counter]) => String(gauge ?? histogram ?? counter),
  );
  assert.ok(made.length > 10);
  const [, ...rows] = rowsOf(section("docs/reference/telemetry.md", "## Metrics"));
  assert.deepEqual(sorted(rows.flatMap(([name = ""]) => codesIn(name))), sorted(new Set(made)));
});

test("the index names every how-to", () => {
  const index = read("docs/index.md");
  const pages = documents().filter((document) => /^docs\/how-to\/[^/]+\.md$/.test(document));
  assert.ok(pages.length > 10);
  assert.deepEqual(
    pages.filter((path) => !index.includes(`](${path.replace("docs/", "")})`)),
    [],
  );
});

test("every page is found from the README by links", () => {
  const found = new Set<string>(["README.md"]);
  for (const document of found) {
    for (const [, target = ""] of read(document).matchAll(/\]\(([^)\s#]+)(?:#[^)]*)?\)/g)) {
      const file = normalize(join(dirname(document), target));
      if (file.endsWith(".md") && existsSync(join(root, file))) found.add(file);
    }
  }
  assert.deepEqual(
    documents().filter((document) => !found.has(document)),
    [],
  );
});

test("every flag of the access log, path of the admin listener, metric and variable of the sidecar stands in its reference", () => {
  const words = codesIn(prose("docs/reference/sidecar.md"));
  const flags = new Set(Array.from(read("src/transports/proxy/flags.ts").matchAll(/(?:flag: |: \[)"([A-Z]+)"/g), ([, flag = ""]) => flag));
  assert.ok(flags.size > 8);
  for (const flag of flags) assert.ok(words.includes(flag), `sidecar.md lacks the flag ${flag}`);
  for (const [, method, path] of read("src/sidecar/admin/routes.ts").matchAll(/method: "(\w+)",\s+path: "([^"]+)"/g))
    assert.ok(words.includes(`${method} ${path}`), `sidecar.md lacks ${method} ${path}`);
  for (const [, name = ""] of read("src/sidecar/telemetry/request-metrics.ts").matchAll(/"((?:premesh|process)\.[a-z.]+)"/g))
    assert.ok(
      words.some((word) => word.replace(/_total$/, "").replace(/_(?:bytes|seconds)$/, "") === name.replaceAll(".", "_")),
      `sidecar.md lacks the metric ${name}`,
    );
  for (const [, name = ""] of read("src/sidecar/telemetry/environment.ts").matchAll(/"(OTEL_[A-Z_]+)"/g))
    assert.ok(words.includes(name), `sidecar.md lacks the variable ${name}`);
});
