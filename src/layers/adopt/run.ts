// Run: one call in the hands of an adopted engine. The engine decides when the call is sent and what comes of it; here it is seen to that the call
// ends once, at once when its caller aborts, and that every response but the one that the caller gets is let go.
import { type Call, type Next, nextAttempt } from "../../call/call.ts";
import { abortedOutcome, TIMEOUT } from "../../call/classify.ts";
import { Code } from "../../call/codes.ts";
import { whenEnded } from "../../call/end.ts";
import { discard, type Failure, type Outcome } from "../../call/outcome.ts";
import { thrown } from "../../call/refusal.ts";
import { Abort } from "../../call/signal.ts";
import { PolicyError } from "../../policy/error.ts";

/** What an outcome is to code that is not ours: a value that it returns, or an error that it throws. */
export type Given = { readonly value: unknown } | { readonly error: unknown };

/** What a layer is told of a run, to report it. */
export interface Watcher {
  /** The engine sends the call again. */
  repeats(attempt: number): void;
  /** The engine would send it again, but its body is gone. */
  cannotRepeat(): void;
}

/** How one attempt came out, and what the engine is given for it. */
export interface Answer<R> {
  readonly outcome: Outcome<R>;
  readonly given: Given;
}

export interface Run<R> {
  readonly call: Call;
  /** The outcome of the call. */
  readonly outcome: Promise<Outcome<R>>;
  readonly over: () => boolean;
  /** The attempt that the engine was given this value for; of several, the last. */
  returned(value: unknown): Answer<R> | undefined;
  /** The attempt that the engine was given this error for. */
  threw(error: unknown): Answer<R> | undefined;
  /** Sends the call once, until its head; `until` ends the attempt as a timeout. `undefined`: the call is over, or cannot be sent again. */
  send(until?: AbortSignal): Promise<Answer<R> | undefined>;
  /** The call comes out like this. Only the first counts; what is still under way is aborted. */
  finish(outcome: Outcome<R>): void;
  /** Runs when the call is over. */
  whenOver(release: () => void): void;
}

export function newRun<R>(call: Call, next: Next<R>, label: string, watcher: Watcher): Run<R> {
  const { promise, resolve } = Promise.withResolvers<Outcome<R>>();
  const underWay = new Set<Abort>();
  const releases: (() => void)[] = [];
  /** Those that the engine may still decide for: settled since the last send. */
  const answers: Answer<R>[] = [];
  let sends = 0;
  let over = false;

  function finish(outcome: Outcome<R>): void {
    if (over) return;
    over = true;
    call.signal?.removeEventListener("abort", aborted);
    for (const answer of answers) if (answer.outcome !== outcome) discard(answer.outcome);
    for (const attempt of underWay) attempt.abort(outcome.ok ? undefined : outcome.cause);
    resolve(outcome);
    for (const release of releases) release();
  }

  /** An attempt that is under way ends by itself, and knows better what it was; in a queue or a backoff nobody else would end the call. */
  function aborted(): void {
    if (underWay.size === 0) finish(abortedOutcome(call.signal));
  }

  async function send(until: AbortSignal | undefined): Promise<Answer<R> | undefined> {
    if (over) return undefined;
    if (sends > 0 && !call.payload.replayable) {
      watcher.cannotRepeat();
      const earlier = answers.at(-1);
      if (earlier !== undefined) finish(earlier.outcome);
      return undefined;
    }
    for (const answer of answers.splice(0)) discard(answer.outcome);
    const again = sends++ > 0;
    const attempt = again ? nextAttempt(call.record) : call.attempt;
    if (again) watcher.repeats(attempt);
    const signal = new Abort(call.signal);
    const expired = (): void => signal.abort(timeoutError(call, label));
    if (until?.aborted === true) expired();
    else until?.addEventListener("abort", expired, { once: true });
    underWay.add(signal);
    const outcome = await next({ ...call, signal, attempt, type: again ? "retry" : call.type });
    underWay.delete(signal);
    until?.removeEventListener("abort", expired); // an engine may abort its signal on return, and the body is still to come
    whenEnded(outcome.end, () => signal.unfollow());
    if (over) {
      discard(outcome);
      return undefined;
    }
    if (call.signal?.aborted === true) {
      finish(outcome);
      return undefined;
    }
    const answer = { outcome, given: givenAs(outcome, call) };
    answers.push(answer);
    return answer;
  }

  call.signal?.addEventListener("abort", aborted, { once: true });
  return {
    call,
    outcome: promise,
    over: () => over,
    returned: (value) => answers.findLast(({ given }) => "value" in given && given.value === value),
    threw: (error) => answers.findLast(({ given }) => "error" in given && given.error === error),
    send,
    finish,
    whenOver: (release) => void releases.push(release),
  };
}

/** A response, of whatever status, is a value; a failure without one is thrown, as its caller would see it. */
function givenAs<R>(outcome: Outcome<R>, { record }: Call): Given {
  const value = outcome.response ?? outcome.reply;
  return outcome.ok || value !== undefined ? { value } : { error: thrown(outcome, record) };
}

function timeoutError({ record }: Call, layer: string, cause?: unknown): PolicyError {
  const { policy, target, attempts } = record;
  return new PolicyError("ERR_PREMESH_TIMEOUT", `policy ${policy}: the adopted ${layer} had no response in time (${target})`, {
    policy,
    layer,
    attempts,
    cause,
  });
}

/** The outcome of a call whose engine gave it no more time. */
export function timeoutOutcome(call: Call, layer: string, sent: boolean, cause: unknown): Failure<never> {
  const error = timeoutError(call, layer, cause);
  return { ok: false, code: Code.DEADLINE_EXCEEDED, by: "timeout", sent, conditions: TIMEOUT, cause: error, layer };
}
