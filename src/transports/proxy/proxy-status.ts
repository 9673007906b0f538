// Proxy-Status: says of a response that the proxy made it, and why (RFC 9209).
import type { Failure } from "../../call/outcome.ts";
import type { BreakReason } from "../../wire/wire.ts";
import { PolicyError } from "../../policy/error.ts";
import { UpstreamError } from "./upstream-error.ts";

/** The error types of RFC 9209, 2.3 that are used here. */
export type ProxyError =
  | "dns_timeout"
  | "dns_error"
  | "destination_not_found"
  | "destination_unavailable"
  | "destination_ip_prohibited"
  | "destination_ip_unroutable"
  | "connection_refused"
  | "connection_terminated"
  | "connection_timeout"
  | "connection_limit_reached"
  | "tls_certificate_error"
  | "tls_protocol_error"
  | "http_request_error"
  | "http_request_denied"
  | "http_response_timeout"
  | "http_protocol_error"
  | "proxy_internal_response"
  | "proxy_internal_error"
  | "proxy_loop_detected";

/** One member of the list; `details` for people. */
export function proxyStatus(name: string, error: ProxyError, details: string): string {
  return details === "" ? `${name}; error=${error}` : `${name}; error=${error}; details=${quoted(details)}`;
}

/** A string of structured fields (RFC 9651, 3.3.3) is printable ASCII; of anything else a question mark is left. */
const quoted = (text: string): string => `"${text.replaceAll(/[^ -~]/g, "?").replaceAll(/["\\]/g, String.raw`\$&`)}"`;

const BY: { readonly [by in string]?: ProxyError } = {
  rateLimit: "http_request_denied",
  bulkhead: "connection_limit_reached",
  breaker: "destination_unavailable",
  timeout: "http_response_timeout",
  fault: "proxy_internal_response",
  fallback: "proxy_internal_response",
  route: "destination_unavailable",
  idempotency: "http_request_denied",
  caller: "http_request_error",
};

const CODES: { readonly [code in string]?: ProxyError } = {
  ECONNREFUSED: "connection_refused",
  ENOTFOUND: "dns_error",
  EAI_AGAIN: "dns_timeout",
  EHOSTUNREACH: "destination_ip_unroutable",
  ENETUNREACH: "destination_ip_unroutable",
  ETIMEDOUT: "connection_timeout",
  UND_ERR_CONNECT_TIMEOUT: "connection_timeout",
};

/** Why a call has no response of the upstream's. */
export function proxyErrorOf({ by, cause }: Pick<Failure<unknown>, "by" | "cause">): ProxyError {
  if (cause instanceof PolicyError && cause.code === "ERR_PREMESH_NO_ROUTE") return "destination_not_found";
  if (!(cause instanceof UpstreamError)) return BY[by] ?? "proxy_internal_error";
  if (cause.why === "connect" && CERTIFICATE.test(cause.code)) return "tls_certificate_error";
  return (cause.why === "connect" ? CODES[cause.code] : undefined) ?? BROKEN[cause.why];
}

/** What OpenSSL and Node call a certificate that does not do. */
const CERTIFICATE = /^(?:CERT_|ERR_TLS_CERT|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_)/;

const BROKEN: { readonly [W in BreakReason]: ProxyError } = {
  connect: "destination_unavailable",
  forbidden: "destination_ip_prohibited",
  refused: "connection_terminated",
  reset: "connection_terminated",
  cancelled: "connection_terminated",
  protocol: "http_protocol_error",
  "too-large": "http_protocol_error",
  slow: "http_response_timeout",
};
