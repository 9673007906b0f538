// Replay: an answer that was given before is given again, and says so.
import type { Answer } from "../../call/incoming.ts";
import type { InPlace } from "./refusal.ts";

/** An answer that was given before, in the place of a response. A class, so that it is told apart from one. */
export class Replayed {
  readonly answer: Answer;

  constructor(answer: Answer) {
    this.answer = answer;
  }
}

/** Says that the answer was given before; nothing was done for it now. */
const REPLAYED_FIELD = "idempotency-replayed";

export function againOf({ status, fields, body, trailers }: Answer): InPlace {
  return { status, fields: [...fields.filter(([name]) => name !== REPLAYED_FIELD), [REPLAYED_FIELD, "true"]], body, trailers };
}
