// The call that a `fetch` makes, and what its caller gets in the end.
import { type Call, type CallRecord, newCall } from "../../call/call.ts";
import type { Crosses } from "../../call/crossing.ts";
import type { Outcome } from "../../call/outcome.ts";
import { fetchResult } from "./edge.ts";
import type { FetchPayload } from "./once.ts";
import { payloadOf } from "./payload.ts";
import { type FetchInit, type FetchInput, FetchMetadata, signalOf, unfollowed } from "./request.ts";

export function fetchCall(
  input: FetchInput,
  init: FetchInit | undefined,
  url: URL,
  record: CallRecord,
  send: Call["send"],
  crosses: Crosses,
): Call {
  const signal = signalOf(input, init);
  const { idempotent, idempotencyKey } = init?.premesh ?? {};
  return newCall({
    record,
    metadata: new FetchMetadata(input, init, url),
    signal,
    idempotent,
    idempotencyKey,
    payload: payloadOf(input, init, url, signal),
    send,
    crosses,
  });
}

/** No further attempt will come: the body is let go, and the outcome becomes a Response or is thrown. */
export function fetchConclusion(outcome: Outcome<unknown>, { payload, record, signal }: Call): Response {
  unfollowed(signal, outcome.end);
  // the casts: the call was made by fetchCall, so its payload and its responses are fetch's
  (payload as FetchPayload).settle(outcome.response === undefined, outcome.ok ? undefined : outcome.cause);
  return fetchResult(outcome as Outcome<Response>, record);
}
