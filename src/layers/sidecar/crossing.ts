// One crossing: a call that was given to a sidecar, what came back, and the outcome that the layers before the seam get to see.
import type { Call } from "../../call/call.ts";
import { brokenOutcome } from "../../call/classify.ts";
import { Code } from "../../call/codes.ts";
import type { Crosses, Crossing, FarCause, Flight, Sidecar, SidecarAddress } from "../../call/crossing.ts";
import { discard, type Failure, type Outcome } from "../../call/outcome.ts";
import { replyOf } from "../../call/reply.ts";
import { Abort } from "../../call/signal.ts";
import { PolicyError } from "../../policy/error.ts";
import { decodeOutcome, type FarFailure, type FarOutcome } from "../../seam/outcome-field.ts";
import { readVisits } from "../../seam/visits.ts";

/** What has to be done about a call that a sidecar did not carry through. */
export interface Fell {
  /** `unseen`: it did not take the call; `gone`: it was not there; `broken`: it had the call, and no answer came. */
  readonly how: "unseen" | "gone" | "broken";
  readonly why: string;
  /** What it comes to when nothing is done. */
  readonly outcome: Failure<never>;
}

/** A class, since it is the signal of the call, a flight of the sidecar and the crossing in one, and every call that crosses needs all three. */
export class Passage extends Abort implements Crossing, Flight {
  readonly to: SidecarAddress;
  readonly fields: Crossing["fields"];
  readonly startedAt: number;
  readonly #call: Call;
  readonly #crosses: Crosses;
  readonly #sidecar: Sidecar;
  readonly #attemptsBefore: number;
  #heard: FarOutcome | undefined = undefined;
  /** An answer came, and not from a sidecar as we know them. */
  #strange = false;
  #hung = false;

  constructor(call: Call, crosses: Crosses, sidecar: Sidecar, fields: Crossing["fields"], now: number) {
    super(call.signal);
    this.to = sidecar.address;
    this.fields = fields;
    this.startedAt = now;
    this.#call = call;
    this.#crosses = crosses;
    this.#sidecar = sidecar;
    this.#attemptsBefore = call.record.attempts;
    sidecar.entered(this);
  }

  answered(field: string | undefined): number {
    const heard = field === undefined ? undefined : decodeOutcome(field);
    const before = this.#heard;
    this.#strange = heard === undefined;
    this.#heard = heard;
    this.#sidecar.answered(this);
    if (heard !== undefined) this.#count(heard, before);
    return this.#attemptsBefore + (heard?.attempts ?? 1);
  }

  strayed(): void {
    this.#strange = false;
    this.#heard = undefined;
  }

