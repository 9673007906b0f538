// The edge of an RPC: a failure becomes the status that the caller's ServiceError is made of.
import type { CallRecord } from "../../call/call.ts";
import { Code } from "../../call/codes.ts";
import type { Failure, Outcome } from "../../call/outcome.ts";
import { remember } from "../../call/record.ts";
import { thrown } from "../../call/refusal.ts";
import { PolicyError } from "../../policy/error.ts";
import { Metadata, type StatusObject } from "./grpc-js.ts";

/** What the metadata of a status says when a layer, and not the peer, ended the call. */
const FIELDS = { by: "premesh-by", policy: "premesh-policy", retryAfterMs: "premesh-retry-after-ms" } as const;

/** The metadata field that says that a `fallback` layer answered; its value is the policy's name. */
export const FALLBACK_FIELD = "premesh-fallback";

/** A status that grpc-js makes a ServiceError of, which takes over whatever stands in it. */
type Told = StatusObject & { readonly cause?: unknown };

/** The status of a call that has no answer to give. */
export function statusOf(outcome: Outcome<unknown>, record: CallRecord): StatusObject {
  const status =
    outcome.ok || (outcome.reply !== undefined && outcome.by !== "fault") ? unanswerable(outcome, record) : failed(outcome, record);
  if (outcome.fallback !== undefined) status.metadata.set(FALLBACK_FIELD, outcome.fallback);
  remember(status.metadata, record);
  return status;
}

function failed(failure: Failure<unknown>, record: CallRecord): Told {
  const cause = thrown(failure, record);
  if (isStatus(cause)) return cause;
  const metadata = new Metadata();
  const details = cause instanceof Error ? cause.message : String(cause);
  const { by, code, retryAfterMs } = failure;
  if (by === "peer" || by === "caller") return { code, details, metadata, cause };
  metadata.set(FIELDS.by, by);
  metadata.set(FIELDS.policy, record.policy);
  if (retryAfterMs !== undefined) metadata.set(FIELDS.retryAfterMs, String(retryAfterMs));
  return { code, details, metadata, cause };
}

/** A `fallback` layer answers in HTTP's words. Its status has a code; a message that stands for the peer's cannot be made of it. */
function unanswerable({ reply, fallback }: Outcome<unknown>, record: CallRecord): Told {
  const metadata = new Metadata();
  metadata.set(FIELDS.by, "fallback");
  metadata.set(FIELDS.policy, record.policy);
  const what = `policy ${fallback ?? record.policy}: the fallback response has status ${reply?.status ?? 200}, of which no RPC message can be made`;
  return { code: Code.UNIMPLEMENTED, details: `${what}; give it another target: fallback({ response: { target } })`, metadata };
}

/** A call that the layers could not carry through: the client is closed, or something is broken. */
export function brokenStatus(error: unknown, record: CallRecord): StatusObject {
  const closed = error instanceof PolicyError && error.code === "ERR_PREMESH_CLIENT_CLOSED";
  const status: Told = {
    code: closed ? Code.UNAVAILABLE : Code.INTERNAL,
    details: error instanceof Error ? error.message : String(error),
    metadata: new Metadata(),
    cause: error,
  };
  remember(status.metadata, record);
  return status;
}

export function isStatus(value: unknown): value is StatusObject {
  return typeof value === "object" && value !== null && "metadata" in value && value.metadata instanceof Metadata && "details" in value;
}
