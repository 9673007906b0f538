// Chance can be repeated.
import assert from "node:assert/strict";
import test from "node:test";
import { seededRandom } from "../../src/call/env.ts";

test("a seed gives the same dice, in [0, 1), evenly", () => {
  const [a, b, c] = [seededRandom(7), seededRandom(7), seededRandom(8)];
  const first = Array.from({ length: 10_000 }, a);
  assert.deepEqual(first, Array.from({ length: 10_000 }, b));
  assert.notDeepEqual(first.slice(0, 5), Array.from({ length: 5 }, c));
  assert.ok(first.every((one) => one >= 0 && one < 1));
  const mean = first.reduce((sum, one) => sum + one, 0) / first.length;
  assert.ok(Math.abs(mean - 0.5) < 0.02, String(mean));
});
