// The retry budget is Envoy's rule.
import assert from "node:assert/strict";
import test from "node:test";
import { newBudget, takeExtra } from "../../src/call/budget.ts";

function most(active: number, percent: number, min: number): number {
  const budget = newBudget();
  budget.active = active;
  let taken = 0;
  while (takeExtra(budget, { percent, min })) taken++;
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
  const budget = newBudget();
  assert.ok(takeExtra(budget, { percent: 0, min: 1 }));
  assert.ok(!takeExtra(budget, { percent: 0, min: 1 }));
  budget.extra--;
  assert.ok(takeExtra(budget, { percent: 0, min: 1 }));
});
