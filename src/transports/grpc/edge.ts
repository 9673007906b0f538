// The edge of an RPC: a failure becomes the status that the caller's ServiceError is made of.
import type { CallRecord } from "../../call/call.ts";
import { Code, codeOfHttpStatus } from "../../call/codes.ts";
import type { Failure, Outcome, Reply } from "../../call/outcome.ts";
import { remember } from "../../call/record.ts";
import { thrown } from "../../call/refusal.ts";
import { GRPC_STATUSES } from "../../policy/conditions.ts";
import { PolicyError } from "../../policy/error.ts";
import { Metadata, Status, type StatusObject } from "./grpc-js.ts";

/** What the metadata of a status says when a layer, and not the peer, ended the call. */
const FIELDS = { by: "premesh-by", policy: "premesh-policy", retryAfterMs: "premesh-retry-after-ms" } as const;

/** The metadata field that says that a `fallback` layer answered; its value is the policy's name. */
export const FALLBACK_FIELD = "premesh-fallback";

/** A status that grpc-js makes a ServiceError of, which takes over whatever stands in it. */
export type Told = StatusObject & { readonly cause?: unknown };

/** The status of a call that has no answer to give. */
export function statusOf(outcome: Outcome<unknown>, record: CallRecord): Told {
  const { reply } = outcome;
  // a fault's reply stands for the peer's, and has a code already
  const replies = reply !== undefined && (outcome.ok || outcome.by !== "fault");
  const status = replies ? replied(reply, record) : failed(outcome as Failure<unknown>, record); // the cast: a success has a response or a reply
  if (outcome.fallback !== undefined) status.metadata.set(FALLBACK_FIELD, outcome.fallback);
  return status;
}

function failed(failure: Failure<unknown>, record: CallRecord): Told {
  const cause = thrown(failure, record);
  if (isStatus(cause)) return cause;
  const details = cause instanceof Error ? cause.message : String(cause);
  const { by, code, retryAfterMs } = failure;
  if (by === "peer" || by === "caller") return { code, details, metadata: new Metadata(), cause };
  const metadata = madeBy(by, record);
  if (retryAfterMs !== undefined) metadata.set(FIELDS.retryAfterMs, String(retryAfterMs));
  return { code, details, metadata, cause };
}

/** A `fallback` layer answers in HTTP's words. An error has its code; of anything else no message can be made that stands for the peer's. */
function replied({ status, body }: Reply, record: CallRecord): Told {
  const metadata = madeBy("fallback", record);
  const what = `policy ${record.policy}: the fallback response has status ${status}`;
  if (status >= 400) return { code: codeOfHttpStatus(status), details: typeof body === "string" ? body : what, metadata };
  const more = ", of which no RPC message can be made; give it another target: fallback({ response: { target } })";
  return { code: Code.UNIMPLEMENTED, details: what + more, metadata };
}

function madeBy(by: string, { policy }: CallRecord): Metadata {
  const metadata = new Metadata();
  metadata.set(FIELDS.by, by);
  metadata.set(FIELDS.policy, policy);
  return metadata;
}

/** A call that the layers could not carry through: the client is closed, or something is broken. */
export function brokenStatus(error: unknown): Told {
  const closed = error instanceof PolicyError && error.code === "ERR_PREMESH_CLIENT_CLOSED";
  return {
    code: closed ? Code.UNAVAILABLE : Code.INTERNAL,
    details: error instanceof Error ? error.message : String(error),
    metadata: new Metadata(),
    cause: error,
  };
}

/** Ties a status, and so the ServiceError that is made of it, to the record of its call. */
export function rememberStatus({ metadata, cause }: Told, record: CallRecord): void {
  remember(metadata, record);
  if (cause instanceof PolicyError) remember(cause, record);
}

/** The same of a status behind a head: what the call came out as is not what became of it. */
export function rememberEnd(status: Told, record: CallRecord): void {
  if (status.code !== Status.OK) record.cameOut = `${record.cameOut ?? "ok"}, then ${nameOf(status.code)}`;
  rememberStatus(status, record);
}

/** `internal`; a server may send what is no code of gRPC's. */
const nameOf = (code: number): string => GRPC_STATUSES[code - 1] ?? String(code);

function isStatus(value: unknown): value is StatusObject {
  return typeof value === "object" && value !== null && "metadata" in value && value.metadata instanceof Metadata && "details" in value;
}
