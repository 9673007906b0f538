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
  /** A call counts for the whole number from 1 on in this request header. Calls without it, or with anything else in it, count for 1. */
  readonly cost?: { readonly header: string };
  /** One limit for all processes whose clients have the same store: `createClient({ shared })`. Default false: each process counts for itself. */
  readonly shared?: boolean;
  /**
   * What a shared limit does while the store is away. `local`: this process keeps to its fair share of it; `open`: all calls pass; `closed`: none does.
   * Default `local`.
   */
  readonly onStoreLoss?: "local" | "open" | "closed";
  /** Slow down by what the peer says of its own limit: `RateLimit`, `RateLimit-*`, `X-RateLimit-*`, and `Retry-After` with a 429 or 503. Default false. */
  readonly learn?: boolean;
}

export const rateLimitDefaults = { onStoreLoss: "local" } as const;

export interface RateLimitDefinition extends RateLimitOptions {
  readonly kind: "rateLimit";
}

/**
 * Lets `rate` calls start per `per`, with bursts of up to `burst`: a token bucket, kept as one number per key (GCRA, ITU-T I.371), or in a store that
 * processes share, from which permits are leased ahead of need.
 *
 * Errors: `ERR_PREMESH_RATE_LIMITED` with `retryAfterMs`, the time until a call would pass.
 *
 * @example
 * ```ts
 * rateLimit({ rate: 500, per: "1s", burst: 50 });
 * rateLimit({ rate: 10, per: "1s", key: { header: "x-tenant" }, queue: { size: 100, timeout: "200ms" } });
 * rateLimit({ rate: 500, per: "1s", burst: 50, shared: true, onStoreLoss: "local" });
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
    cost: z.strictObject({ header: headerName(z) }).exactOptional(),
    shared: z.exactOptional(z.boolean({ error: "must be true or false" })),
    onStoreLoss: z.exactOptional(z.enum(["local", "open", "closed"], { error: "must be local, open or closed" })),
    learn: z.exactOptional(z.boolean({ error: "must be true or false" })),
  });

export const rateLimitDurations = ["per", "queue.timeout"] as const;
