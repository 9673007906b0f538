// The seam, seen from the sidecar: a call that a process has brought over it goes through the layers behind it only, and comes out as it would have there.
import type { Call, CallRecord } from "../../call/call.ts";
import type { Outcome } from "../../call/outcome.ts";
import { PolicyError } from "../../policy/error.ts";
import { decodeCall, type FarCall } from "../../seam/call-field.ts";
import { CALL_FIELD, OUTCOME_FIELD, POLICY_FIELD, PROBE_FIELD, SEAM_VERSION, VERSION_FIELD } from "../../seam/names.ts";
import { encodeOutcome, encodeUnseen, type Unseen } from "../../seam/outcome-field.ts";
import { decodePolicy } from "../../seam/policy-field.ts";
import type { Ruled, Seamed } from "../door.ts";
import type { Context } from "./context.ts";
import { ANSWERED, LOCAL } from "./flags.ts";
import { timeoutMs } from "./grpc.ts";
import { type LocalReply, ownReply } from "./local-reply.ts";
import { expectedMs } from "./orders.ts";
import type { Request } from "./request.ts";
import { siteOf, type Site } from "./site.ts";

/** A call that came over a seam. */
export interface Over {
  readonly far: FarCall;
  readonly ruled: Ruled;
  readonly site: Site;
}

/** A process has run all layers, and we are on the way as its proxy. */
export const RAN = "ran";

/** What a trusted process asks of us at the seam; `undefined`: nothing. */
export function overSeam(context: Context, { premesh, head }: Request): Over | LocalReply | typeof RAN | undefined {
  if (premesh === undefined) return undefined;
  if (premesh.get(PROBE_FIELD) === "?1" && head.method === "OPTIONS" && head.path === "*") return probed(context);
  const field = premesh.get(POLICY_FIELD);
  if (field === undefined) return undefined;
  const named = decodePolicy(field);
  if (named?.ran === true && known(context, named.policy) !== undefined) return RAN;
  if (context.draining()) return unseen("draining");
  const far = decodeCall(premesh.get(CALL_FIELD) ?? "");
  const [, scheme, authority = ""] = /^(https?):\/\/(.+)$/.exec(far?.origin ?? "") ?? [];
  const site = siteOf(scheme === "https" ? "https" : "http", authority);
  if (named === undefined || far === undefined || site === undefined) return unseen("malformed");
  const seamed = known(context, named.policy);
  const stack = seamed?.revision === named.revision ? seamed.stackBehindSeam(far.target, far.endpoint?.key) : undefined;
  if (seamed === undefined || stack === undefined) return unseen("unknown-revision");
  return { far, ruled: { policy: seamed.policy, revision: seamed.revision, stackFor: () => stack }, site };
}

function known({ door }: Context, policy: string): Seamed | undefined {
  try {
    return door.named(policy);
  } catch (error) {
    if (error instanceof PolicyError) return undefined;
    throw error;
  }
}

/** Nothing of the call was sent, so the process can run the layers behind the seam itself. */
export function unseen(why: Unseen): LocalReply {
  const reply = ownReply(why === "draining" ? 503 : 421, "proxy_internal_response", `not taken: ${why}`, LOCAL);
  return { ...reply, fields: [...reply.fields, OUTCOME_FIELD, encodeUnseen(why)] };
}

/** The answer to a process that asks whether we are here. */
function probed({ draining }: Context): LocalReply {
  const status = draining() ? 503 : 204;
  return { ...ownReply(status, "proxy_internal_response", "", ANSWERED), fields: [VERSION_FIELD, String(SEAM_VERSION)] };
}

/** The time that the process waits, on the clock of `Env.now`. It ends the call itself, and may know better: no timer of ours cuts in. */
export function untilThen({ isGrpc, grpcTimeout, envoy }: Request, now: number): number {
  const ms = isGrpc ? timeoutMs(grpcTimeout) : envoy === undefined ? undefined : expectedMs(envoy);
  return ms === undefined ? Number.POSITIVE_INFINITY : now + ms;
}

/** The call as it was in the process. */
export function crossed(call: Call, { attempt, type, idempotent, idempotencyKey, endpoint, headWithinMs }: FarCall, now: number): Call {
  const deadline = headWithinMs === undefined ? call.deadline : Math.min(call.deadline, now + headWithinMs);
  return { ...call, attempt, type, idempotent, idempotencyKey, endpoint, deadline };
}

/** The record as it was in the process, so that counts go on where they stood. */
export function continued(record: CallRecord, { attempts, numbered, visits, id }: FarCall): void {
  record.attempts = attempts;
  record.numbered = numbered;
  record.visits = visits;
  record.id = id;
}

/** The field that tells the process how it came out. */
export const outcomeField = (
  outcome: Outcome<unknown>,
  record: CallRecord,
  far: FarCall,
  from?: string,
): readonly [name: string, value: string] => [OUTCOME_FIELD, encodeOutcome(outcome, record, far, from)];
