// balance: how a route picks among the endpoints of one priority level, as data.
import type { ZodType } from "zod";
import type { Duration } from "../../../policy/duration.ts";
import { duration, headerName, integer, numberAbove, percent, type Zod } from "../../../policy/schema.ts";

/** What of a call says which endpoint it goes to: exactly one of them. Calls without it go anywhere. */
export type HashKey =
  | { readonly header: string; readonly cookie?: never; readonly path?: never }
  | { readonly cookie: string; readonly header?: never; readonly path?: never }
  | { readonly path: true; readonly header?: never; readonly cookie?: never };

export interface LeastRequestOptions {
  /** How many endpoints are compared. Default 2. */
  readonly choiceCount?: number;
}

export interface PeakEwmaOptions {
  /** How long a latency counts: after this time 37 % of it are left. Default 10s. */
  readonly decay?: Duration;
  /** What is taken for the latency of an endpoint that is not known yet. Default 30ms. */
  readonly defaultRtt?: Duration;
}

export type RingHashOptions = HashKey & {
  /** How many points the ring has at least. Default: 128 for each endpoint (Envoy: 1,024 for all). */
  readonly minimumRingSize?: number;
  /** How many points the ring has at most, but one for each endpoint. Default 65,536 (Envoy: 8,388,608). */
  readonly maximumRingSize?: number;
};

/** Who picks: a word, or an object of one key where there is something to set. */
export type Balance =
  | "round-robin"
  | "least-request"
  | "peak-ewma"
  | "random"
  | { readonly leastRequest: LeastRequestOptions }
  | { readonly peakEwma: PeakEwmaOptions }
  | { readonly ringHash: RingHashOptions }
  | { readonly maglev: HashKey };

/** New endpoints take their full share only after a while; Envoy's names. Not for `ringHash` and `maglev`. */
export interface SlowStartOptions {
  /** How long an endpoint is new. */
  readonly window: Duration;
  /** 1: its share grows evenly; above: faster at first; below: slower at first. Default 1. */
  readonly aggression?: number;
  /** The share that it begins with, in percent of its weight. Default 10. */
  readonly minWeightPercent?: number;
}

export const balanceDefaults = {
  leastRequest: { choiceCount: 2 },
  peakEwma: { decay: "10s", defaultRtt: "30ms" },
  ringHash: { minimumRingSize: 1, maximumRingSize: 65_536 },
  slowStart: { aggression: 1, minWeightPercent: 10 },
} as const;

const BALANCE_WORDS = ["round-robin", "least-request", "peak-ewma", "random"] as const;

function keySchema<Rest extends Record<string, ZodType>>(z: Zod, rest: Rest) {
  const error = "must name one of header, cookie and path to hash by";
  return z.union(
    [
      z.strictObject({ header: headerName(z), ...rest }),
      z.strictObject({ cookie: headerName(z), ...rest }), // the name of a cookie is a token, too (RFC 6265)
      z.strictObject({ path: z.literal(true, { error: "must be true" }), ...rest }),
    ],
    { error },
  );
}

export function balanceSchema(z: Zod): ZodType<Balance> {
  const ringSizes = { minimumRingSize: z.exactOptional(integer(z, 1, 1 << 20)), maximumRingSize: z.exactOptional(integer(z, 1, 1 << 20)) };
  const error = `must be one of ${BALANCE_WORDS.join(", ")}, or an object with one of leastRequest, peakEwma, ringHash and maglev`;
  return z.union(
    [
      z.enum(BALANCE_WORDS, { error }),
      z.strictObject({
        leastRequest: z.strictObject({ choiceCount: z.exactOptional(integer(z, 2, 100)) }),
      }),
      z.strictObject({
        peakEwma: z.strictObject({ decay: z.exactOptional(duration(z)), defaultRtt: z.exactOptional(duration(z)) }),
      }),
      z.strictObject({ ringHash: keySchema(z, ringSizes) }),
      z.strictObject({ maglev: keySchema(z, {}) }),
    ],
    { error },
  );
}

export const slowStartSchema = (z: Zod): ZodType<SlowStartOptions> =>
  z.strictObject({
    window: duration(z),
    aggression: z.exactOptional(numberAbove(z, 0, 100)),
    minWeightPercent: z.exactOptional(percent(z)),
  });
