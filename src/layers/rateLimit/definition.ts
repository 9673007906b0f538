// rateLimit: how many calls may start in a span of time.
import type { ZodType } from "zod";
import { frozen } from "../../policy/freeze.ts";
import type { Duration } from "../../policy/duration.ts";
import {
  duration,
  headerName,
  integer,
  numberAbove,
  queueSchema,
  type Queue,
  type Refusing,
  refusingFields,
  type Zod,
} from "../../policy/schema.ts";

export interface RateLimitOptions extends Refusing {
  /** How many calls per `per`, in the long run. */
  readonly rate: number;
  /** The span that `rate` counts in. */
  readonly per: Duration;
  /** How many calls may start at once after a quiet time: the size of the bucket. Default: `rate`, rounded up. */
  readonly burst?: number;
  /** Let calls wait for their turn, first come, first served. Default: refuse at once. */
  readonly queue?: Queue;
  /** Count apart by the value of a request header. Calls without it share one count. At most 10,000 values at a time. */
  readonly key?: { readonly header: string };
}

export interface RateLimitDefinition extends RateLimitOptions {
  readonly kind: "rateLimit";
}

/**
 * Lets `rate` calls start per `per`, with bursts of up to `burst`: a token bucket, kept as one number per key (GCRA, ITU-T I.371).
 *
 * Errors: `ERR_PREMESH_RATE_LIMITED` with `retryAfterMs`, the time until a call would pass.
 *
 * @example
 * ```ts
 * rateLimit({ rate: 500, per: "1s", burst: 50 });
 * rateLimit({ rate: 10, per: "1s", key: { header: "x-tenant" }, queue: { size: 100, timeout: "200ms" } });
 * ```
 */
export function rateLimit(options: RateLimitOptions): RateLimitDefinition {
  return frozen({ kind: "rateLimit", ...options });
}

export const rateLimitSchema = (z: Zod): ZodType<RateLimitDefinition> =>
  z.strictObject({
    kind: z.literal("rateLimit"),
    ...refusingFields(z),
    rate: numberAbove(z, 0, 1e9),
    per: duration(z),
    burst: z.exactOptional(integer(z, 1, 1e9)),
    queue: z.exactOptional(queueSchema(z)),
    key: z.strictObject({ header: headerName(z) }).exactOptional(),
  });

export const rateLimitDurations = ["per", "queue.timeout"] as const;
