// Outcome: how an attempt or a call came out. Returned between layers, never thrown.
import type { LayerKind } from "../policy/policy.ts";
import type { Code } from "./codes.ts";
import type { End } from "./end.ts";

/** Fields of a response's head; names in lower case. */
export interface Head {
  get(name: string): string | null | undefined;
}

/** Where a limit stood when it refused. */
export interface LimitState {
  /** How many calls may start at once after a quiet time. */
  readonly burst: number;
  /** How many may start per `perMs`. */
  readonly rate: number;
  readonly perMs: number;
  /** How many could start now: 0, or fewer than this call counts for. */
  readonly remaining: number;
  /** How long until this call could start; absent: it never can, since it counts for more than `burst`. */
  readonly resetMs: number | undefined;
}

/** A response made here, not by the peer; each transport turns it into its own kind. */
export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
  /** The place in the list of the layer that made it; absent where no definition says what it is. */
  readonly index?: number;
}

interface Settled<R> {
  /** HTTP status, where the peer (or a fault in its place) gave one. */
  readonly status?: number | undefined;
  /** The fields of the response's head, where the transport has them. */
  readonly head?: Head | undefined;
  /** Name of the policy whose `fallback` layer answered. */
  readonly fallback?: string | undefined;
  /** Set where the response goes on after its head; it ends once, and never fails. Absent: it is over. */
  readonly end?: End | undefined;
  /** The connection has gone over to another protocol: it lasts as long as the two ends please, and no timeout is for that. */
  readonly switched?: boolean | undefined;
  /** Lets go of a response that nobody will read. Never throws. */
  discard?(response: R): void;
}

export interface Success<R> extends Settled<R> {
  readonly ok: true;
  readonly response: R;
  /** A response made by a `fallback` layer, in place of `response`. */
  readonly reply?: Reply | undefined;
}

export interface Failure<R> extends Settled<R> {
  readonly ok: false;
  readonly code: Code;
  /** Who made this outcome: the peer, a layer, or the caller by its abort. */
  readonly by: "peer" | "caller" | LayerKind;
  /** False: the peer never saw it, so it is safe to send again. */
  readonly sent: boolean;
  /** Which condition words fit, as bits of `call/classify.ts`. */
  readonly conditions: number;
  readonly response?: R | undefined;
  readonly reply?: Reply | undefined;
  readonly cause?: unknown;
  /** How long the peer or the refusing layer asks to wait; `Infinity`: the peer asks that it never be sent again. */
  readonly retryAfterMs?: number | undefined;
  /** Set where a rate limit refused: what an inbound refusal says in `RateLimit` fields. */
  readonly limit?: LimitState | undefined;
  /** Name of the layer that made it. */
  readonly layer?: string | undefined;
}

export type Outcome<R> = Success<R> | Failure<R>;

/** Lets go of an outcome that is dropped: its response is drained or cancelled, so that its socket and permits come back. */
export function discard<R>(outcome: Outcome<R>): void {
  if (outcome.response !== undefined) outcome.discard?.(outcome.response);
}
