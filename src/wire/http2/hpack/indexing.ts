// Indexing: which fields an encoder keeps in its table, by their names.
import { isNeverIndexed } from "./never-indexed.ts";

/** No table may hold it, here or further on. */
export const NEVER = 0;
/** Its value is another one each time. */
const FLEETING = 1;
/** It is kept when the same value has been seen not long ago. */
export const PERHAPS = 2;
/** It is kept at once. */
export const ALWAYS = 3;

export type Indexing = typeof NEVER | typeof FLEETING | typeof PERHAPS | typeof ALWAYS;

const STEADY = new Set([
  ":authority",
  ":method",
  ":scheme",
  ":status",
  "accept",
  "accept-encoding",
  "accept-language",
  "accept-ranges",
  "access-control-allow-origin",
  "cache-control",
  "connect-protocol-version",
  "content-encoding",
  "content-type",
  "grpc-accept-encoding",
  "grpc-encoding",
  "grpc-status",
  "server",
  "strict-transport-security",
  "te",
  "trailer",
  "user-agent",
  "vary",
  "via",
  "x-content-type-options",
  "x-forwarded-proto",
]);

const CHANGING = new Set([
  "age",
  "baggage",
  "b3",
  "content-length",
  "content-range",
  "etag",
  "expires",
  "grpc-timeout",
  "idempotency-key",
  "last-modified",
  "location",
  "range",
  "retry-after",
  "traceparent",
  "tracestate",
  "x-envoy-expected-rq-timeout-ms",
  "x-envoy-upstream-service-time",
  "x-request-id",
]);

const CHANGING_PREFIX = /^(?:if-|premesh-|x-b3-)/;

export function indexingOf(name: string): Indexing {
  if (isNeverIndexed(name)) return NEVER;
  if (STEADY.has(name)) return ALWAYS;
  return CHANGING.has(name) || CHANGING_PREFIX.test(name) ? FLEETING : PERHAPS;
}

const OWN = new Map([...STEADY, ...CHANGING].map((name) => [name, name]));

/** A name as the string that V8 has for it in code, if it is known here: comparing the two is comparing addresses. */
export const ownName = (name: string): string => OWN.get(name) ?? name;
