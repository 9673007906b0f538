// The timeout layer at work: a deadline, and a signal that is aborted when it has passed. There is no race: whatever stands behind a layer settles at
// once when its signal is aborted, and what was held in between has then been let go.
import { type Build, stateless } from "../../call/build.ts";
import type { Call } from "../../call/call.ts";
import { monotonicNow } from "../../call/clock.ts";
import { Code } from "../../call/codes.ts";
import { TIMEOUT } from "../../call/classify.ts";
import { type Deadlines, type Expiry, newDeadlines } from "../../call/deadlines.ts";
import { whenEnded } from "../../call/end.ts";
import { discard, type Failure, type Outcome } from "../../call/outcome.ts";
import { remember } from "../../call/record.ts";
import { Abort } from "../../call/signal.ts";
import { durationMs } from "../../policy/duration.ts";
import { keep, type Passed, step } from "../../call/step.ts";
import { PolicyError } from "../../policy/error.ts";
import type { TimeoutDefinition } from "./definition.ts";

/** What is the same for all calls of a layer. */
interface Rule {
  readonly deadlines: Deadlines;
  /** Else until the head. */
  readonly untilEnd: boolean;
  readonly expired: (watch: Watch) => void;
  readonly afterMs: number;
}

/** One call in this layer: its signal and its place among the deadlines in one object, since each call needs both. */
class Watch extends Abort implements Expiry, Passed {
  dueAt = 0;
  before: Expiry | undefined = undefined;
  behind: Expiry | undefined = undefined;
  timer: unknown = undefined;
  outer: Passed | undefined = undefined;
  /** The head of the response has come. */
  headed = false;
  failure: Failure<never> | undefined = undefined;
  readonly call: Call;
  readonly sentBefore: number;
  readonly #rule: Rule;

  /** `now`: what the clock of the deadlines says, where it has just been asked. */
  constructor(call: Call, rule: Rule, now: number | undefined) {
    super(call.signal);
    this.call = call;
    this.sentBefore = call.record.sent;
    this.#rule = rule;
    rule.deadlines.add(this, now);
  }

  get afterMs(): number {
    return this.#rule.afterMs;
  }

  expired(): void {
    this.#rule.expired(this);
  }

  came(outcome: Outcome<unknown>): Outcome<unknown> {
    if (this.failure !== undefined) {
      this.unfollow();
      discard(outcome);
      return this.failure;
    }
    this.headed = true;
    const { end } = outcome;
    if (end === undefined || end.ended) this.#over();
    else {
      if (!this.#rule.untilEnd || outcome.switched === true) this.#rule.deadlines.remove(this);
      whenEnded(end, () => this.#over());
    }
    return outcome;
  }

  #over(): void {
    this.#rule.deadlines.remove(this);
    this.unfollow();
  }
}

export const buildTimeout: Build<TimeoutDefinition> = (definition, env, { label, insideRetry }) => {
  const after = durationMs(definition.after);
  const shadow = definition.shadow === true;
  const untilEnd = !insideRetry;

  function expired(watch: Watch): void {
    const { call, headed, sentBefore, afterMs } = watch;
    const { record } = call;
    env.report(call, {
      layer: label,
      kind: "timeout",
      what: shadow ? "would-time-out" : "timed-out",
      detail: { afterMs, waitingFor: headed ? "end" : "head" },
    });
    if (shadow) return;
    const what = untilEnd ? (headed ? "the response did not end" : "no response") : "an attempt got no response";
    const within = afterMs === after ? definition.after : `${afterMs}ms`;
    const error = new PolicyError("ERR_PREMESH_TIMEOUT", `policy ${record.policy}: ${what} within ${within} (${record.target})`, {
      policy: record.policy,
      layer: label,
      attempts: record.attempts,
    });
    remember(error, record);
    if (!headed) {
      watch.failure = {
        ok: false,
        code: Code.DEADLINE_EXCEEDED,
        by: "timeout",
        sent: record.sent !== sentBefore,
        conditions: TIMEOUT,
        cause: error,
        layer: label,
      };
    }
    watch.abort(error);
  }

  const ruleOf = (afterMs: number): Rule => ({ deadlines: newDeadlines(afterMs, env.timers), untilEnd, expired, afterMs });
  const own = ruleOf(after);

  /** That of the policy, or by order of a trusted caller one of its own. */
  function ruleFor({ payload: { orders } }: Call): Rule {
    const ordered = untilEnd ? orders?.callTimeoutMs : orders?.attemptTimeoutMs;
    return ordered === undefined ? own : ruleOf(ordered);
  }

  const pass = (call: Call): Call => {
    const rule = ruleFor(call);
    const now = env.now();
    const watch = new Watch(call, rule, env.now === monotonicNow ? now : undefined);
    const deadline = shadow ? call.deadline : Math.min(call.deadline, now + rule.afterMs);
    const endBy = untilEnd ? Math.min(call.endBy, deadline) : call.endBy;
    keep(watch);
    return { ...call, signal: watch, deadline, endBy };
  };
  return stateless(step(() => pass));
};
