// Tests of the waits between attempts.
import assert from "node:assert/strict";
import { test } from "node:test";
import { backoffCeilings, backoffMs } from "../../../src/layers/retry/backoff.ts";
import { retry } from "../../../src/layers/retry/definition.ts";

test("the first wait is below base, and each further one below twice as much, up to max", () => {
  assert.deepEqual(backoffCeilings(retry({ attempts: 6, backoff: { base: "25ms", max: "250ms" } })), [25, 50, 100, 200, 250, 250]);
});

test("max is ten times base where the policy does not say", () => {
  assert.deepEqual(backoffCeilings(retry({ attempts: 6, backoff: { base: "10ms" } })), [10, 20, 40, 80, 100, 100]);
});

test("a base of zero never waits", () => {
  assert.deepEqual(backoffCeilings(retry({ attempts: 3, backoff: { base: "0ms", max: "0ms" } })), [0, 0, 0]);
});

test("the wait is drawn below the ceiling of its retry, and the last ceiling holds for all further ones", () => {
  const ceilings = backoffCeilings(retry());
  assert.deepEqual(
    [1, 2, 3, 4].map((retry_) => backoffMs(ceilings, retry_, () => 0.5)),
    [12.5, 25, 50, 50],
  );
});
