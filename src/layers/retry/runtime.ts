// The retry layer at work. The loop is ours, the backoff schedule cockatiel's: see docs/decisions/0001-retry-loop-is-ours.md.
import type { Build } from "../../call/build.ts";
import { type Budget, type BudgetRule, extrasAllowed, newBudget, takeExtra } from "../../call/budget.ts";
import type { Call, Next } from "../../call/call.ts";
import { abortedOutcome, matcher } from "../../call/classify.ts";
import { codeName } from "../../call/codes.ts";
import { discard, type Failure, type Outcome } from "../../call/outcome.ts";
import { waited } from "../../call/waiting.ts";
import { durationMs } from "../../policy/duration.ts";
import { backoffCeilings, backoffMs } from "./backoff.ts";
import { type RetryDefinition, retryDefaults } from "./definition.ts";

export const buildRetry: Build<RetryDefinition, Budget> = (definition, env, { label }) => {
  const { attempts = retryDefaults.attempts, on = retryDefaults.on, statuses, buffer = retryDefaults.buffer, retryAfter } = definition;
  const methods = new Set<string>(definition.methods ?? retryDefaults.methods);
  const anyMethod = methods.has("*");
  const worthIt = matcher(on, statuses);
  const ceilings = backoffCeilings(definition);
  const longestPushback = retryAfter === false ? undefined : durationMs(retryAfter?.max ?? retryDefaults.retryAfterMax);
  const overflowed = (call: Call, bytes: number): void =>
    env.report(call, { layer: label, kind: "retry", what: "committed-by-overflow", detail: { bytes, buffer } });
  const rule: BudgetRule | undefined = definition.budget === false ? undefined : { ...retryDefaults.budget, ...definition.budget };

  const mayRepeat = (call: Call, failure: Failure<unknown>): boolean =>
    !failure.sent || (call.idempotent ?? (anyMethod || methods.has(call.method)));

  /** Milliseconds to wait before the next attempt; `undefined`: there is none, and telemetry says why. */
  function delayBefore(budget: Budget, call: Call, failure: Failure<unknown>, done: number): number | undefined {
    const stop = (what: string, detail: Readonly<Record<string, unknown>> = {}): undefined => {
      env.report(call, {
        layer: label,
        kind: "retry",
        what,
        attempt: done,
        detail: { code: codeName(failure.code), status: failure.status, ...detail },
      });
    };
    if (call.signal?.aborted === true) return undefined;
    if (done >= attempts) return stop("exhausted", { attempts });
    if (!mayRepeat(call, failure)) return stop("not-idempotent", { method: call.method });
    if (!call.payload.replayable) return stop("body-not-replayable", { buffer });
    const pushback = longestPushback === undefined ? undefined : failure.retryAfterMs;
    if (pushback === Number.POSITIVE_INFINITY) return stop("asked-not-to-retry");
    if (pushback !== undefined && pushback > (longestPushback ?? 0))
      return stop("asked-to-wait-too-long", { retryAfterMs: pushback, max: longestPushback });
    const wait = (pushback ?? 0) + backoffMs(ceilings, done, env.random);
    if (env.now() + wait >= call.deadline) return stop("no-time-left", { waitMs: wait });
    if (rule !== undefined && !takeExtra(budget, rule)) return stop("budget-spent", { active: budget.active, retries: budget.extra });
    env.report(call, {
      layer: label,
      kind: "retry",
      what: "retrying",
      attempt: done,
      detail: { code: codeName(failure.code), status: failure.status, waitMs: wait, next: done + 1 },
    });
    return wait;
  }

  async function again<R>(budget: Budget, next: Next<R>, call: Call, first: Failure<R>): Promise<Outcome<R>> {
    let outcome: Outcome<R> = first;
    for (let done = 1; worthIt(outcome); done++) {
      const wait = delayBefore(budget, call, outcome, done);
      if (wait === undefined) return outcome;
      discard(outcome);
      try {
        if (!(await waited(env.timers, wait, call.signal))) return abortedOutcome(call.signal);
        outcome = await next({ ...call, attempt: done + 1 });
      } finally {
        if (rule !== undefined) budget.extra--;
      }
    }
    return outcome;
  }

  return {
    newState: newBudget,
    layer: (budget) => (next) => (call) => {
      call.payload.keep?.(attempts > 1 ? buffer : 0, overflowed);
      budget.active++;
      return next(call).then((outcome) => {
        if (worthIt(outcome)) return again(budget, next, call, outcome).finally(() => budget.active--);
        budget.active--;
        return outcome;
      });
    },
    show: (budget) => ({
      status: () => ({
        active: budget.active,
        retries: budget.extra,
        ...(rule === undefined ? {} : { remaining: Math.max(0, extrasAllowed(budget, rule) - budget.extra) }),
      }),
    }),
  };
};
