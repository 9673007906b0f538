// hedge: a second copy of a call that is slow, and the first good answer of the two.
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

/** A percentile of recent latency: `"p95"`, `"p99.9"`; from `p50` to `p99.9`. */
export type Percentile = `p${number}`;

export interface HedgeOptions extends Named {
  /** How long a copy may be without an answer before the next is sent: a fixed time, or a percentile of the target's recent latency. */
  readonly after: Duration | Percentile;
  /** How many copies are sent at most beside the first. Default 1, so two in all. gRPC's `maxAttempts` counts the first too: it is `max` + 1. */
  readonly max?: number;
  /**
   * Which methods may be sent twice: HTTP's (`"PUT"`), gRPC's (`"payments.v1.Payments/Charge"`). Default the idempotent ones of RFC 9110, 9.2.2; `["*"]`:
   * every method, on your word.
   */
  readonly methods?: readonly string[];
  /**
   * Outcomes that do not end the call while another copy is under way. Default `5xx, reset, timeout, unavailable, internal, unknown, deadline-exceeded,
   * data-loss, resource-exhausted`; a refusal by a layer never does.
   */
  readonly on?: readonly (Condition | number)[];
  /** Copies under way at most, of all calls: `percent` of the calls under way, and always `min`. Default 20 %, 3; `false` switches it off. Where a `retry` stands in the policy, its budget is for both. */
  readonly budget?: { readonly percent?: number; readonly min?: number } | false;
  /** How many bytes of a streamed body, or of an RPC's messages, are kept to send them again. Default 1 MiB. What is longer is sent once, and telemetry says so. */
  readonly buffer?: number;
}

export interface HedgeDefinition extends HedgeOptions {
  readonly kind: "hedge";
}

export const hedgeDefaults = {
  max: 1,
  methods: ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"],
  on: ["5xx", "reset", "timeout", "unavailable", "internal", "unknown", "deadline-exceeded", "data-loss", "resource-exhausted"],
  budget: EXTRA_SENDS,
  buffer: REPLAY_BUFFER,
} as const satisfies Partial<HedgeOptions>;

/**
 * Sends the call once more when there is no answer after a while, takes the first good answer, and cancels the rest. It cuts the tail of slow answers
 * at the price of a few more calls. Only calls that may be sent twice are: by method, by the caller's word, or by a key of an `idempotency` layer
 * outside. It acts on slowness and not on failure: when no copy is left, the call has failed, and a `retry` outside may go on.
 *
 * @example
 * ```ts
 * hedge({ after: "p95" });
 * hedge({ after: "50ms", max: 2, budget: { percent: 10, min: 1 } });
 * ```
 */
export function hedge(options: HedgeOptions): HedgeDefinition {
  return frozen({ kind: "hedge", ...options });
}

const PERCENTILE = /^p(?:[5-9]\d)(?:\.\d)?$/;

/** The share below which so many of the latencies lie, `0.95` for `"p95"`; `undefined`: it is a duration. */
export const quantileOf = (after: string): number | undefined => (PERCENTILE.test(after) ? Number(after.slice(1)) / 100 : undefined);

export const hedgeSchema = (z: Zod): ZodType<HedgeDefinition> =>
  z.strictObject({
    kind: z.literal("hedge"),
    ...namedFields(z),
    after: afterSchema(z),
    max: z.exactOptional(integer(z, 1, 10)),
    methods: z.array(methodOrAll(z)).min(1, "must name at least one method").readonly().exactOptional(),
    on: z.exactOptional(outcomes(z)),
    budget: z
      .union([z.literal(false), z.strictObject({ percent: z.exactOptional(percent(z)), min: z.exactOptional(integer(z, 0, 1e6)) })])
      .exactOptional(),
    buffer: z.exactOptional(integer(z, 0, 1_073_741_824)),
  });

/** A number that is a percentile is no duration, so the two never mix. */
function afterSchema(z: Zod): ZodType<Duration | Percentile> {
  const error = 'must be a duration such as "50ms" or a percentile from "p50" to "p99.9" such as "p95"';
  const percentile = z.string({ error }).regex(PERCENTILE, error) as unknown as ZodType<Percentile>; // the cast: as for durations
  return z.union([duration(z), percentile], { error });
}

export const hedgeDurations = ["after"] as const;
