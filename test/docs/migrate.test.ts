// The migration pages: each shows one call before and after with the same result, and no option of the library is left out.
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { describe, test } from "node:test";
import axiosRetry, * as axiosRetryExports from "axios-retry";
import Bottleneck from "bottleneck";
import * as cockatiel from "cockatiel";
import got from "got";
import CircuitBreaker from "opossum";
import { codesIn, documents, fencesOf, prose, root, rowsOf } from "./markdown.ts";

const FOLDER = "docs/how-to/migrate";

const types = (file: string): string => readFileSync(`${root}node_modules/${file}`, "utf8").replaceAll(/\/\*[^]*?\*\//g, "");

/** The fields of an interface or an object type in a .d.ts file, at its own depth. */
function fieldsOf(file: string, name: string): readonly string[] {
  const text = types(file);
  const [declared] = new RegExp(`(?:interface|type) ${name}\\b[^{]*\\{`).exec(text) ?? assert.fail(`${file} has no ${name}`);
  const fields: string[] = [];
  let depth = 0;
  for (const line of text.slice(text.indexOf(declared) + declared.length).split("\n")) {
    if (depth === 0) {
      if (/^\s*\}/.test(line)) break;
      const [, field] = /^\s*(?:readonly )?(\w+)\??:/.exec(line) ?? [];
      if (field !== undefined) fields.push(field);
    }
    depth += (line.match(/[{(]/g)?.length ?? 0) - (line.match(/[})]/g)?.length ?? 0);
  }
  assert.ok(fields.length > 1, `${name} of ${file}`);
  return fields;
}

/** The public methods of a class, and its getters. */
const methodsOf = (prototype: object): readonly string[] =>
  Object.getOwnPropertyNames(prototype).filter((name) => name !== "constructor" && !name.startsWith("_"));

/** Every option that opossum's code reads: its documentation and its types name some of them each. */
const read = (file: string): readonly string[] =>
  Array.from(types(file).matchAll(/\boptions\.(\w+)/g), ([, name = ""]) => name).filter((name) => name !== "coalesceCache"); // its own

const prefixed = (prefix: string, names: readonly string[]): readonly string[] => names.map((name) => `${prefix}.${name}`);

const limiter = Bottleneck.prototype as unknown as Readonly<Record<string, object>>; // the cast: it keeps its defaults there

/** All that must stand in the first columns of a page. */
const options: Readonly<Record<string, readonly string[]>> = {
  "cockatiel.md": [
    ...Object.keys(cockatiel),
    ...prefixed("circuitBreaker", fieldsOf("cockatiel/dist/CircuitBreakerPolicy.d.ts", "ICircuitBreakerOptions")),
    ...prefixed("halfOpenSampling", fieldsOf("cockatiel/dist/CircuitBreakerPolicy.d.ts", "IHalfOpenSamplingOptions")),
    ...prefixed("ExponentialBackoff", fieldsOf("cockatiel/dist/backoff/ExponentialBackoff.d.ts", "IExponentialBackoffOptions")),
    ...prefixed("CountBreaker", fieldsOf("cockatiel/dist/breaker/CountBreaker.d.ts", "ICountBreakerOptions")),
    ...prefixed("SamplingBreaker", fieldsOf("cockatiel/dist/breaker/SamplingBreaker.d.ts", "ISamplingBreakerOptions")),
    ...prefixed("retry", ["maxAttempts", "backoff"]),
    ...prefixed("timeout", ["strategy", "abortOnReturn"]),
  ],
  "opossum.md": [
    ...read("opossum/lib/circuit.js"),
    ...fieldsOf("@types/opossum/index.d.ts", "Options"),
    ...methodsOf(CircuitBreaker.prototype),
  ],
  "bottleneck.md": [
    ...["jobDefaults", "storeDefaults", "localStoreDefaults", "redisStoreDefaults", "instanceDefaults", "stopDefaults"].flatMap((name) =>
      Object.keys(limiter[name] ?? assert.fail(`Bottleneck has no ${name}`)),
    ),
    ...methodsOf(Bottleneck.prototype).filter((name) => typeof limiter[name] === "function"),
  ],
  "axios-retry.md": [
    ...Object.keys(axiosRetryExports.DEFAULT_OPTIONS),
    ...fieldsOf("axios-retry/dist/cjs/index.d.ts", "IAxiosRetryConfig"),
    ...Object.keys(axiosRetry)
      .concat(Object.keys(axiosRetryExports))
      .filter((name) => !["default", "module.exports"].includes(name)),
  ],
  "got-and-ky.md": [
    ...Object.keys(got.defaults.options.retry),
    ...fieldsOf("got/dist/source/core/options.d.ts", "RetryOptions"),
    ...fieldsOf("ky/distribution/types/retry.d.ts", "RetryOptions"),
  ],
  "grpc.md": [
    ...["RetryPolicy", "HedgingPolicy", "MethodConfig", "RetryThrottling", "ServiceConfig"].flatMap((name) =>
      fieldsOf("@grpc/grpc-js/build/src/service-config.d.ts", name),
    ),
    // of nice-grpc-client-middleware-retry 3.1, which is not installed
    "retry",
    "retryBaseDelayMs",
    "retryMaxDelayMs",
    "retryMaxAttempts",
    "retryableStatuses",
    "onRetryableError",
  ],
  "undici-retry-agent.md": fieldsOf("undici8/types/retry-handler.d.ts", "RetryOptions"),
};

/** Every fence of a page that runs, with what it prints. */
function callsOf(page: string): readonly { readonly text: string; readonly prints: string }[] {
  const fences = fencesOf(`${FOLDER}/${page}`);
  return fences.flatMap(({ language, text }, index) =>
    language === "ts" ? [{ text, prints: fences[index + 1]?.marks.has("prints") === true ? (fences[index + 1]?.text ?? "") : "" }] : [],
  );
}

describe("a page", () => {
  for (const [page, names] of Object.entries(options)) {
    test(`${page} names every option once it is known where it went, and no other`, () => {
      const written = rowsOf(prose(`${FOLDER}/${page}`)).flatMap(([first = ""]) => codesIn(first));
      assert.deepEqual(
        [...new Set(names)].filter((name) => !written.includes(name)),
        [],
        "options that the page lacks",
      );
      const made = [...new Set(written)].filter((name) => !names.includes(name));
      assert.deepEqual(made, [], "options that the library has not");
    });

    test(`${page} shows the same call before and after, with the same result`, () => {
      const calls = callsOf(page);
      assert.ok(calls.length >= 2 && calls.length % 2 === 0);
      for (const [index, { text, prints }] of calls.entries()) {
        assert.equal(/from "premesh"/.test(text), index % 2 === 1);
        assert.ok(prints.length > 0);
        if (index % 2 === 1) assert.equal(prints, calls[index - 1]?.prints);
      }
    });
  }

  test("is listed in the index of the folder, each of them", () => {
    const index = prose(`${FOLDER}/README.md`);
    const pages = globSync("*.md", { cwd: root + FOLDER }).filter((page) => page !== "README.md");
    assert.deepEqual(pages.toSorted(), Object.keys(options).toSorted());
    for (const page of pages) assert.ok(index.includes(`](${page})`), page);
    assert.ok(documents().includes(`${FOLDER}/README.md`));
  });
});
