// Replay: an answer that was given before is given again, and says so.
import type { Answer } from "../../call/incoming.ts";
import type { InPlace } from "./refusal.ts";

/** Says that the answer was given before; nothing was done for it now. */
export const REPLAYED_FIELD = "idempotency-replayed";

export function againOf({ status, fields, body, trailers }: Answer): InPlace {
  return { status, fields: [...fields.filter(([name]) => name !== REPLAYED_FIELD), [REPLAYED_FIELD, "true"]], body, trailers };
}
