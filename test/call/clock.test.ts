// The clock does not jump, and follows a test that has replaced Date.
import assert from "node:assert/strict";
import test from "node:test";
import { monotonicNow } from "../../src/call/clock.ts";

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
