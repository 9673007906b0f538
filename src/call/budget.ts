// The retry budget: how many extra sends may be under way, as a share of the calls under way (Envoy's retry_budget). Shared by retry and hedge.
import { EXTRA_SENDS } from "../policy/schema.ts";

export interface BudgetRule {
  readonly percent: number;
  readonly min: number;
}

export interface Budget {
  /** Absent: there is no bound, and nothing is counted. */
  readonly rule: BudgetRule | undefined;
  /** Calls under way: begun, their heads not yet there. */
  active: number;
  /** Extra sends under way; one holds its place from the decision, through the wait, to its head. */
  extra: number;
}

/** The budget that a policy asks for; `false`: no bound. */
export function newBudget(asked: Partial<BudgetRule> | false | undefined): Budget {
  return { rule: asked === false ? undefined : { ...EXTRA_SENDS, ...asked }, active: 0, extra: 0 };
}

/** How many extra sends may be under way at a time: whole ones, as Envoy counts. */
function extrasAllowed(active: number, { percent, min }: BudgetRule): number {
  return Math.max(Math.floor((percent / 100) * active), min);
}

/** Takes a place for an extra send; false: the budget is spent. The caller gives it back. */
export function takeExtra(budget: Budget): boolean {
  if (budget.rule === undefined) return true;
  if (budget.extra >= extrasAllowed(budget.active, budget.rule)) return false;
  budget.extra++;
  return true;
}

export function giveExtra(budget: Budget): void {
  if (budget.rule !== undefined) budget.extra--;
}

/** What is left of it, for `status()`; nothing where there is no bound. */
export function remainingOf({ rule, active, extra }: Budget): { readonly remaining?: number } {
  return rule === undefined ? {} : { remaining: Math.max(0, extrasAllowed(active, rule) - extra) };
}