  /** The sidecar gives no sign of life. */
  lost(): void {
    this.#hung = true;
    this.abort(this.#unanswered(Code.UNAVAILABLE, { message: `the sidecar at ${this.to.key} gives no sign of life`, code: "ETIMEDOUT" }));
  }

  /** What the transport made of it, as it is for the layers before the seam; or what has to be done about it. */
  settled(outcome: Outcome<unknown>): Outcome<unknown> | Fell {
    const heard = this.#heard;
    if (this.#hung && heard === undefined) return this.#broken("it gives no sign of life", this.reason);
    if (heard === undefined) return this.#unheard(outcome);
    if (heard.unseen !== undefined) {
      discard(outcome);
      this.#uncount();
      return { how: "unseen", why: heard.unseen, outcome: this.#gone(heard.unseen) };
    }
    const { policy, layers } = this.#call.record;
    const { failure, reply: index } = heard;
    const made = index === undefined ? undefined : replyOf(layers[index], failure?.status ?? 0, policy);
    const reply = made === undefined || index === undefined ? undefined : { ...made, index };
    const fallback = heard.fallback ? policy : undefined;
    if (failure !== undefined) {
      discard(outcome);
      return { ...this.#failed(failure), reply, fallback };
    }
    if (reply !== undefined) {
      discard(outcome);
      return { ok: true, response: undefined, reply, fallback };
    }
    if (heard.from !== undefined && outcome.response !== undefined) this.#crosses.moved?.(outcome.response, heard.from);
    return fallback === undefined ? outcome : { ...outcome, fallback };
  }

  /** It is over, its response too. */
  left(): void {
    this.unfollow();
    this.#sidecar.left(this);
  }

  #unheard(outcome: Outcome<unknown>): Outcome<unknown> | Fell {
    if (this.#strange) {
      discard(outcome);
      return this.#broken("what answers there is no sidecar of premesh", undefined);
    }
    // a redirect led elsewhere; or the caller, a timeout or a mistake in the request ended it
    if (outcome.ok || outcome.response !== undefined || outcome.by !== "peer" || this.aborted) return outcome;
    const why = wordsOf(outcome.cause);
    if (outcome.sent) return { how: "broken", why, outcome: brokenOutcome("reset", true, outcome.cause) };
    this.#uncount();
    return { how: "gone", why, outcome: outcome as Failure<never> }; // the cast: it has no response
  }

  #broken(why: string, cause: unknown): Fell {
    return {
      how: "broken",
      why,
      outcome: brokenOutcome("reset", true, cause ?? this.#unanswered(Code.UNAVAILABLE, { message: why })),
    };
  }

  #unanswered(code: Code, cause: FarCause): unknown {
    return this.#crosses.unanswered(code, cause, this.#call.record.attempts);
  }

  #gone(why: string): Failure<never> {
    const cause = this.#unanswered(Code.UNAVAILABLE, { message: `the sidecar at ${this.to.key} did not take the call: ${why}` });
    return brokenOutcome("connect", false, cause);
  }

  #failed({ error, cause, ...failure }: FarFailure): Failure<never> {
    const { by, code, layer, retryAfterMs } = failure;
    const { policy, attempts } = this.#call.record;
    const reset = failure.sent ? "ECONNRESET" : "ECONNREFUSED"; // what a socket of ours would have said
    const reason = cause === undefined ? undefined : this.#unanswered(code, { ...cause, code: cause.code ?? reset });
    if (error !== undefined) {
      const fields = { policy, layer, attempts, retryAfterMs, cause: cause === undefined ? undefined : errorOf(cause) };
      return { ok: false, ...failure, cause: new PolicyError(error.code, error.message, fields) };
    }
    const unnamed =
      by === "peer" || by === "caller" ? this.#unanswered(code, { message: "the peer gave no answer", code: reset }) : undefined;
    return { ok: false, ...failure, cause: reason ?? unnamed };
  }

  /** The transport has counted one attempt; the sidecar knows how many there were. Of a redirect's hops each is counted by its own answer. */
  #count({ attempts, sent, numbered, members }: FarOutcome, before: FarOutcome | undefined): void {
    const { record } = this.#call;
    record.seam = "crossed";
    record.attempts += attempts - (before === undefined ? 1 : 0);
    record.sent += sent - (before === undefined ? 1 : 0);
    record.numbered = Math.max(record.numbered, numbered);
    record.visits = readVisits(members.get("visited"), record.visits);
  }

  /** Nothing of it was sent. */
  #uncount(): void {
    if (this.#heard === undefined) this.#call.record.attempts--; // else its answer has said that there was none
  }
}

function errorOf({ message, name, code }: Required<FarFailure>["cause"] & object): Error {
  const error: Error & { code?: string } = new Error(message);
  if (name !== undefined) error.name = name;
  if (code !== undefined) error.code = code;
  return error;
}

/** The first code behind an error, else its message. */
function wordsOf(cause: unknown): string {
  for (let one = cause, depth = 0; typeof one === "object" && one !== null && depth < 5; depth++) {
    const { code, details, cause: inner } = one as { code?: unknown; details?: unknown; cause?: unknown }; // the cast: any object can be asked
    if (typeof code === "string") return code;
    if (typeof details === "string") return details;
    one = inner;
  }
  return cause instanceof Error ? cause.message : String(cause);
}
