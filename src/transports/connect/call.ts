// The call that an RPC over Connect makes, and what its caller gets in the end.
import { type Call, type CallRecord, newCall } from "../../call/call.ts";
import type { Timers } from "../../call/clock.ts";
import { whenEnded } from "../../call/end.ts";
import type { Outcome } from "../../call/outcome.ts";
import { remember } from "../../call/record.ts";
import { Abort } from "../../call/signal.ts";
import type { PremeshInit } from "../fetch/request.ts";
import { Code as ConnectCode, ConnectError, type ConnectResponse, type DescMethod } from "./connect-es.ts";
import { connectResult } from "./edge.ts";
import type { ConnectPayload } from "./payload.ts";

/** NO_SIDE_EFFECTS and IDEMPOTENT: google.protobuf.MethodOptions.IdempotencyLevel. */
const IDEMPOTENT: ReadonlySet<number> = new Set([1, 2]);

/** `payments.v1.Payments/Charge`. */
export const methodName = ({ parent, name }: DescMethod): string => `${parent.typeName}/${name}`;

export function connectCall(
  record: CallRecord,
  payload: ConnectPayload,
  signal: AbortSignal | undefined,
  timers: Timers,
  { idempotent, idempotencyKey }: PremeshInit,
  send: Call["send"],
): Call {
  const { method, timeoutMs = 0 } = payload.request;
  return newCall({
    record,
    metadata: { get: (name) => payload.header.get(name) ?? undefined },
    signal: timeoutMs > 0 ? new CallersDeadline(signal, timeoutMs, timers) : signal,
    ...(timeoutMs > 0 ? { deadline: record.startedAt + timeoutMs } : {}),
    idempotent: idempotent ?? (IDEMPOTENT.has(method.idempotency) ? true : undefined),
    idempotencyKey,
    payload,
    send,
  });
}

/** The caller's signal, aborted also when the time is over that the caller has given the call with all its attempts. */
class CallersDeadline extends Abort {
  readonly #timers: Timers;
  readonly #timer: unknown;

  constructor(signal: AbortSignal | undefined, timeoutMs: number, timers: Timers) {
    super(signal);
    this.#timers = timers;
    // in Connect's own words
    this.#timer = timers.setTimer(() => this.abort(new ConnectError("the operation timed out", ConnectCode.DeadlineExceeded)), timeoutMs);
  }

  over(): void {
    this.#timers.clearTimer(this.#timer);
    this.unfollow();
  }
}

/** No further attempt will come: the outcome becomes a response or is thrown. */
export function connectConclusion(outcome: Outcome<unknown>, { payload, record, signal }: Call): ConnectResponse {
  if (signal instanceof CallersDeadline) whenEnded(outcome.end, () => signal.over());
  const { messages, request } = payload as ConnectPayload; // the casts: the call was made by connectCall, so its payload and responses are Connect's
  try {
    const response = connectResult(outcome as Outcome<ConnectResponse>, record, request.method);
    if (outcome.response === undefined) messages?.end(undefined);
    if (!response.stream) remember(response.message, record);
    return response;
  } catch (error) {
    messages?.end(error);
    throw error;
  }
}
