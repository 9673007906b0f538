// Sends a `run` call: the work is the peer.
import type { Call, Payload } from "../../call/call.ts";
import { abortedOutcome, thrownOutcome } from "../../call/classify.ts";
import type { Outcome } from "../../call/outcome.ts";
import { nativeSignal, type Signal } from "../../call/signal.ts";

/** What the work is given. */
export interface Attempt {
  /** Aborted when the caller aborts or a timeout ends the attempt. Pass it on. */
  readonly signal: AbortSignal;
  /** Which attempt this is; 1 is the first. */
  readonly attempt: number;
  /** Where to: the target of the call, or that of a fallback layer; under a `route` the address of the endpoint, `"10.0.0.1:8080"`. */
  readonly target: string;
  /** The endpoint that a `route` layer has picked: its origin, `"http://10.0.0.1:8080"`. */
  readonly endpoint: string | undefined;
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
    result = (call.payload as RunPayload).work(new RunAttempt(call));
    pending = isThenable(result); // a `then` may be a getter, and throw
  } catch (error) {
    return Promise.resolve(thrownOutcome(error));
  }
  if (!pending) return Promise.resolve(succeeded(result));
  return signal === undefined ? Promise.resolve(result).then(succeeded, thrownOutcome) : raced(result, signal);
}

/** Few works ask for the signal, so it is made for those that do. A class, since one is made for every attempt. */
class RunAttempt implements Attempt {
  readonly attempt: number;
  readonly target: string;
  readonly endpoint: string | undefined;
  readonly #signal: Signal | undefined;

  constructor({ attempt, target, endpoint, signal }: Call) {
    this.attempt = attempt;
    this.target = endpoint === undefined ? target : endpoint.url.host;
    this.endpoint = endpoint?.key;
    this.#signal = signal;
  }

  get signal(): AbortSignal {
    return this.#signal === undefined ? neverAborted : nativeSignal(this.#signal);
  }
}

const succeeded = (response: unknown): Outcome<unknown> => ({ ok: true, response });

function isThenable(value: unknown): boolean {
  return (
    (typeof value === "object" || typeof value === "function") && value !== null && typeof (value as { then?: unknown }).then === "function"
  ); // the cast: any object can be asked
}

function raced(result: unknown, signal: Signal): Promise<Outcome<unknown>> {
  const { promise, resolve } = Promise.withResolvers<Outcome<unknown>>();
  const race = new Race(signal, resolve);
  Promise.resolve(result).then(
    (response) => race.settle(succeeded(response)),
    (error: unknown) => race.settle(thrownOutcome(error)),
  );
  return promise;
}

/** The work against its signal. A class, since most attempts of work need one: closures in its place take 170 bytes more. */
class Race {
  readonly #signal: Signal;
  readonly #resolve: (outcome: Outcome<unknown>) => void;

  constructor(signal: Signal, resolve: (outcome: Outcome<unknown>) => void) {
    this.#signal = signal;
    this.#resolve = resolve;
    signal.addEventListener("abort", this, { once: true });
  }

  settle(outcome: Outcome<unknown>): void {
    this.#signal.removeEventListener("abort", this);
    this.#resolve(outcome);
  }

  /** The signal was aborted. */
  handleEvent(): void {
    this.#resolve(abortedOutcome(this.#signal, true));
  }
}
