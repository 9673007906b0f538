// What a call with a key is told that comes in and is not done: the statuses of draft-ietf-httpapi-idempotency-key-header-07, 2.7, and what it leaves open.
import type { Call } from "../../call/call.ts";
import { REFUSAL } from "../../call/classify.ts";
import { Code } from "../../call/codes.ts";
import type { Failure } from "../../call/outcome.ts";
import { PolicyError } from "../../policy/error.ts";

/** Why a call is not done. */
export type Reason =
  | "missing"
  | "malformed"
  | "too-long"
  | "no-room"
  | "streamed"
  | "taken"
  | "reused"
  | "running"
  | "lost"
  | "not-kept"
  | "full"
  | "store-away";

interface Told {
  readonly status: number;
  readonly code: Code;
  /** What it is, and what to do. */
  readonly detail: string;
  readonly retryAfterMs?: number;
}

/** When to ask again where nobody knows how long it takes. */
const SOON = 1_000;

const told: { readonly [R in Reason]: Told } = {
  missing: {
    status: 400,
    code: Code.INVALID_ARGUMENT,
    detail: "a key is needed: send the header, with a value of its own for each operation",
  },
  malformed: { status: 400, code: Code.INVALID_ARGUMENT, detail: "the key must be one string of 1 to 255 visible characters" },
  "too-long": { status: 413, code: Code.RESOURCE_EXHAUSTED, detail: "the body is too long for a call with a key" },
  "no-room": {
    status: 503,
    code: Code.UNAVAILABLE,
    detail: "too many bodies of calls with keys are being read: ask again later",
    retryAfterMs: SOON,
  },
  streamed: { status: 400, code: Code.INVALID_ARGUMENT, detail: "a streamed call cannot be given its answer again: send it without a key" },
  taken: {
    status: 500,
    code: Code.INTERNAL,
    detail: "the body was read before the key was looked at: the middleware must come before whatever reads bodies",
  },
  reused: { status: 422, code: Code.INVALID_ARGUMENT, detail: "the key was used for another request: take a new key" },
  running: { status: 409, code: Code.ABORTED, detail: "the first request with this key is under way: ask again later", retryAfterMs: SOON },
  lost: {
    status: 409,
    code: Code.FAILED_PRECONDITION,
    detail: "the first request with this key was begun, and how it came out is not known: find out before you repeat it with a new key",
  },
  "not-kept": {
    status: 409,
    code: Code.ALREADY_EXISTS,
    detail: "the request with this key was done already, and its answer was not kept: look its result up",
  },
  full: { status: 503, code: Code.UNAVAILABLE, detail: "too many keys are known: ask again later", retryAfterMs: SOON },
  "store-away": {
    status: 503,
    code: Code.UNAVAILABLE,
    detail: "the store of keys cannot be reached, so nothing was done: ask again later",
    retryAfterMs: SOON,
  },
};

/** The outcome; `header`: the one that carries keys, as the caller knows it. */
export function refusal(reason: Reason, { record }: Call, layer: string, header: string): Failure<never> {
  const { status, code, detail, retryAfterMs } = told[reason];
  const { policy, attempts } = record;
  const cause = new PolicyError("ERR_PREMESH_IDEMPOTENCY", `policy ${policy}: ${header}: ${detail}`, {
    policy,
    layer,
    attempts,
    retryAfterMs,
  });
  return { ok: false, code, by: "idempotency", sent: false, conditions: REFUSAL, status, cause, retryAfterMs, layer };
}
