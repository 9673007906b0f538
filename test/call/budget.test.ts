// The retry budget is Envoy's rule.
import assert from "node:assert/strict";
import test from "node:test";
import { giveExtra, newBudget, remainingOf, takeExtra } from "../../src/call/budget.ts";

function most(active: number, percent: number, min: number): number {
  const budget = newBudget({ percent, min });
  budget.active = active;
  const { remaining } = remainingOf(budget);
  let taken = 0;
  while (takeExtra(budget)) taken++;
  assert.equal(remaining, taken);
  assert.deepEqual(remainingOf(budget), { remaining: 0 });
  assert.equal(budget.extra, taken);
  return taken;
}

test("extra sends are bounded by a share of the calls under way, rounded down, and never by less than the minimum", () => {
  assert.equal(most(0, 20, 3), 3);
  assert.equal(most(15, 20, 3), 3);
  assert.equal(most(19, 20, 3), 3);
  assert.equal(most(20, 20, 3), 4);
  assert.equal(most(100, 20, 3), 20);
  assert.equal(most(100, 0, 0), 0);
  assert.equal(most(1, 100, 0), 1);
});

test("a place that is given back can be taken again", () => {
  const budget = newBudget({ percent: 0, min: 1 });
  assert.ok(takeExtra(budget));
  assert.ok(!takeExtra(budget));
  giveExtra(budget);
  assert.ok(takeExtra(budget));
});

test("what is not said is 20 % and 3, and `false` is no bound", () => {
  assert.deepEqual(newBudget(undefined).rule, { percent: 20, min: 3 });
  assert.deepEqual(newBudget({ percent: 50 }).rule, { percent: 50, min: 3 });
  const none = newBudget(false);
  for (let n = 0; n < 100; n++) assert.ok(takeExtra(none));
  giveExtra(none);
  assert.deepEqual([none.extra, remainingOf(none)], [0, {}]);
});
