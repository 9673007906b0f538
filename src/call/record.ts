// Records of calls, also by what came of the call: a response or an error leads back to what is known of it.
import type { CallRecord } from "./call.ts";

/** The record of a call that begins. */
export function newRecord(policy: string, revision: string, target: string, method: string): CallRecord {
  return { policy, revision, target, method, attempts: 0, sent: 0, decisions: undefined };
}

const records = new WeakMap<object, CallRecord>();

/** Ties a response or an error to the record of its call; values that are no objects cannot be tied. */
export function remember(result: unknown, record: CallRecord): void {
  if (typeof result === "object" && result !== null) records.set(result, record);
}

/** The record of the call that this response or error, or one of its causes, came of. */
export function recall(result: unknown): CallRecord | undefined {
  for (let one = result, depth = 0; typeof one === "object" && one !== null && depth < 5; depth++) {
    const record = records.get(one);
    if (record !== undefined) return record;
    one = (one as { cause?: unknown }).cause; // the cast: any object can be asked for its cause
  }
  return undefined;
}
