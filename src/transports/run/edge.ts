// The edge of `run`: an outcome becomes a value or a thrown error.
import type { CallRecord } from "../../call/call.ts";
import type { Outcome } from "../../call/outcome.ts";
import { thrown } from "../../call/refusal.ts";

/** The value of the call. A static fallback gives its body; what failed is thrown. */
export function runResult(outcome: Outcome<unknown>, record: CallRecord): unknown {
  if (!outcome.ok) throw thrown(outcome, record);
  return outcome.reply === undefined ? outcome.response : outcome.reply.body;
}
