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

/** Takes a place for an extra send; false: the budget is spent. The caller gives it back. */
export function takeExtra(budget: Budget, rule: BudgetRule): boolean {
  if (budget.extra >= Math.max(Math.floor((rule.percent / 100) * budget.active), rule.min)) return false; // whole retries, as Envoy counts
  budget.extra++;
  return true;
}
