// bulkhead: how many calls may be under way at the same time.
import type { ZodType } from "zod";
import type { Duration } from "../../policy/duration.ts";
import { frozen } from "../../policy/freeze.ts";
import { duration, integer, percent, queueSchema, type Queue, type Refusing, refusingFields, type Zod } from "../../policy/schema.ts";

/** How the limit finds itself; each target has its own. */
export interface AdaptiveOptions {
  /** The limit is never lower. Default 3. */
  readonly min?: number;
  /** The limit to begin with. Default 20. */
  readonly initial?: number;
  /** How often the limit is set anew. Default 100ms; longer while fewer than 10 calls succeed in it. */
  readonly window?: Duration;
  /** Which percentile of the latencies is compared, from 1 to 99. Default 50. */
  readonly percentile?: number;
  /** How much slower than without a queue calls may be before the limit falls, in percent. Default 25. */
  readonly buffer?: number;
  /** How latency without a queue is measured. Default every 30s, up to 15 % later, with 50 calls. */
  readonly minRtt?: { readonly interval?: Duration; readonly jitter?: number; readonly requests?: number };
}

export interface BulkheadOptions extends Refusing {
  /** How many calls at the same time. A call counts until its response has ended. With `adaptive` the most that the limit may become. */
  readonly limit: number;
  /** Let calls wait for a place, first come, first served. Default: refuse at once. */
  readonly queue?: Queue;
  /** Lower the limit while calls are slower than they would be without a queue, and raise it while they are not; `{}`: with all defaults. Default: it stays. */
  readonly adaptive?: AdaptiveOptions;
}

export interface BulkheadDefinition extends BulkheadOptions {
  readonly kind: "bulkhead";
}

/** Envoy's, but `initial`, which is Netflix's. */
export const adaptiveDefaults = {
  min: 3,
  initial: 20,
  window: "100ms",
  percentile: 50,
  buffer: 25,
  minRtt: { interval: "30s", jitter: 15, requests: 50 },
} as const satisfies AdaptiveOptions;

/**
 * Bounds how many calls are under way at the same time, so that one slow peer cannot take every socket and all memory. A call holds its place
 * until its response has ended: read, cancelled, failed or collected.
 *
 * Errors: `ERR_PREMESH_BULKHEAD_FULL`.
 *
 * @example
 * ```ts
 * bulkhead({ limit: 20, queue: { size: 50, timeout: "100ms" } });
 * bulkhead({ limit: 200, adaptive: { min: 5 } });
 * ```
 */
export function bulkhead(options: BulkheadOptions): BulkheadDefinition {
  return frozen({ kind: "bulkhead", ...options });
}

function adaptiveSchema(z: Zod): ZodType<AdaptiveOptions> {
  return z.strictObject({
    min: z.exactOptional(integer(z, 1, 1e6)),
    initial: z.exactOptional(integer(z, 1, 1e6)),
    window: z.exactOptional(duration(z)),
    percentile: z.exactOptional(integer(z, 1, 99)),
    buffer: z.exactOptional(percent(z)),
    minRtt: z
      .strictObject({
        interval: z.exactOptional(duration(z)),
        jitter: z.exactOptional(percent(z)),
        requests: z.exactOptional(integer(z, 1, 1e4)),
      })
      .exactOptional(),
  });
}

export const bulkheadSchema = (z: Zod): ZodType<BulkheadDefinition> =>
  z.strictObject({
    kind: z.literal("bulkhead"),
    ...refusingFields(z),
    limit: integer(z, 1, 1e6),
    queue: z.exactOptional(queueSchema(z)),
    adaptive: z.exactOptional(adaptiveSchema(z)),
  });

export const bulkheadDurations = ["queue.timeout", "adaptive.window", "adaptive.minRtt.interval"] as const;
