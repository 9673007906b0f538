// Incoming: what a layer may ask of a call that has come in from elsewhere and is answered here. No wire shows through.
import type { Outcome } from "./outcome.ts";
import type { Signal } from "./signal.ts";

/** An answer as it was given, so that it can be given again. Each wire words it for itself: over gRPC `status` is a code and `body` a message. */
export interface Answer {
  readonly status: number;
  /** Names in lower case; one may stand several times. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array;
  readonly trailers: readonly (readonly [name: string, value: string])[];
}

/** What became of the work: its answer; or it answered, and that cannot be kept; or it ended without an answer. */
export type Told = Answer | "too-long" | "none";

/** A digest of all that is asked for; or why there is none: the body is too long, has no end, was read by somebody before, its sender has left, or too much is being read for others. */
export type Asked = { readonly digest: string } | { readonly not: "too-long" | "no-room" | "streamed" | "taken" | "gone" };

/** A call that has come in. */
export interface Incoming {
  /** It is not done here but passed on: once for each attempt, and an attempt is ended by its signal. Absent: it is done here, and once. */
  readonly passedOn?: boolean;
  /** Digests method, path, query and body; the work finds the body as it was. Reads no more than so many bytes, and gives up when the signal is aborted. */
  asked(most: number, signal: Signal | undefined): Promise<Asked>;
  /**
   * Before the work begins: asks that its answer be kept, up to so many bytes. `told` is called once, and at the latest when nothing can come any more. What it
   * gives, where it is passed on, is to be told the outcome of the work: there may be several attempts, and one of them has the answer.
   */
  record(most: number, told: (told: Told) => void): ((outcome: Outcome<unknown>) => void) | undefined;
  /** Breaks off the answer that is being sent, since the signal was aborted; the work goes on. */
  cut(signal: Signal): void;
  /** The outcome of an answer that was given before. */
  replay(answer: Answer): Outcome<unknown>;
}
