// standard: the stack to begin with.
import { breaker, type BreakerOptions } from "../layers/breaker/definition.ts";
import { rateLimit, type RateLimitOptions } from "../layers/rateLimit/definition.ts";
import { retry, type RetryOptions } from "../layers/retry/definition.ts";
import { timeout } from "../layers/timeout/definition.ts";
import type { Duration } from "./duration.ts";
import type { LayerDefinition } from "./policy.ts";

export interface StandardOptions {
  /** Calls per span, per target. Default 1,000 per second; `false` leaves it out. */
  readonly rateLimit?: RateLimitOptions | false;
  /** The whole call, waits and retries included. Default 30s; `false` leaves it out. */
  readonly timeout?: Duration | false;
  /** Default 3 attempts, waits from 200ms to 2s with full jitter. */
  readonly retry?: RetryOptions | false;
  /** Default: opens for 5s when half of at least 20 calls in 30s failed. */
  readonly breaker?: BreakerOptions | false;
  /** Each attempt, to the head of its response. Default 10s; `false` leaves it out. */
  readonly attemptTimeout?: Duration | false;
}

/**
 * The layers to begin with: rate limit, overall timeout, retry, breaker, attempt timeout. The order and most defaults are those of .NET's
 * `AddStandardResilienceHandler`, which has carried many teams; the breaker trips at half instead of a tenth.
 *
 * @example
 * ```ts
 * definePolicy({ name: "api", match: [{ host: "api.internal" }], layers: standard({ timeout: "5s", attemptTimeout: "1s" }) });
 * ```
 */
export function standard(options: StandardOptions = {}): readonly LayerDefinition[] {
  const layers: LayerDefinition[] = [];
  if (options.rateLimit !== false) layers.push(rateLimit(options.rateLimit ?? { rate: 1_000, per: "1s" }));
  if (options.timeout !== false) layers.push(timeout(options.timeout ?? "30s"));
  if (options.retry !== false) layers.push(retry({ attempts: 3, backoff: { base: "200ms", max: "2s" }, ...options.retry }));
  if (options.breaker !== false) {
    layers.push(breaker({ trip: { failureRate: 0.5, minCalls: 20, window: "30s" }, openFor: "5s", ...options.breaker }));
  }
  if (options.attemptTimeout !== false) layers.push(timeout(options.attemptTimeout ?? "10s"));
  return Object.freeze(layers);
}
