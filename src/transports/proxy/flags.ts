// Flags: what was out of order with an exchange, in Envoy's letters and words
// (https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage#response-flags).
import type { Failure, Outcome } from "../../call/outcome.ts";
import type { CallRecord } from "../../call/call.ts";
import type { BreakReason } from "../../wire/wire.ts";
import { PolicyError } from "../../policy/error.ts";
import { UpstreamError } from "./upstream-error.ts";

/** A flag, and `response_code_details`. */
export interface Why {
  readonly flag: string;
  readonly details: string;
}

const VIA_UPSTREAM: Why = { flag: "-", details: "via_upstream" };
export const CLIENT_LEFT: Why = { flag: "DC", details: "downstream_remote_disconnect" };
export const NO_ROUTE: Why = { flag: "NR", details: "route_not_found" };
/** The client's request trickled, so that the wire has ended it. */
export const CLIENT_SLOW: Why = { flag: "SI", details: "request_timeout" };
/** The deadline that the client had given is over. */
export const DEADLINE: Why = { flag: "UT", details: "response_timeout" };

const REFUSED: { readonly [by in string]?: Why } = {
  rateLimit: { flag: "RL", details: "local_rate_limited" },
  bulkhead: { flag: "UO", details: "overflow" },
  breaker: { flag: "UO", details: "overflow" },
  timeout: { flag: "UT", details: "response_timeout" },
  fault: { flag: "FI", details: "fault_filter_abort" },
  idempotency: { flag: "-", details: "idempotency_refused" },
  caller: { flag: "DPE", details: "invalid_request" },
};

export const LOOP: Why = { flag: "DPE", details: "proxy_loop_detected" };
export const NOT_HTTP: Why = { flag: "DPE", details: "invalid_authority" };
/** The request was for the proxy. */
export const ANSWERED: Why = { flag: "-", details: "direct_response" };

/** The answer was given before, to a call with the same key. */
export const REPLAYED: Why = { flag: "-", details: "idempotency_replayed" };

export const LOCAL: Why = { flag: "LR", details: "local_reset" };

/** Of a failure without a response. */
export function whyOf({ by, cause }: Failure<unknown>): Why {
  if (cause instanceof UpstreamError) return ofBreak(cause, "upstream_reset_before_response_started");
  if (cause instanceof PolicyError && cause.code === "ERR_PREMESH_NO_ENDPOINT") return { flag: "UH", details: "no_healthy_upstream" };
  if (cause instanceof PolicyError && cause.code === "ERR_PREMESH_NO_ROUTE") return NO_ROUTE;
  return REFUSED[by] ?? LOCAL;
}

/** Of a response that was cut behind its head. */
export function whyCut(cut: Failure<unknown>): Why {
  if (cut.cause instanceof UpstreamError) return ofBreak(cut.cause, "upstream_reset_after_response_started");
  return cut.by === "caller" ? CLIENT_LEFT : { flag: "UT", details: "response_timeout" };
}

/** Of a response of the upstream's; one that was left when no attempt was, is marked. */
export function whyDelivered(outcome: Outcome<unknown>, { decisions }: CallRecord): Why {
  const spent = !outcome.ok && decisions?.some(({ kind, what }) => kind === "retry" && what === "exhausted") === true;
  return spent ? { ...VIA_UPSTREAM, flag: "URX" } : VIA_UPSTREAM;
}

const ofBreak = ({ why, h2Code }: UpstreamError, when: string): Why => {
  const [flag, reason] = why === "reset" && h2Code !== undefined ? REMOTE_RESET : BROKEN[why];
  return { flag, details: `${when}{${reason}}` };
};

type Broken = readonly [flag: string, reason: string];

const REMOTE_RESET: Broken = ["UR", "remote_reset"];

const BROKEN: { readonly [W in BreakReason]: Broken } = {
  connect: ["UF", "connection_failure"],
  refused: ["UR", "remote_refused_stream_reset"],
  protocol: ["UPE", "protocol_error"],
  "too-large": ["UPE", "protocol_error"],
  reset: ["UC", "connection_termination"],
  slow: ["UT", "response_timeout"],
  forbidden: ["NR", "own_address"],
  cancelled: ["LR", "local_reset"],
};
