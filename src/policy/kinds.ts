// The table of kinds: the schema of each layer, and which of its fields are durations.
import type { ZodType } from "zod";
import { adoptDurations, adoptSchema } from "../layers/adopt/definition.ts";
import { breakerDurations, breakerSchema } from "../layers/breaker/definition.ts";
import { bulkheadDurations, bulkheadSchema } from "../layers/bulkhead/definition.ts";
import { fallbackDurations, fallbackSchema } from "../layers/fallback/definition.ts";
import { faultDurations, faultSchema } from "../layers/fault/definition.ts";
import { hedgeDurations, hedgeSchema } from "../layers/hedge/definition.ts";
import { idempotencyDurations, idempotencySchema } from "../layers/idempotency/definition.ts";
import { rateLimitDurations, rateLimitSchema } from "../layers/rateLimit/definition.ts";
import { retryDurations, retrySchema } from "../layers/retry/definition.ts";
import { routeDurations, routeSchema } from "../layers/route/definition.ts";
import { sidecarDurations, sidecarSchema } from "../layers/sidecar/definition.ts";
import { timeoutDurations, timeoutSchema } from "../layers/timeout/definition.ts";
import { traceDurations, traceSchema } from "../layers/trace/definition.ts";
import type { LayerDefinitions, LayerKind } from "./policy.ts";
import type { Zod } from "./schema.ts";

interface Kind<D> {
  readonly schema: (z: Zod) => ZodType<D>;
  /** Paths of the fields that hold durations; through lists without an index. */
  readonly durations: readonly string[];
}

export const kinds: { readonly [K in LayerKind]: Kind<LayerDefinitions[K]> } = {
  trace: { schema: traceSchema, durations: traceDurations },
  rateLimit: { schema: rateLimitSchema, durations: rateLimitDurations },
  bulkhead: { schema: bulkheadSchema, durations: bulkheadDurations },
  timeout: { schema: timeoutSchema, durations: timeoutDurations },
  retry: { schema: retrySchema, durations: retryDurations },
  hedge: { schema: hedgeSchema, durations: hedgeDurations },
  breaker: { schema: breakerSchema, durations: breakerDurations },
  fallback: { schema: fallbackSchema, durations: fallbackDurations },
  fault: { schema: faultSchema, durations: faultDurations },
  idempotency: { schema: idempotencySchema, durations: idempotencyDurations },
  route: { schema: routeSchema, durations: routeDurations },
  sidecar: { schema: sidecarSchema, durations: sidecarDurations },
  adopt: { schema: adoptSchema, durations: adoptDurations },
};

/** Kinds of the design that this version does not have yet; named so that a policy from the future gets a clear answer. */
export const PLANNED_KINDS: readonly string[] = ["mesh"];
