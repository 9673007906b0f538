// The public names of premesh, listed by hand.
export { createClient } from "./client.ts";
export type { Client, RunOptions } from "./client.ts";
export type { ClientOptions } from "./client-options.ts";
export type { ClientSnapshot } from "./policies-in-force.ts";
export { adopt } from "./layers/adopt/definition.ts";
export type {
  AdoptDefinition,
  Adoptable,
  AdoptedEngine,
  AdoptOptions,
  BottleneckLimiter,
  CockatielPolicy,
  OpossumBreaker,
} from "./layers/adopt/definition.ts";
export { breaker } from "./layers/breaker/definition.ts";
export type {
  BreakerDefinition,
  BreakerOptions,
  ConsecutiveTrip,
  FailureRateTrip,
  SlowRateTrip,
  Trip,
} from "./layers/breaker/definition.ts";
export { bulkhead } from "./layers/bulkhead/definition.ts";
export type { AdaptiveOptions, BulkheadDefinition, BulkheadOptions } from "./layers/bulkhead/definition.ts";
export { fallback } from "./layers/fallback/definition.ts";
export type { FallbackDefinition, FallbackOptions, FallbackTarget, StaticResponse } from "./layers/fallback/definition.ts";
export { fault } from "./layers/fault/definition.ts";
export type { CodeAbort, FaultDefinition, FaultOptions, StatusAbort } from "./layers/fault/definition.ts";
export { hedge } from "./layers/hedge/definition.ts";
export type { HedgeDefinition, HedgeOptions, Percentile } from "./layers/hedge/definition.ts";
export { idempotency } from "./layers/idempotency/definition.ts";
export type { IdempotencyDefinition, IdempotencyOptions } from "./layers/idempotency/definition.ts";
export { rateLimit } from "./layers/rateLimit/definition.ts";
export type { RateLimitDefinition, RateLimitOptions } from "./layers/rateLimit/definition.ts";
export { retry } from "./layers/retry/definition.ts";
export type { RetryDefinition, RetryOptions } from "./layers/retry/definition.ts";
export { route } from "./layers/route/definition.ts";
export type { RouteDefinition, RouteOptions, RouteTarget, RouteTargetInit } from "./layers/route/definition.ts";
export type {
  Balance,
  HashKey,
  LeastRequestOptions,
  PeakEwmaOptions,
  RingHashOptions,
  SlowStartOptions,
} from "./layers/route/balance/definition.ts";
export type { Discovery, EndpointFile, EndpointInit, FindEndpoints } from "./layers/route/discovery/definition.ts";
export type { FieldMatch, RouteMatch, TextMatch } from "./layers/route/match/definition.ts";
export type { GrpcHealth, HealthOptions, HttpHealth } from "./layers/route/health/definition.ts";
export type { OutliersOptions } from "./layers/route/outliers/definition.ts";
export type { Mirror } from "./layers/route/mirror/definition.ts";
export { sidecar } from "./layers/sidecar/definition.ts";
export type { SidecarDefinition, SidecarOptions } from "./layers/sidecar/definition.ts";
export { timeout } from "./layers/timeout/definition.ts";
export type { TimeoutDefinition, TimeoutOptions } from "./layers/timeout/definition.ts";
export { trace } from "./layers/trace/definition.ts";
export type { TraceDefinition, TraceOptions } from "./layers/trace/definition.ts";
export type { Condition, GrpcStatus } from "./policy/conditions.ts";
export { definePolicy } from "./policy/define.ts";
export type { Duration } from "./policy/duration.ts";
export { PolicyError } from "./policy/error.ts";
export type { PolicyErrorCode, PolicyErrorFields, PolicyIssue } from "./policy/error.ts";
export { parsePolicies } from "./policy/parse.ts";
export type { Direction } from "./policy/matching.ts";
export type { LayerDefinition, LayerKind, Match, Policy } from "./policy/policy.ts";
export { revision } from "./policy/revision.ts";
export type { Named, Queue, Refusing } from "./policy/schema.ts";
export { standard } from "./policy/standard.ts";
export type { StandardOptions } from "./policy/standard.ts";
export type { AttemptType, Decision, Protocol } from "./call/call.ts";
export type { ClientStatus, LayerStatus } from "./call/status.ts";
export type { Clock } from "./call/clock.ts";
export type { SharedHints, SharedLimit, SharedRule, SharedStore, Taken } from "./call/shared.ts";
export type { AttemptEvent, CallEvent, DecisionEvent, Result, TelemetryEvent } from "./telemetry/events.ts";
export type { ExplainedLayer, Explanation } from "./telemetry/explanation.ts";
export type { FetchFunction, FetchInit, FetchInput, PremeshInit } from "./transports/fetch/request.ts";
export type { Attempt, Work } from "./transports/run/send.ts";
