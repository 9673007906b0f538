// The retry budget: how many extra sends may be under way, as a share of the calls under way (Envoy's retry_budget). Shared by retry and hedge.

export interface BudgetRule {
  readonly percent: number;
  readonly min: number;
}

export interface Budget {
  /** Calls under way: begun, their heads not yet there. */
  active: number;
  /** Extra sends under way; one holds its place from the decision, through the wait, to its head. */
  extra: number;
}

export const newBudget = (): Budget => ({ active: 0, extra: 0 });

/** How many extra sends may be under way at a time: whole ones, as Envoy counts. */
export function extrasAllowed({ active }: Budget, { percent, min }: BudgetRule): number {
  return Math.max(Math.floor((percent / 100) * active), min);
}

/** Takes a place for an extra send; false: the budget is spent. The caller gives it back. */
export function takeExtra(budget: Budget, rule: BudgetRule): boolean {
  if (budget.extra >= extrasAllowed(budget, rule)) return false;
  budget.extra++;
  return true;
}
