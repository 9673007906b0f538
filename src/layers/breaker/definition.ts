// breaker: stops calling a peer that fails, and tries it again with care.
import type { ZodType } from "zod";
import type { Condition } from "../../policy/conditions.ts";
import { frozen } from "../../policy/freeze.ts";
import type { Duration } from "../../policy/duration.ts";
import { duration, integer, numberAbove, outcomes, type Refusing, refusingFields, type Zod } from "../../policy/schema.ts";

/** Opens after so many failures in a row. */
export interface ConsecutiveTrip {
  readonly consecutive: number;
  readonly failureRate?: never;
  readonly slowRate?: never;
}

/** Opens when the share of failures over the last `window` reaches `failureRate`. */
export interface FailureRateTrip {
  /** Share of failed calls, above 0 and at most 1. */
  readonly failureRate: number;
  /** How many calls the window must hold before the rate counts. */
  readonly minCalls: number;
  /** How far back the rate looks; it slides in tenths. */
  readonly window: Duration;
  readonly consecutive?: never;
  readonly slowRate?: never;
}

/** Opens when the share of slow calls over the last `window` reaches `slowRate`. */
export interface SlowRateTrip {
  /** Share of slow calls, above 0 and at most 1. */
  readonly slowRate: number;
  /** A call is slow when its response head takes longer. */
  readonly slowerThan: Duration;
  /** How many calls the window must hold before the rate counts. */
  readonly minCalls: number;
  /** How far back the rate looks; it slides in tenths. */
  readonly window: Duration;
  readonly consecutive?: never;
  readonly failureRate?: never;
}

export type Trip = ConsecutiveTrip | FailureRateTrip | SlowRateTrip;

export interface BreakerOptions extends Refusing {
  /** When to open; several in a list: whichever comes first. Default `{ failureRate: 0.5, minCalls: 20, window: "10s" }`. */
  readonly trip?: Trip | readonly Trip[];
  /** How long it stays open before it tries again. Default 5s. */
  readonly openFor?: Duration;
  /** Doubles `openFor` with each opening in a row, up to this. Default: `openFor`, so no growth. */
  readonly maxOpenFor?: Duration;
  /** How many trial calls decide whether it closes, by their success rate; all others are refused meanwhile. Default 1. */
  readonly probes?: number;
  /** Which outcomes are failures of the peer. Default `5xx`, `reset`, `timeout` and gRPC's unavailable, internal, unknown, deadline-exceeded, data-loss. */
  readonly on?: readonly (Condition | number)[];
  /**
   * Tell other processes of an opening, and try the peer with care when they tell: closed becomes half-open, so a wrong hint costs no more than the probes. Needs
   * `createClient({ shared })`; without a store, or while it is away, each process finds out for itself. Default false.
   */
  readonly shared?: boolean;
}

export interface BreakerDefinition extends BreakerOptions {
  readonly kind: "breaker";
}

export const breakerDefaults = {
  trip: { failureRate: 0.5, minCalls: 20, window: "10s" },
  openFor: "5s",
  probes: 1,
  on: ["5xx", "reset", "timeout", "unavailable", "internal", "unknown", "deadline-exceeded", "data-loss"],
} as const;

/**
 * Refuses calls to a peer that fails too often, without sending them. After `openFor` it lets `probes` trial calls through and closes when enough
 * of them succeed; a trial call that hangs for `openFor` counts as failed, so it cannot hold the breaker. Outcomes that inner layers made
 * (refusals) and results of calls begun before the last change of state do not count.
 *
 * Errors: `ERR_PREMESH_BREAKER_OPEN` with `retryAfterMs`.
 *
 * @example
 * ```ts
 * breaker({ trip: { failureRate: 0.5, minCalls: 20, window: "10s" }, openFor: "5s", maxOpenFor: "1m" });
 * breaker({ trip: [{ consecutive: 5 }, { slowRate: 0.8, slowerThan: "1s", minCalls: 10, window: "30s" }], probes: 3 });
 * ```
 */
export function breaker(options: BreakerOptions = {}): BreakerDefinition {
  return frozen({ kind: "breaker", ...options });
}

function tripSchema(z: Zod): ZodType<Trip> {
  const window = { minCalls: integer(z, 1, 1e6), window: duration(z) };
  return z.union([
    z.strictObject({ consecutive: integer(z, 1, 1e6) }),
    z.strictObject({ failureRate: numberAbove(z, 0, 1), ...window }),
    z.strictObject({ slowRate: numberAbove(z, 0, 1), slowerThan: duration(z), ...window }),
  ]);
}

export const breakerSchema = (z: Zod): ZodType<BreakerDefinition> =>
  z.strictObject({
    kind: z.literal("breaker"),
    ...refusingFields(z),
    trip: z
      .union([
        tripSchema(z),
        z.array(tripSchema(z)).min(1, "must hold at least one condition").max(8, "must hold at most 8 conditions").readonly(),
      ])
      .exactOptional(),
    openFor: z.exactOptional(duration(z)),
    maxOpenFor: z.exactOptional(duration(z)),
    probes: z.exactOptional(integer(z, 1, 1_000)),
    on: z.exactOptional(outcomes(z)),
    shared: z.exactOptional(z.boolean({ error: "must be true or false" })),
  });

export const breakerDurations = ["trip.window", "trip.slowerThan", "openFor", "maxOpenFor"] as const;
