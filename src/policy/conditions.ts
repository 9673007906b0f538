// The words by which a policy says which outcomes it means: Envoy's retry conditions, gRPC's status names, and two of ours.

/** gRPC's status names except `ok`, in the order of their numbers from 1 on. */
export const GRPC_STATUSES = [
  "cancelled",
  "unknown",
  "invalid-argument",
  "deadline-exceeded",
  "not-found",
  "already-exists",
  "permission-denied",
  "resource-exhausted",
  "failed-precondition",
  "aborted",
  "out-of-range",
  "unimplemented",
  "internal",
  "unavailable",
  "data-loss",
  "unauthenticated",
] as const;

export type GrpcStatus = (typeof GRPC_STATUSES)[number];

/** Envoy's words: https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/router_filter#x-envoy-retry-on. */
export const ENVOY_CONDITIONS = [
  "5xx",
  "gateway-error",
  "reset",
  "reset-before-request",
  "connect-failure",
  "refused-stream",
  "retriable-4xx",
  "envoy-ratelimited",
] as const;

/**
 * Words for outcomes. The first group is Envoy's, the second gRPC's status names (https://grpc.io/docs/guides/status-codes/), and the last ours: `timeout` is a
 * `timeout` layer that ended the attempt, `refusal` is an inner layer (breaker, limiter, bulkhead) that did not let the call pass.
 */
export const CONDITIONS = [...ENVOY_CONDITIONS, ...GRPC_STATUSES, "timeout", "refusal"] as const;

export type Condition = (typeof CONDITIONS)[number];
