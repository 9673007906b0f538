// The retry layer at work. The loop is ours, the backoff schedule cockatiel's: see docs/decisions/0001-retry-loop-is-ours.md.
import type { Build } from "../../call/build.ts";
import { type Budget, giveExtra, newBudget, remainingOf, takeExtra } from "../../call/budget.ts";
import { type Call, type Next, nextAttempt } from "../../call/call.ts";
import { abortedOutcome, matcher, RATE_LIMITED } from "../../call/classify.ts";
import { codeName } from "../../call/codes.ts";
import { discard, type Failure, type Outcome } from "../../call/outcome.ts";
import { keep, type Passed, step } from "../../call/step.ts";
import { waited } from "../../call/waiting.ts";
import { durationMs } from "../../policy/duration.ts";
import { backoffCeilings, backoffMs } from "./backoff.ts";
import { type RetryDefinition, retryDefaults } from "./definition.ts";

type Came = (call: Call, outcome: Outcome<unknown>) => Outcome<unknown> | Promise<Outcome<unknown>>;

/** A call whose first attempt is under way. A class, since there is one for every call. */
class Waiting implements Passed {
  outer: Passed | undefined = undefined;
  readonly #call: Call;
  readonly #came: Came;

  constructor(call: Call, came: Came) {
    this.#call = call;
    this.#came = came;
  }

  came(outcome: Outcome<unknown>): ReturnType<Came> {
    return this.#came(this.#call, outcome);
  }
}

export const buildRetry: Build<RetryDefinition, Budget> = (definition, env, { label }) => {
  const { attempts = retryDefaults.attempts, on = retryDefaults.on, statuses, buffer = retryDefaults.buffer, retryAfter } = definition;
  const methods = new Set<string>(definition.methods ?? retryDefaults.methods);
  const anyMethod = methods.has("*");
  const worthIt = matcher(on, statuses);
  const ceilings = backoffCeilings(definition);
  const longestPushback = retryAfter === false ? undefined : durationMs(retryAfter?.max ?? retryDefaults.retryAfterMax);
  const overflowed = (call: Call, bytes: number): void =>
    env.report(call, { layer: label, kind: "retry", what: "committed-by-overflow", detail: { bytes, buffer } });

  const most = ({ payload: { orders } }: Call): number => orders?.attempts ?? attempts;
  const worthAnother = <R>({ payload: { orders } }: Call, outcome: Outcome<R>): outcome is Failure<R> =>
    worthIt(outcome) || orders?.retryOn?.(outcome) === true;

  const limitedToo = on.includes("envoy-ratelimited");
  const isLimited = ({ payload: { orders } }: Call, { conditions }: Failure<unknown>): boolean =>
    (conditions & RATE_LIMITED) !== 0 && !limitedToo && orders?.rateLimited !== true;

  const mayRepeat = (call: Call, failure: Failure<unknown>): boolean =>
    !failure.sent || (call.idempotent ?? (anyMethod || methods.has(call.method)));

  /** The next attempt, and the milliseconds to wait before it; `undefined`: there is none, and telemetry says why. */
  function following(budget: Budget, call: Call, failure: Failure<unknown>, done: number): { wait: number; next: Call } | undefined {
    const stop = (what: string, detail: Readonly<Record<string, unknown>> = {}): undefined => {
      env.report(call, {
        layer: label,
        kind: "retry",
        what,
        detail: { code: codeName(failure.code), status: failure.status, ...detail },
      });
    };
    if (call.signal?.aborted === true) return undefined;
    if (isLimited(call, failure)) return stop("rate-limited");
    if (done >= most(call)) return stop("exhausted", { attempts: most(call) });
    if (!mayRepeat(call, failure)) return stop("not-idempotent", { method: call.method });
    if (!call.payload.replayable) return stop("body-not-replayable", { buffer });
    const pushback = longestPushback === undefined ? undefined : failure.retryAfterMs;
    if (pushback === Number.POSITIVE_INFINITY) return stop("asked-not-to-retry");
    if (pushback !== undefined && pushback > (longestPushback ?? 0))
      return stop("asked-to-wait-too-long", { retryAfterMs: pushback, max: longestPushback });
    const wait = (pushback ?? 0) + backoffMs(ceilings, done, env.random);
    if (env.now() + wait >= call.deadline) return stop("no-time-left", { waitMs: wait });
    if (!takeExtra(budget)) return stop("budget-spent", { active: budget.active, retries: budget.extra });
    const next = nextAttempt(call.record);
    env.report(call, {
      layer: label,
      kind: "retry",
      what: "retrying",
      detail: { code: codeName(failure.code), status: failure.status, waitMs: wait, next },
    });
    return { wait, next: { ...call, attempt: next, type: "retry" } };
  }

  async function again<R>(budget: Budget, next: Next<R>, call: Call, first: Failure<R>): Promise<Outcome<R>> {
    let outcome: Outcome<R> = first;
    let attempt = call;
    for (let done = 1; worthAnother(call, outcome); done++) {
      const follows = following(budget, attempt, outcome, done);
      if (follows === undefined) return outcome;
      discard(outcome);
      attempt = follows.next;
      try {
        if (!(await waited(env.timers, follows.wait, call.signal))) return abortedOutcome(call.signal);
        outcome = await next(attempt);
      } finally {
        giveExtra(budget);
      }
    }
    return outcome;
  }

  return {
    newState: () => newBudget(definition.budget),
    layer: (budget) =>
      step((next) => {
        const came: Came = (call, outcome) => {
          if (worthAnother(call, outcome)) return again(budget, next, call, outcome).finally(() => budget.active--);
          budget.active--;
          return outcome;
        };
        return (call) => {
          call.payload.keep?.(most(call) > 1 ? buffer : 0, overflowed);
          budget.active++;
          keep(new Waiting(call, came));
          return call;
        };
      }),
    show: (budget) => ({
      status: () => ({
        active: budget.active,
        retries: budget.extra,
        ...remainingOf(budget),
      }),
    }),
    budget: (budget) => budget,
    repeats: (call, failure) => attempts > 1 && worthIt(failure) && !isLimited(call, failure) && mayRepeat(call, failure),
  };
};
