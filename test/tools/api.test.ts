// Holds docs/reference/api.txt to the code: a change of the public API is seen in review.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { API_FILE, apiText } from "./api.ts";

test("docs/reference/api.txt is the public API of the code; if this fails and the change is meant: npm run update:api", () => {
  assert.equal(readFileSync(API_FILE, "utf8"), apiText());
});
