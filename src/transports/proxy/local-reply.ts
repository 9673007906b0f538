// Local replies: the answers that the proxy makes itself, as Envoy makes them, and what a layer made in the peer's place.
import type { CallRecord } from "../../call/call.ts";
import { Code, codeOfHttpStatus, httpStatusOf } from "../../call/codes.ts";
import type { Failure, Outcome, Reply } from "../../call/outcome.ts";
import { thrown } from "../../call/refusal.ts";
import { DEADLINE, LOCAL, NO_ROUTE, type Why, whyOf } from "./flags.ts";
import { refused } from "../inbound/refusal.ts";
import { type ProxyError, proxyErrorOf } from "./proxy-status.ts";

export interface LocalReply {
  readonly status: number;
  readonly fields: readonly string[];
  readonly body: string;
  /** What an RPC gets in its place. */
  readonly code: Code;
  readonly message: string;
  readonly why: Why;
  readonly error: ProxyError;
  /** How long a caller of an RPC is asked to wait. */
  readonly pushbackMs?: number | undefined;
}

const PLAIN = ["content-type", "text/plain"];

/** An answer about the request itself, for which no call was made. */
export function ownReply(status: number, error: ProxyError, message: string, why: Why, code: Code = codeOfHttpStatus(status)): LocalReply {
  return { status, fields: PLAIN, body: message, code, message, why, error };
}

export const noPolicyReply = (host: string): LocalReply => ({
  ...ownReply(404, "destination_not_found", `no policy matches ${host}, and this is no open proxy`, NO_ROUTE, Code.UNIMPLEMENTED),
});

export const DEADLINE_REPLY: LocalReply = {
  ...ownReply(504, "http_response_timeout", "upstream request timeout", DEADLINE),
  message: "the client's deadline has passed",
};

/** The answer to a call that the layers could not carry through: the policies are closed, or something is broken. */
export function brokenReply(error: unknown): LocalReply {
  const message = error instanceof Error ? error.message : String(error);
  return { ...ownReply(503, "proxy_internal_error", "no call is taken", LOCAL, Code.UNAVAILABLE), message };
}

/** The answer to a call that has no response of the upstream's. */
export function replyTo(outcome: Outcome<unknown>, record: CallRecord): LocalReply {
  const { reply, fallback } = outcome;
  if (reply !== undefined) return replied(reply, outcome, record, fallback);
  const failure = outcome as Failure<unknown>; // the cast: a success has a response or a reply
  const why = whyOf(failure);
  const cause = thrown(failure, record);
  const message = cause instanceof Error ? cause.message : String(cause);
  const status = STATUS[why.details] ?? STATUS[why.flag] ?? httpStatusOf(failure.code);
  const fields = [...PLAIN, ...(FIELDS_OF[why.flag] ?? [])];
  const { retryAfterMs, code } = failure;
  const told: LocalReply = { status, fields, body: bodyOf(why), code, message, why, error: proxyErrorOf(failure) };
  if (record.direction === "inbound") return toCaller(failure, record, told);
  if (retryAfterMs !== undefined && Number.isFinite(retryAfterMs)) fields.push("retry-after", String(Math.ceil(retryAfterMs / 1_000)));
  return told;
}

/** In front of an application what a layer refuses is told as `premesh/inbound` tells it; so it is all the same to callers where the layers run. */
function toCaller(failure: Failure<unknown>, record: CallRecord, reply: LocalReply): LocalReply {
  if (failure.by === "peer" || failure.by === "caller") return reply;
  const { status, fields, body } = refused(failure, record);
  const pushbackMs = Number.isFinite(failure.retryAfterMs) ? failure.retryAfterMs : undefined;
  return { ...reply, status, fields: [...fields.flat(), ...(FIELDS_OF[reply.why.flag] ?? [])], body: String(body), pushbackMs };
}

/** Envoy's, and 502 for an address that is not called (RFC 9209, 2.3.5): https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage#response-flags */
const STATUS: { readonly [flagOrDetails in string]?: number } = {
  "upstream_reset_before_response_started{own_address}": 502,
  UH: 503,
  UF: 503,
  UO: 503,
  UC: 503,
  UR: 503,
  LR: 503,
  UPE: 502,
  UT: 504,
  NR: 404,
  RL: 429,
  DPE: 400,
};

const FIELDS_OF: { readonly [flag in string]?: readonly string[] } = {
  UO: ["x-envoy-overloaded", "true"],
  RL: ["x-envoy-ratelimited", "true"],
};

function bodyOf({ flag, details }: Why): string {
  const reset = /\{(.*)\}/.exec(details)?.[1]?.replaceAll("_", " ");
  if (flag === "UT" && reset === undefined) return "upstream request timeout";
  if (flag === "UH") return "no healthy upstream";
  if (flag === "RL" || flag === "NR" || flag === "DPE") return details;
  return `upstream connect error or disconnect/reset before headers. reset reason: ${reset ?? details.replaceAll("_", " ")}`;
}

/** What a `fallback` or a `fault` layer says in the peer's place. */
function replied(reply: Reply, outcome: Outcome<unknown>, { policy }: CallRecord, fallback: string | undefined): LocalReply {
  const { status, headers, body } = reply;
  const by = outcome.ok ? "fallback" : outcome.by;
  const why: Why = by === "fault" ? whyOf(outcome as Failure<unknown>) : { flag: "-", details: "fallback" }; // the cast: a fault's is a failure
  const fields = Object.entries(headers).flat();
  const text = body === undefined ? "" : typeof body === "string" ? body : JSON.stringify(body);
  if (body !== undefined && !Object.keys(headers).some((name) => name.toLowerCase() === "content-type"))
    fields.push("content-type", typeof body === "string" ? "text/plain;charset=UTF-8" : "application/json");
  if (fallback !== undefined) fields.push("premesh-fallback", fallback);
  // a fault has a code of its own; of a fallback's answer an RPC can be told no more than that it is an error
  const code = outcome.ok ? (status >= 400 ? codeOfHttpStatus(status) : Code.UNIMPLEMENTED) : outcome.code;
  const what = by === "fault" ? "a fault was injected" : `the fallback response has status ${status}`;
  const message = status >= 400 && typeof body === "string" && by !== "fault" ? body : `policy ${policy}: ${what}`;
  return { status, fields, body: text, code, message, why, error: proxyErrorOf({ by, cause: undefined }) };
}
