// retry: sends again what failed and may be sent again.
import type { ZodType } from "zod";
import type { Condition } from "../../policy/conditions.ts";
import { frozen } from "../../policy/freeze.ts";
import type { Duration } from "../../policy/duration.ts";
import {
  duration,
  EXTRA_SENDS,
  methodOrAll,
  integer,
  type Named,
  namedFields,
  outcomes,
  percent,
  REPLAY_BUFFER,
  type Zod,
} from "../../policy/schema.ts";

export interface RetryOptions extends Named {
  /** How many times the call is sent at most, the first time included. Default 3. */
  readonly attempts?: number;
  /** Which outcomes are worth another attempt. Default `connect-failure, refused-stream, reset, gateway-error, unavailable`. */
  readonly on?: readonly (Condition | number)[];
  /**
   * Which methods may be sent twice: HTTP's (`"PUT"`), gRPC's (`"payments.v1.Payments/Charge"`). Default the idempotent ones of RFC 9110, 9.2.2; `["*"]`:
   * every method, on your word.
   */
  readonly methods?: readonly string[];
  /** HTTP statuses that are retried besides `on`. Default none. */
  readonly statuses?: readonly number[];
  /** The N-th wait is random in [0, min(base * 2^(N-1), max)), as Envoy's. Default base 25ms, max 10 * base. */
  readonly backoff?: { readonly base?: Duration; readonly max?: Duration };
  /** Retries under way at most: `percent` of the calls under way, and always `min`. Default 20 %, 3; `false` switches it off. */
  readonly budget?: { readonly percent?: number; readonly min?: number } | false;
  /** Heed `Retry-After` (and gRPC's pushback) up to `max`; asked to wait longer, the call is not retried. Default max 30s; `false` ignores the header. */
  readonly retryAfter?: { readonly max: Duration } | false;
  /** How many bytes of a streamed body, or of an RPC's messages, are kept to send them again. Default 1 MiB. What is longer is sent once, and telemetry says so. */
  readonly buffer?: number;
}

export interface RetryDefinition extends RetryOptions {
  readonly kind: "retry";
}

export const retryDefaults = {
  attempts: 3,
  on: ["connect-failure", "refused-stream", "reset", "gateway-error", "unavailable"],
  methods: ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"],
  backoffBase: "25ms",
  backoffFactor: 10,
  budget: EXTRA_SENDS,
  retryAfterMax: "30s",
  buffer: REPLAY_BUFFER,
} as const;

/**
 * Sends the call again when its outcome is one of `on` and it is safe: the method is idempotent, or the peer never saw the attempt, or an
 * `idempotency` layer outside has stamped a key. Waits with full jitter between attempts, heeds `Retry-After`, and keeps to a budget, so that an
 * outage is not answered with a storm. When nothing is left, the last response (or error) is the call's.
 *
 * @example
 * ```ts
 * retry({ attempts: 3, backoff: { base: "25ms", max: "250ms" }, budget: { percent: 20, min: 3 } });
 * ```
 */
export function retry(options: RetryOptions = {}): RetryDefinition {
  return frozen({ kind: "retry", ...options });
}

export const retrySchema = (z: Zod): ZodType<RetryDefinition> =>
  z.strictObject({
    kind: z.literal("retry"),
    ...namedFields(z),
    attempts: z.exactOptional(integer(z, 1, 100)),
    on: z.exactOptional(outcomes(z)),
    methods: z.array(methodOrAll(z)).min(1, "must name at least one method").readonly().exactOptional(),
    statuses: z
      .array(integer(z, 400, 599))
      .min(1, "must name at least one status")
      .readonly()
      .exactOptional(),
    backoff: z
      .strictObject({ base: z.exactOptional(duration(z, { zero: true })), max: z.exactOptional(duration(z, { zero: true })) })
      .exactOptional(),
    budget: z
      .union([z.literal(false), z.strictObject({ percent: z.exactOptional(percent(z)), min: z.exactOptional(integer(z, 0, 1e6)) })])
      .exactOptional(),
    retryAfter: z.union([z.literal(false), z.strictObject({ max: duration(z, { zero: true }) })]).exactOptional(),
    buffer: z.exactOptional(integer(z, 0, 1_073_741_824)),
  });

export const retryDurations = ["backoff.base", "backoff.max", "retryAfter.max"] as const;
