// The hedge layer at work: a race for each call, and what the races of one target share.
import type { Build } from "../../call/build.ts";
import { type Budget, newBudget, remainingOf } from "../../call/budget.ts";
import type { Call } from "../../call/call.ts";
import { matcher } from "../../call/classify.ts";
import { durationMs } from "../../policy/duration.ts";
import { type HedgeDefinition, hedgeDefaults, quantileOf } from "./definition.ts";
import { type Latencies, newLatencies } from "./latencies.ts";
import { Race, type Rule, type Shared } from "./race.ts";

/** The hedges of one target. */
interface State {
  /** Counts the calls under way; the copies too, where no `retry` of the policy has a budget. */
  readonly budget: Budget;
  readonly latencies: Latencies | undefined;
  /** The budget is that of a `retry`, which shows it. */
  shares: boolean;
}

export const buildHedge: Build<HedgeDefinition, State> = (definition, env, { label }) => {
  const { after, max = hedgeDefaults.max, on = hedgeDefaults.on, buffer = hedgeDefaults.buffer } = definition;
  const methods = new Set<string>(definition.methods ?? hedgeDefaults.methods);
  const anyMethod = methods.has("*");
  const quantile = quantileOf(after);
  const fixed = quantile === undefined ? durationMs(after) : undefined;

  const rule: Rule = {
    env,
    max,
    buffer,
    mayRepeat: (call) => call.idempotent ?? (anyMethod || methods.has(call.method)),
    bad: matcher([...on, "refusal"]),
    report: (call, what, detail) => env.report(call, { layer: label, kind: "hedge", what, detail }),
  };
  const overflowed = (call: Call, bytes: number): void => rule.report(call, "committed-by-overflow", { bytes, buffer });
  const delayOf = ({ latencies }: State): number | undefined => fixed ?? latencies?.value();

  return {
    newState: () => ({
      budget: newBudget(definition.budget),
      latencies: quantile === undefined ? undefined : newLatencies(quantile),
      shares: false,
    }),
    layer: (it, _branches, retries) => {
      it.shares = retries !== undefined;
      const shared: Shared = {
        budget: retries ?? it.budget,
        latencies: it.latencies,
        delay: ({ payload: { orders } }) => {
          if (orders?.hedging === undefined) return delayOf(it);
          return orders.hedging ? (orders.attemptTimeoutMs ?? delayOf(it)) : undefined;
        },
        ended: () => void it.budget.active--,
      };
      return (next) => (call) => {
        if (rule.mayRepeat(call)) call.payload.keep?.(buffer, overflowed);
        it.budget.active++;
        return new Race(call, next, rule, shared).outcome;
      };
    },
    show: (it) => ({
      status: () => {
        const afterMs = delayOf(it);
        return {
          active: it.budget.active,
          ...(afterMs === undefined ? {} : { afterMs }),
          ...(it.latencies === undefined ? {} : { calls: it.latencies.calls() }),
          ...(it.shares ? {} : { copies: it.budget.extra, ...remainingOf(it.budget) }),
        };
      },
    }),
  };
};
