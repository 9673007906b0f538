// Race: the copies of one call that are under way together. The first good answer is the call's, and the others are cancelled.
import { giveExtra, takeExtra, type Budget } from "../../call/budget.ts";
import { type Call, type Next, nextAttempt } from "../../call/call.ts";
import { Code } from "../../call/codes.ts";
import { whenEnded } from "../../call/end.ts";
import type { Env } from "../../call/env.ts";
import { discard, type Failure, type Outcome } from "../../call/outcome.ts";
import { Abort } from "../../call/signal.ts";
import type { Latencies } from "./latencies.ts";

/** What is the same for all calls of a layer. */
export interface Rule {
  readonly env: Pick<Env, "now" | "timers">;
  /** How many copies beside the first. */
  readonly max: number;
  /** How many bytes of a streamed body are kept. */
  readonly buffer: number;
  readonly mayRepeat: (call: Call) => boolean;
  /** Whether an outcome leaves the call to the other copies. */
  readonly bad: (outcome: Outcome<unknown>) => outcome is Failure<unknown>;
  readonly report: (call: Call, what: string, detail: Readonly<Record<string, unknown>>) => void;
}

/** What the calls to one target share. */
export interface Shared {
  readonly budget: Budget;
  /** How long a copy may be without an answer; `undefined`: nobody knows yet, or no copy is wanted. */
  delay(call: Call): number | undefined;
  /** Where percentiles are asked for. */
  readonly latencies: Latencies | undefined;
  /** A call has its outcome. */
  ended(): void;
}

/** One copy: its signal, which follows the call's. A class, since Abort is one. */
class Copy extends Abort {
  readonly attempt: number;
  readonly startedAt: number;
  /** It has a place in the budget. */
  readonly extra: boolean;

  constructor(call: Call, attempt: number, startedAt: number, extra: boolean) {
    super(call.signal);
    this.attempt = attempt;
    this.startedAt = startedAt;
    this.extra = extra;
  }
}

/** A class, since there is one for every call, and its timer and its copies share a dozen things. */
export class Race<R> {
  readonly outcome: Promise<Outcome<R>>;
  readonly #call: Call;
  readonly #next: Next<R>;
  readonly #rule: Rule;
  readonly #shared: Shared;
  readonly #delay: number | undefined;
  readonly #resolve: (outcome: Outcome<R>) => void;
  readonly #reject: (error: unknown) => void;
  readonly #underWay = new Set<Copy>();
  readonly #first: Copy;
  #copies = 0;
  #timer: unknown = undefined;
  /** The best of the bad outcomes so far. */
  #fallen: Failure<R> | undefined = undefined;
  #over = false;

  constructor(call: Call, next: Next<R>, rule: Rule, shared: Shared) {
    const { promise, resolve, reject } = Promise.withResolvers<Outcome<R>>();
    this.outcome = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#call = call;
    this.#next = next;
    this.#rule = rule;
    this.#shared = shared;
    this.#delay = shared.delay(call);
    this.#first = new Copy(call, call.attempt, rule.env.now(), false);
    this.#send(this.#first, { ...call, signal: this.#first });
    this.#arm();
  }

  #arm(): void {
    const { env, max } = this.#rule;
    if (this.#over || this.#delay === undefined || this.#copies >= max) return;
    this.#timer = env.timers.setTimer(() => this.#due(), this.#delay);
  }

