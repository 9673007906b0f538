// What a policy is: a named, ordered list of layers, outermost first; plain data.
import type { AdoptDefinition } from "../layers/adopt/definition.ts";
import type { BreakerDefinition } from "../layers/breaker/definition.ts";
import type { BulkheadDefinition } from "../layers/bulkhead/definition.ts";
import type { FallbackDefinition } from "../layers/fallback/definition.ts";
import type { FaultDefinition } from "../layers/fault/definition.ts";
import type { HedgeDefinition } from "../layers/hedge/definition.ts";
import type { IdempotencyDefinition } from "../layers/idempotency/definition.ts";
import type { RateLimitDefinition } from "../layers/rateLimit/definition.ts";
import type { RetryDefinition } from "../layers/retry/definition.ts";
import type { RouteDefinition } from "../layers/route/definition.ts";
import type { SidecarDefinition } from "../layers/sidecar/definition.ts";
import type { TimeoutDefinition } from "../layers/timeout/definition.ts";
import type { TraceDefinition } from "../layers/trace/definition.ts";

/** Every kind of layer and its data. A new kind starts here; the compiler then names each table that lacks it. */
export interface LayerDefinitions {
  readonly trace: TraceDefinition;
  readonly rateLimit: RateLimitDefinition;
  readonly bulkhead: BulkheadDefinition;
  readonly timeout: TimeoutDefinition;
  readonly retry: RetryDefinition;
  readonly hedge: HedgeDefinition;
  readonly breaker: BreakerDefinition;
  readonly fallback: FallbackDefinition;
  readonly fault: FaultDefinition;
  readonly idempotency: IdempotencyDefinition;
  readonly route: RouteDefinition;
  readonly sidecar: SidecarDefinition;
  readonly adopt: AdoptDefinition;
}

export type LayerKind = keyof LayerDefinitions;

/** The data of one layer. */
export type LayerDefinition = LayerDefinitions[LayerKind];

/** Which calls a policy is for. All fields of one entry must fit; one entry that fits is enough. */
export interface Match {
  /** `"api.internal"`, `"*.internal"` (any depth below) or `"*"`; with `:port`, only that port. */
  readonly host?: string;
  /** A path prefix, by whole segments: `"/v1"` fits `/v1` and `/v1/x`, not `/v10`. */
  readonly path?: string;
  /** HTTP methods, in upper case. */
  readonly methods?: readonly string[];
  /** A gRPC service, `"payments.v1.Payments"`, or `"*"`. */
  readonly service?: string;
  /** A method of that gRPC service. */
  readonly method?: string;
  /** The policy guards calls that come in, not those that go out. Default false. */
  readonly inbound?: boolean;
}

/** A policy: plain data. `JSON.stringify` of it is the policy. */
export interface Policy {
  /** Unique among the policies of a client. */
  readonly name: string;
  /** Which calls it is for. Without it, the policy is used only by its name. */
  readonly match?: readonly Match[];
  /** What happens to a call, outermost first. */
  readonly layers: readonly LayerDefinition[];
}
