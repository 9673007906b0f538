// Holds docs/reference/api.txt and api.md to the code: a change of the public API is seen in review, and its docstrings are the reference.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { API_FILE, apiText } from "./api.ts";
import { apiReference, REFERENCE_FILE } from "./api-reference.ts";
import { emittedApi } from "./emitted.ts";

const emitted = emittedApi();

/** Whether two long texts are the same; a diff of them would be longer still. */
function assertFresh(file: URL, expected: string): void {
  const lines = readFileSync(file, "utf8").split("\n");
  const fresh = expected.split("\n");
  const at = fresh.findIndex((line, index) => line !== lines[index]);
  assert.ok(
    at === -1 && lines.length === fresh.length,
    `${file.pathname} is stale from line ${at + 1} on; if the change is meant: npm run update:api`,
  );
}

test("docs/reference/api.txt is the public API of the code", () => {
  assertFresh(API_FILE, apiText(emitted));
});

test("docs/reference/api.md is what the docstrings say", () => {
  assertFresh(REFERENCE_FILE, apiReference(emitted));
});

test("every function that is exported has a docstring with an example", () => {
  const bare = emitted.names.filter(({ name, file }) => {
    const text = emitted.documented.get(file)?.get(name) ?? "";
    return /^(?:\/\*\*[^]*?\*\/\n)?function /.test(text) && !/^\/\*\*[^]*?@example/.test(text);
  });
  assert.deepEqual(
    bare.map(({ from, name }) => `${name} of ${from}`),
    [],
  );
});
