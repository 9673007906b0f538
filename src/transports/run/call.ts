// The call that a `run` makes, and what its caller gets in the end.
import { type Call, type CallRecord, newCall } from "../../call/call.ts";
import type { Outcome } from "../../call/outcome.ts";
import { runResult } from "./edge.ts";
import { type RunPayload, sendRun, type Work } from "./send.ts";

/** The target of work that names none. */
export const RUN_TARGET = "run";

/** The method of all work; the idempotency rules go by the caller's word alone. */
export const RUN_METHOD = "run";

const noMetadata = { get: () => undefined };

export function runCall(
  work: Work<unknown>,
  { signal, idempotent }: { signal?: AbortSignal; idempotent?: boolean },
  record: CallRecord,
): Call {
  const payload: RunPayload = { replayable: true, work };
  return newCall({
    record,
    metadata: noMetadata,
    signal,
    idempotent: idempotent === true ? true : undefined,
    idempotencyKey: undefined,
    payload,
    send: sendRun,
  });
}

/** The outcome becomes a value or is thrown. */
export function runConclusion(outcome: Outcome<unknown>, { record }: Call): unknown {
  return runResult(outcome, record);
}
