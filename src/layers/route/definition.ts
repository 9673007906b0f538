// route: which address an attempt goes to.
import type { ZodType } from "zod";
import { tied } from "../../policy/adopted.ts";
import { frozen } from "../../policy/freeze.ts";
import { coded, headerName, type Named, namedFields, numberAbove, percent, type Zod } from "../../policy/schema.ts";
import { type Balance, balanceSchema, type HashKey, type SlowStartOptions, slowStartSchema } from "./balance/definition.ts";
import { type Discovery, discoveryFields, type FindEndpoints, hasOneSource, locality, priority, weight } from "./discovery/definition.ts";
import { healthDurations, type HealthOptions, healthSchema } from "./health/definition.ts";
import { type OutliersOptions, outliersSchema } from "./outliers/definition.ts";
import { type RouteMatch, routeMatchSchema } from "./match/definition.ts";
import { type Mirror, mirrorSchema } from "./mirror/definition.ts";

/** Where calls go: endpoints from one source, for the calls that fit. */
export interface RouteTarget extends Discovery {
  /** Which calls it is for. Default: every call. */
  readonly match?: RouteMatch;
  /** Its share of the calls, relative to the other entries of the same match. Default: without any weights, all endpoints are in one pool; else 1. */
  readonly weight?: number;
  /** 0 comes first; entries with a higher number stand in where those before are not well. Default 0. */
  readonly priority?: number;
  /** Where its endpoints are: `region/zone/subzone`, or the beginning of that. */
  readonly locality?: string;
}

/** What {@link route} takes: `endpoints` may be a function, too. */
export interface RouteTargetInit extends Omit<RouteTarget, "endpoints"> {
  readonly endpoints?: RouteTarget["endpoints"] | FindEndpoints;
}

interface RouteSettings extends Named {
  /** Who picks among endpoints. Default `least-request`. */
  readonly balance?: Balance;
  /** New endpoints take their full share only after a while. Default: at once. */
  readonly slowStart?: SlowStartOptions;
  /** Calls that have the same there go to the same weighted entry. Default: what a consistent `balance` hashes. */
  readonly sticky?: HashKey;
  /** Where this process runs, `region/zone/subzone`: near endpoints come first. Default: the variable PREMESH_LOCALITY of the environment. */
  readonly locality?: string;
  /** A priority level takes all calls until less than 1/factor of its endpoints are available. Default 1.4, as Envoy's. */
  readonly overprovisioningFactor?: number;
  /** When less than so many percent of the endpoints are available, calls go to all of them. Default 50, as Envoy's; 0: never. */
  readonly panicThreshold?: number;
  /** What the peer is called in Host, `:authority` and TLS: by the name that the caller used, or by its address. Default `preserve`. */
  readonly host?: "preserve" | "rewrite";
  /** When an endpoint that fails more than others is taken out for a while. Default: never. */
  readonly outliers?: OutliersOptions;
  /** Asks endpoints whether they are well, and passes over those that are not. Default: nobody asks. */
  readonly health?: HealthOptions;
  /** Where a share of the calls is sent also, for nobody to wait for. */
  readonly mirror?: Mirror;
}

export interface RouteOptions extends RouteSettings {
  /** Where calls go. The first entry whose match fits decides; entries with the same match belong together. */
  readonly to: readonly RouteTargetInit[];
}

export interface RouteDefinition extends RouteSettings {
  readonly kind: "route";
  readonly to: readonly RouteTarget[];
}

export const routeDefaults = { balance: "least-request", host: "preserve", overprovisioningFactor: 1.4, panicThreshold: 50 } as const;

/**
 * Picks the endpoint that an attempt goes to. The layers behind it keep their state for each endpoint. Put it behind `retry`, so that each attempt is
 * picked anew; it prefers endpoints that the call has not tried.
 *
 * Errors: `ERR_PREMESH_NO_ENDPOINT` when no endpoint can take the call, `ERR_PREMESH_NO_ROUTE` when no entry fits it.
 *
 * @example
 * ```ts
 * route({ to: [{ endpoints: ["http://10.0.0.1:8080", "http://10.0.0.2:8080"] }] });
 * route({ to: [{ dns: "http://payments-v1.internal:8080", weight: 95 }, { dns: "http://payments-v2.internal:8080", weight: 5 }] });
 * ```
 */
export function route(options: RouteOptions): RouteDefinition {
  const { to, ...settings } = Object(options) as RouteOptions; // callers without types may give nothing
  // the casts: callers without types may give anything, which the check of the policy names
  const entries = Array.isArray(to) ? (to as readonly RouteTargetInit[]).map(withoutFunction) : (to as unknown as readonly RouteTarget[]);
  return frozen({ kind: "route", to: entries, ...settings });
}

/** The entry as data; its function is tied to it. */
function withoutFunction(entry: RouteTargetInit): RouteTarget {
  if (typeof entry !== "object" || typeof entry?.endpoints !== "function") return entry as RouteTarget; // the cast: it has no function
  return tied({ ...entry, endpoints: "function" as const }, entry.endpoints);
}

/** A route with as many entries is made by a program. */
const MOST_ENTRIES = 1_000;

export const routeSchema = (z: Zod): ZodType<RouteDefinition> =>
  z.strictObject({
    kind: z.literal("route"),
    ...namedFields(z),
    to: z
      .array(
        z
          .strictObject({
            match: z.exactOptional(routeMatchSchema(z)),
            ...discoveryFields(z),
            weight: z.exactOptional(weight(z)),
            priority: z.exactOptional(priority(z)),
            locality: z.exactOptional(locality(z)),
          })
          .refine(hasOneSource, coded("PM0202", "must have one of endpoints, dns, srv and file")),
        { error: "must be a list of places to send calls to" },
      )
      .min(1, "must have at least one entry")
      .max(MOST_ENTRIES, `must have at most ${MOST_ENTRIES} entries`)
      .readonly(),
    balance: z.exactOptional(balanceSchema(z)),
    slowStart: z.exactOptional(slowStartSchema(z)),
    sticky: z.exactOptional(
      z.union([
        z.strictObject({ header: headerName(z) }),
        z.strictObject({ cookie: headerName(z) }),
        z.strictObject({ path: z.literal(true, { error: "must be true" }) }),
      ]),
    ),
    locality: z.exactOptional(locality(z)),
    overprovisioningFactor: z.exactOptional(numberAbove(z, 0, 100)),
    panicThreshold: z.exactOptional(percent(z)),
    host: z.exactOptional(z.enum(["preserve", "rewrite"], { error: 'must be "preserve" or "rewrite"' })),
    outliers: z.exactOptional(outliersSchema(z)),
    health: z.exactOptional(healthSchema(z)),
    mirror: z.exactOptional(mirrorSchema(z)),
  });

export const routeDurations = [
  "to.refresh",
  "mirror.timeout",
  "balance.peakEwma.decay",
  "balance.peakEwma.defaultRtt",
  "slowStart.window",
  "outliers.interval",
  "outliers.baseEjectionTime",
  "outliers.maxEjectionTime",
  "outliers.maxEjectionTimeJitter",
  ...healthDurations.map((field) => `health.${field}` as const),
] as const;
