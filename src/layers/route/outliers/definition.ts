// outliers: when an endpoint that fails more than others is taken out for a while, as data; the fields are Envoy's.
import type { ZodType } from "zod";
import { type Duration, durationMs } from "../../../policy/duration.ts";
import { coded, duration, integer, percent, type Zod } from "../../../policy/schema.ts";

export interface OutliersOptions {
  /** How often rates are judged and endpoints returned. Default 10s. */
  readonly interval?: Duration;
  /** How long an endpoint is out for the first time; each further time in a row that much longer. Default 30s. */
  readonly baseEjectionTime?: Duration;
  /** How long it is out at most. Default 5m, or `baseEjectionTime` where that is longer. */
  readonly maxEjectionTime?: Duration;
  /** Up to this much longer, at random, so that not all come back at once. Default 0ms. */
  readonly maxEjectionTimeJitter?: Duration;
  /** How many of all endpoints may be out at a time, in percent. Default 10. */
  readonly maxEjectionPercent?: number;
  /** One may be out, however few there are. Default true (Envoy: false, so that with 10 % none of fewer than ten is ever taken out). */
  readonly alwaysEjectOneHost?: boolean;
  /** After so many failures in a row; 0: never. Default 5. */
  readonly consecutive5xx?: number;
  /** After so many in a row that gave no answer of the service itself (502, 503, 504, reset, timeout); 0: never. Default 5. */
  readonly consecutiveGatewayFailure?: number;
  /** Count what happened on the way (no connection, reset, timeout) apart from what was answered. Default false. */
  readonly splitExternalLocalOriginErrors?: boolean;
  /** After so many failures on the way in a row, where they are counted apart; 0: never. Default 5. */
  readonly consecutiveLocalOriginFailure?: number;
  /** How many endpoints with enough calls it takes to compare their success rates. Default 5. */
  readonly successRateMinimumHosts?: number;
  /** How many calls in one interval are enough. Default 100. */
  readonly successRateRequestVolume?: number;
  /** Out is who lies so many thousandths of a standard deviation below the mean. Default 1900. */
  readonly successRateStdevFactor?: number;
  /** Out is who fails this share of its calls, in percent, or more. Default 85. */
  readonly failurePercentageThreshold?: number;
  /** How many endpoints with enough calls that takes. Default 5. */
  readonly failurePercentageMinimumHosts?: number;
  /** How many calls in one interval are enough for that. Default 50. */
  readonly failurePercentageRequestVolume?: number;
  /** How likely it is that a finding is acted on, in percent; else it is only reported. Default 100 each. */
  readonly enforcingConsecutive5xx?: number;
  /** Default 100 (Envoy: 0). */
  readonly enforcingConsecutiveGatewayFailure?: number;
  /** Default 100. */
  readonly enforcingConsecutiveLocalOriginFailure?: number;
  /** Default 100. */
  readonly enforcingSuccessRate?: number;
  /** Default 100. */
  readonly enforcingLocalOriginSuccessRate?: number;
  /** Default 100 (Envoy: 0). */
  readonly enforcingFailurePercentage?: number;
  /** Default 100 (Envoy: 0). */
  readonly enforcingFailurePercentageLocalOrigin?: number;
  /** An active health check that passes returns an endpoint at once. Default true. */
  readonly successfulActiveHealthCheckUnejectHost?: boolean;
}

/** Envoy's, but for those that say so above: a threshold that somebody writes should act, and a small pool is no reason to keep a dead endpoint. */
export const outliersDefaults = {
  interval: "10s",
  baseEjectionTime: "30s",
  maxEjectionTime: "5m",
  maxEjectionTimeJitter: "0ms",
  maxEjectionPercent: 10,
  alwaysEjectOneHost: true,
  consecutive5xx: 5,
  consecutiveGatewayFailure: 5,
  splitExternalLocalOriginErrors: false,
  consecutiveLocalOriginFailure: 5,
  successRateMinimumHosts: 5,
  successRateRequestVolume: 100,
  successRateStdevFactor: 1_900,
  failurePercentageThreshold: 85,
  failurePercentageMinimumHosts: 5,
  failurePercentageRequestVolume: 50,
  enforcingConsecutive5xx: 100,
  enforcingConsecutiveGatewayFailure: 100,
  enforcingConsecutiveLocalOriginFailure: 100,
  enforcingSuccessRate: 100,
  enforcingLocalOriginSuccessRate: 100,
  enforcingFailurePercentage: 100,
  enforcingFailurePercentageLocalOrigin: 100,
  successfulActiveHealthCheckUnejectHost: true,
} as const satisfies Required<OutliersOptions>;

export function outliersSchema(z: Zod): ZodType<OutliersOptions> {
  const flag = z.exactOptional(z.boolean({ error: "must be true or false" }));
  const count = (min: number): ZodType<number> => integer(z, min, 1e6);
  const share = z.exactOptional(percent(z));
  const { baseEjectionTime: usual } = outliersDefaults;
  return z
    .strictObject({
      interval: z.exactOptional(duration(z)),
      baseEjectionTime: z.exactOptional(duration(z)),
      maxEjectionTime: z.exactOptional(duration(z)),
      maxEjectionTimeJitter: z.exactOptional(duration(z, { zero: true })),
      maxEjectionPercent: share,
      alwaysEjectOneHost: flag,
      consecutive5xx: z.exactOptional(count(0)),
      consecutiveGatewayFailure: z.exactOptional(count(0)),
      splitExternalLocalOriginErrors: flag,
      consecutiveLocalOriginFailure: z.exactOptional(count(0)),
      successRateMinimumHosts: z.exactOptional(count(1)),
      successRateRequestVolume: z.exactOptional(count(1)),
      successRateStdevFactor: z.exactOptional(count(0)),
      failurePercentageThreshold: share,
      failurePercentageMinimumHosts: z.exactOptional(count(1)),
      failurePercentageRequestVolume: z.exactOptional(count(1)),
      enforcingConsecutive5xx: share,
      enforcingConsecutiveGatewayFailure: share,
      enforcingConsecutiveLocalOriginFailure: share,
      enforcingSuccessRate: share,
      enforcingLocalOriginSuccessRate: share,
      enforcingFailurePercentage: share,
      enforcingFailurePercentageLocalOrigin: share,
      successfulActiveHealthCheckUnejectHost: flag,
    })
    .refine(
      ({ baseEjectionTime = usual, maxEjectionTime }) =>
        maxEjectionTime === undefined || !(durationMs(maxEjectionTime) < durationMs(baseEjectionTime)),
      { ...coded("PM0204", "must not be shorter than baseEjectionTime"), path: ["maxEjectionTime"] },
    );
}
