// The field `premesh-call`: what of a call a sidecar has to know that does not show in the request.
import type { Address } from "../call/address.ts";
import type { AttemptType, Call, CallRecord, Visit } from "../call/call.ts";
import { parseDictionary } from "./read.ts";
import { booleanOf, type Dictionary, numberOf, textItem, textOf, token } from "./structured.ts";
import { readVisits, writeVisits } from "./visits.ts";
import { writeDictionary } from "./write.ts";

/** A call, as it comes to the other side. */
export interface FarCall extends Pick<CallRecord, "id" | "attempts" | "numbered" | "visits"> {
  readonly target: string;
  /** Where it goes when no layer says otherwise: an origin. */
  readonly origin: string;
  readonly attempt: number;
  readonly type: AttemptType;
  readonly idempotent: boolean | undefined;
  readonly idempotencyKey: string | undefined;
  /** What a `route` before the seam has picked. */
  readonly endpoint: Address | undefined;
  /** Milliseconds until it must be over, where that is before its response must have ended. */
  readonly headWithinMs: number | undefined;
}

/** `origin`: where the call goes when no layer says otherwise. */
export function encodeCall(call: Call, origin: string, now: number): string {
  const { target, attempt, type, record, idempotent, idempotencyKey: key, endpoint, deadline, endBy } = call;
  const scheme = origin.startsWith("https:") ? "https" : "http";
  return writeDictionary({
    target,
    scheme: token(scheme),
    to: origin === `${scheme}://${target}` ? undefined : origin,
    attempt,
    type: type === "initial" ? undefined : token(type),
    numbered: record.numbered === attempt ? undefined : record.numbered,
    sends: record.attempts === 0 ? undefined : record.attempts,
    idempotent,
    key: key === undefined ? undefined : textItem(key),
    id: record.id,
    endpoint: endpoint?.key,
    visited: writeVisits(record.visits),
    "head-within": deadline < endBy ? Math.max(1, Math.ceil(deadline - now)) : undefined,
  });
}

/** `undefined`: it is malformed, or lacks what every call has. */
export function decodeCall(field: string): FarCall | undefined {
  const members = parseDictionary(field);
  const target = textOf(members?.get("target"));
  if (members === undefined || target === undefined || target === "") return undefined;
  const scheme = textOf(members.get("scheme")) === "https" ? "https" : "http";
  const origin = originOf(textOf(members.get("to")) ?? `${scheme}://${target}`);
  const attempt = counted(members, "attempt") ?? 1;
  const type = textOf(members.get("type"));
  const endpoint = addressOf(textOf(members.get("endpoint")));
  if (origin === undefined || endpoint === null) return undefined;
  return {
    target,
    origin,
    attempt,
    type: type === "retry" || type === "hedge" ? type : "initial",
    numbered: counted(members, "numbered") ?? attempt,
    attempts: counted(members, "sends") ?? 0,
    idempotent: booleanOf(members.get("idempotent")),
    idempotencyKey: textOf(members.get("key")),
    id: textOf(members.get("id")),
    endpoint,
    visits: visitsOf(members),
    headWithinMs: numberOf(members.get("head-within")),
  };
}

const visitsOf = (members: Dictionary): Visit | undefined => readVisits(members.get("visited"), undefined);

/** A whole number from 0 on that a program can count with. */
function counted(members: Dictionary, key: string): number | undefined {
  const value = numberOf(members.get(key));
  return value !== undefined && Number.isInteger(value) && value >= 0 && value <= 1e9 ? value : undefined;
}

function originOf(text: string): string | undefined {
  const url = URL.parse(text);
  return url !== null && (url.protocol === "http:" || url.protocol === "https:") && url.pathname === "/" && url.search === ""
    ? url.origin
    : undefined;
}

/** `null`: it is none. */
function addressOf(key: string | undefined): Address | undefined | null {
  if (key === undefined) return undefined;
  return originOf(key) === undefined ? null : { key, url: new URL(key), leaving: undefined };
}
