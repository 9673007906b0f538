// The clock does not jump, and follows a test that has replaced Date; chance can be repeated.
import assert from "node:assert/strict";
import test from "node:test";
import { monotonicNow, seededRandom } from "../../src/call/env.ts";

test("the clock goes on without a jump while Date is replaced, and after", (t) => {
  const before = monotonicNow();
  t.mock.timers.enable({ apis: ["Date"], now: 0 });
  const replaced = monotonicNow();
  assert.ok(replaced >= before);
  t.mock.timers.tick(5_000);
  assert.equal(monotonicNow() - replaced, 5_000);
  t.mock.timers.setTime(0);
  assert.equal(monotonicNow() - replaced, 5_000, "a clock that is set back stands");
  t.mock.timers.reset();
  assert.ok(monotonicNow() >= replaced + 5_000);
});

test("a step of the wall clock changes nothing", (t) => {
  const wall = t.mock.method(Date, "now", () => 0);
  const before = monotonicNow();
  wall.mock.mockImplementation(() => Number.MAX_SAFE_INTEGER);
  assert.ok(monotonicNow() - before < 1_000_000);
});

test("a seed gives the same dice, in [0, 1), evenly", () => {
  const [a, b, c] = [seededRandom(7), seededRandom(7), seededRandom(8)];
  const first = Array.from({ length: 10_000 }, a);
  assert.deepEqual(first, Array.from({ length: 10_000 }, b));
  assert.notDeepEqual(first.slice(0, 5), Array.from({ length: 5 }, c));
  assert.ok(first.every((one) => one >= 0 && one < 1));
  const mean = first.reduce((sum, one) => sum + one, 0) / first.length;
  assert.ok(Math.abs(mean - 0.5) < 0.02, String(mean));
});
