// The field `premesh-outcome`: how a call came out behind the seam, so that the other side can go on as if it had run there.
import type { CallRecord, Visit } from "../call/call.ts";
import { conditionsOfWords, wordsOfConditions } from "../call/classify.ts";
import { type Code, codeName, codeOf } from "../call/codes.ts";
import type { FarCause } from "../call/crossing.ts";
import type { Failure, Outcome } from "../call/outcome.ts";
import { type GrpcStatus, GRPC_STATUSES } from "../policy/conditions.ts";
import { PolicyError, type PolicyErrorCode } from "../policy/error.ts";
import { parseDictionary } from "./read.ts";
import { booleanOf, type Dictionary, isInnerList, isToken, numberOf, textItem, textOf, token } from "./structured.ts";
import { writeVisits } from "./visits.ts";
import { type Written, writeDictionary } from "./write.ts";

/** Why a sidecar did not take a call: nothing of it was sent. */
export type Unseen = "unknown-revision" | "draining" | "malformed";

/** What is known of a call that a sidecar had. */
export interface FarOutcome {
  /** It did not take the call. */
  readonly unseen: string | undefined;
  /** How often it sent the call, and how often a byte of it may have left. */
  readonly attempts: number;
  readonly sent: number;
  /** The highest number of an attempt. */
  readonly numbered: number;
  /** All members, for what is read when it is needed. */
  readonly members: Dictionary;
  /** A `fallback` layer answered. */
  readonly fallback: boolean;
  /** The origin that the response is of, where a `fallback` layer asked another. */
  readonly from: string | undefined;
  /** The place of the layer that made the response. */
  readonly reply: number | undefined;
  /** There is no answer of the peer's. */
  readonly failure: FarFailure | undefined;
}

export interface FarFailure extends Pick<Failure<never>, "code" | "by" | "sent" | "conditions" | "status" | "layer" | "retryAfterMs"> {
  /** Of a PolicyError that a layer had made. */
  readonly error: { readonly code: PolicyErrorCode; readonly message: string } | undefined;
  readonly cause: FarCause | undefined;
}

export const encodeUnseen = (why: Unseen): string => writeDictionary({ unseen: true, why: token(why) });

/** `outcome` and `record` as the sidecar has them; `before`: how often the call had been sent when it came, and where. `from`: another origin that the response is of. */
export function encodeOutcome(
  outcome: Outcome<unknown>,
  record: CallRecord,
  before: { readonly attempts: number; readonly visits: Visit | undefined },
  from?: string,
): string {
  const { attempts, sent, numbered, visits } = record;
  const answered = outcome.response !== undefined;
  return writeDictionary({
    attempts: attempts - before.attempts,
    sent,
    numbered: numbered === 1 ? undefined : numbered,
    visited: writeVisits(visits, before.visits),
    fallback: outcome.fallback === undefined ? undefined : true,
    from,
    reply: outcome.reply?.index,
    ...(outcome.ok || answered ? {} : failureMembers(outcome)),
  });
}

function failureMembers(failure: Failure<unknown>): Readonly<Record<string, Written | undefined>> {
  const { code, by, sent, conditions, status, layer, retryAfterMs, cause } = failure;
  const told = cause instanceof PolicyError ? cause : undefined;
  const reason = told === undefined ? cause : told.cause;
  const words = reason === undefined ? undefined : causeOf(reason);
  return {
    code: token(codeName(code)),
    by: textItem(by),
    layer,
    unsent: sent ? undefined : true,
    when: conditions === 0 ? undefined : wordsOfConditions(conditions).map(conditionItem),
    status,
    "retry-after": retryAfterMs === undefined ? undefined : Number.isFinite(retryAfterMs) ? retryAfterMs : token("never"),
    error: told === undefined ? undefined : token(told.code),
    text: told === undefined ? undefined : textItem(cut(told.message)),
    cause: words === undefined ? undefined : textItem(cut(words.message)),
    "cause-name": words?.name === undefined ? undefined : textItem(cut(words.name)),
    "cause-code": words?.code === undefined ? undefined : textItem(cut(words.code)),
  };
}

/** `5xx` is no token. */
const conditionItem = (word: string): ReturnType<typeof textItem> => textItem(word);

/** The innermost of the causes that says anything, and the code that any of them has. */
export function causeOf(error: unknown): FarCause {
  let message = "";
  let name: string | undefined;
  let code: string | undefined;
  for (let one = error, depth = 0; depth < 5; depth++) {
    if (typeof one === "string") message = one;
    if (typeof one !== "object" || one === null) break;
    const fields = one as { message?: unknown; details?: unknown; name?: unknown; code?: unknown; cause?: unknown }; // the cast: any object can be asked
    const text = fields.message ?? fields.details;
    if (typeof text === "string" && text !== "") message = text;
    if (typeof fields.name === "string") name = fields.name;
    if (typeof fields.code === "string" && /^[A-Z]/.test(fields.code)) code = fields.code; // a word of ours is none
    one = fields.cause;
  }
  return { message, name, code };
}

/** Text of any script grows when it is written; the whole must stay below what a field may be. */
const cut = (text: string): string => text.slice(0, /^[\x20-\x7e]*$/.test(text) ? 1_024 : 128);

/** `undefined`: it is malformed. */
export function decodeOutcome(field: string): FarOutcome | undefined {
  const members = parseDictionary(field);
  if (members === undefined) return undefined;
  const count = (key: string, otherwise: number): number => {
    const value = numberOf(members.get(key));
    return value !== undefined && Number.isInteger(value) && value >= 0 ? value : otherwise;
  };
  const unseen = booleanOf(members.get("unseen")) === true ? (textOf(members.get("why")) ?? "no reason given") : undefined;
  if (unseen === undefined && !members.has("attempts")) return undefined;
  return {
    unseen,
    attempts: count("attempts", 0),
    sent: count("sent", 0),
    numbered: count("numbered", 1),
    members,
    fallback: booleanOf(members.get("fallback")) === true,
    from: textOf(members.get("from")),
    reply: numberOf(members.get("reply")),
    failure: failureOf(members),
  };
}

function failureOf(members: Dictionary): FarFailure | undefined {
  const name = textOf(members.get("code"));
  if (name === undefined || !isStatus(name)) return undefined;
  const code: Code = codeOf(name);
  const when = members.get("when");
  const after = members.get("retry-after");
  const error = textOf(members.get("error"));
  const cause = textOf(members.get("cause"));
  return {
    code,
    by: (textOf(members.get("by")) ?? "peer") as FarFailure["by"], // the cast: a newer sidecar may name a kind that we do not know, which then is only shown
    sent: booleanOf(members.get("unsent")) !== true,
    conditions: isInnerList(when) ? conditionsOfWords(when.items.flatMap((item) => textOf(item) ?? [])) : 0,
    status: numberOf(members.get("status")),
    layer: textOf(members.get("layer")),
    retryAfterMs:
      numberOf(after) ?? (after !== undefined && "value" in after && isToken(after.value) ? Number.POSITIVE_INFINITY : undefined),
    error:
      error?.startsWith("ERR_PREMESH_") === true
        ? { code: error as PolicyErrorCode, message: textOf(members.get("text")) ?? error } // the cast: as for `by`
        : undefined,
    cause:
      cause === undefined
        ? undefined
        : { message: cause, name: textOf(members.get("cause-name")), code: textOf(members.get("cause-code")) },
  };
}

const isStatus = (name: string): name is GrpcStatus => GRPC_STATUSES.some((one) => one === name);