  /** No copy has answered in time. */
  #due(): void {
    const { env, max, buffer, mayRepeat, report } = this.#rule;
    const { budget } = this.#shared;
    const call = this.#call;
    const { payload, record } = call;
    this.#timer = undefined;
    if (call.signal?.aborted === true) return;
    if (!mayRepeat(call)) return report(call, "not-idempotent", { method: call.method });
    // nothing is known of the peer's pace while it waits for the caller
    if (payload.unfinished === true && payload.replayable) return this.#arm();
    if (!payload.replayable) return report(call, "body-not-replayable", { buffer });
    if (!takeExtra(budget)) return report(call, "budget-spent", { active: budget.active, extra: budget.extra });
    const attempt = nextAttempt(record);
    this.#copies++;
    report(call, "hedging", { afterMs: this.#delay, next: attempt, copies: this.#copies, max });
    const copy = new Copy(call, attempt, env.now(), true);
    this.#send(copy, { ...call, signal: copy, attempt, type: "hedge" });
    this.#arm();
  }

  #send(copy: Copy, call: Call): void {
    this.#underWay.add(copy);
    try {
      this.#next(call).then(
        (outcome) => this.#came(copy, outcome),
        (error: unknown) => this.#broke(copy, error),
      );
    } catch (error) {
      this.#broke(copy, error); // in a timer nobody would catch it
    }
  }

  #came(copy: Copy, outcome: Outcome<R>): void {
    const { bad } = this.#rule;
    this.#left(copy);
    whenEnded(outcome.end, () => copy.unfollow());
    if (this.#over) return discard(outcome);
    const fallen = bad(outcome) || isLost(outcome, this.#call);
    if (!fallen) return this.#settle(outcome, copy);
    this.#keepBetter(outcome);
    if (this.#underWay.size === 0 && this.#fallen !== undefined) return this.#settle(this.#fallen, undefined);
    return outcome.retryAfterMs === undefined ? undefined : this.#heed(outcome.retryAfterMs);
  }

  /** Of several failures one that the peer may have had a part in tells more than one that it never saw, and a later one more than an earlier one. */
  #keepBetter(outcome: Failure<R>): void {
    const before = this.#fallen;
    if (before !== undefined && ((before.sent && !outcome.sent) || isLost(outcome, this.#call))) return discard(outcome);
    if (before !== undefined) discard(before);
    this.#fallen = outcome;
  }

  /** The peer asks to be spared for a while: no further copy is sent. */
  #heed(retryAfterMs: number): void {
    if (this.#timer === undefined) return;
    this.#disarm();
    this.#rule.report(this.#call, "asked-to-wait", { retryAfterMs });
  }

  #settle(outcome: Outcome<R>, winner: Copy | undefined): void {
    const { env, report } = this.#rule;
    const tookMs = env.now() - (winner ?? this.#first).startedAt;
    if (this.#copies > 0 && winner !== undefined && (outcome.ok || outcome.by === "peer"))
      report(this.#call, "answered", { by: winner.attempt, sent: 1 + this.#copies, tookMs });
    // a first copy that was overtaken would have taken as long as this, or longer
    if (winner !== undefined && (outcome.ok || outcome.by === "peer")) this.#shared.latencies?.add(env.now() - this.#first.startedAt);
    if (this.#fallen !== outcome && this.#fallen !== undefined) discard(this.#fallen);
    this.#cancel();
    this.#resolve(outcome);
  }

  #broke(copy: Copy, error: unknown): void {
    this.#left(copy);
    copy.unfollow();
    if (this.#over) return;
    if (this.#fallen !== undefined) discard(this.#fallen);
    this.#cancel();
    this.#reject(error);
  }

  /** Ends what is still under way. */
  #cancel(): void {
    this.#over = true;
    this.#shared.ended();
    this.#disarm();
    if (this.#underWay.size === 0) return;
    const reason = new DOMException("premesh: another copy of this call has answered", "AbortError");
    for (const copy of this.#underWay) copy.abort(reason);
  }

  #disarm(): void {
    if (this.#timer !== undefined) this.#rule.env.timers.clearTimer(this.#timer);
    this.#timer = undefined;
  }

  #left(copy: Copy): void {
    this.#underWay.delete(copy);
    if (copy.extra) giveExtra(this.#shared.budget);
  }
}

/** The transport has given this copy up for another one, which is the one to go on with (a stream of messages can be kept for one only). */
function isLost(outcome: Outcome<unknown>, { signal }: Call): outcome is Failure<never> {
  return !outcome.ok && outcome.by === "caller" && outcome.code === Code.CANCELLED && signal?.aborted !== true;
}
