// Sends a `run` call: the work is the peer.
import type { Call, Payload } from "../../call/call.ts";
import { abortedOutcome, thrownOutcome } from "../../call/classify.ts";
import type { Outcome } from "../../call/outcome.ts";

/** What the work is given. */
export interface Attempt {
  /** Aborted when the caller aborts or a timeout ends the attempt. Pass it on. */
  readonly signal: AbortSignal;
  /** Which attempt this is; 1 is the first. */
  readonly attempt: number;
  /** Where to: the target of the call, or that of a fallback layer. */
  readonly target: string;
}

/** The work of a `run` call. */
export type Work<T> = (attempt: Attempt) => T | PromiseLike<T>;

export interface RunPayload extends Payload {
  readonly work: Work<unknown>;
}

const neverAborted = new AbortController().signal;

/** Runs the work once. It settles at once when the signal is aborted, whether the work heeds it or not; what comes later is dropped. */
export function sendRun(call: Call): Promise<Outcome<unknown>> {
  const { signal, record } = call;
  if (signal?.aborted === true) return Promise.resolve(abortedOutcome(signal));
  record.attempts++;
  record.sent++;
  let result: unknown;
  let pending: boolean;
  try {
    // the cast: this sender is only put on calls with this payload
    result = (call.payload as RunPayload).work({ signal: signal ?? neverAborted, attempt: call.attempt, target: call.target });
    pending = isThenable(result); // a `then` may be a getter, and throw
  } catch (error) {
    return Promise.resolve(thrownOutcome(error));
  }
  if (!pending) return Promise.resolve({ ok: true, response: result });
  const settled = Promise.resolve(result).then(succeeded, thrownOutcome);
  return signal === undefined ? settled : raced(settled, signal);
}

const succeeded = (response: unknown): Outcome<unknown> => ({ ok: true, response });

function isThenable(value: unknown): boolean {
  return (
    (typeof value === "object" || typeof value === "function") && value !== null && typeof (value as { then?: unknown }).then === "function"
  ); // the cast: any object can be asked
}

function raced(settled: Promise<Outcome<unknown>>, signal: AbortSignal): Promise<Outcome<unknown>> {
  return new Promise((resolve) => {
    const abort = (): void => resolve(abortedOutcome(signal, true));
    signal.addEventListener("abort", abort, { once: true });
    void settled.then((outcome) => {
      signal.removeEventListener("abort", abort);
      resolve(outcome);
    });
  });
}
