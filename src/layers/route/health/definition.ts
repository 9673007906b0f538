// health: endpoints are asked whether they are well, as data; the fields are Envoy's.
import type { ZodType } from "zod";
import type { Duration } from "../../../policy/duration.ts";
import { coded, duration, integer, percent, type Zod } from "../../../policy/schema.ts";

export interface HttpHealth {
  /** What is asked for. */
  readonly path: string;
  /** Default GET. */
  readonly method?: "GET" | "HEAD";
  /** Statuses that mean well. Default 200 only. */
  readonly expectedStatuses?: readonly number[];
  /** What the endpoint is called in Host, and in TLS. Default: what calls to it say. */
  readonly host?: string;
}

export interface GrpcHealth {
  /** The service that is asked for. Default `""`: the server as a whole. */
  readonly service?: string;
  /** What the endpoint is called in `:authority`, and in TLS. Default: what calls to it say. */
  readonly authority?: string;
}

interface HealthSettings {
  /** How long after one check the next one begins. Default 10s. */
  readonly interval?: Duration;
  /** Up to so much later, at random, in percent of `interval`. Default 10. */
  readonly intervalJitterPercent?: number;
  /** The first check of an endpoint begins up to so much later, at random. Default 0ms. */
  readonly initialJitter?: Duration;
  /** The interval while nobody has called for that long. Default 60s. */
  readonly noTrafficInterval?: Duration;
  /** How long an answer may take. Default 1s. */
  readonly timeout?: Duration;
  /** After so many checks in a row without an answer the endpoint is not well; an answer that says no counts at once. Default 3. */
  readonly unhealthyThreshold?: number;
  /** After so many good checks in a row it is well again; the first check of all decides alone. Default 2. */
  readonly healthyThreshold?: number;
}

/** How endpoints are checked: by one of `http` and `grpc` (grpc.health.v1). */
export type HealthOptions = HealthSettings &
  ({ readonly http: HttpHealth; readonly grpc?: never } | { readonly grpc: GrpcHealth; readonly http?: never });

/** Envoy has no defaults but for `noTrafficInterval`; these are those of its examples. */
export const healthDefaults = {
  interval: "10s",
  intervalJitterPercent: 10,
  initialJitter: "0ms",
  noTrafficInterval: "60s",
  timeout: "1s",
  unhealthyThreshold: 3,
  healthyThreshold: 2,
} as const satisfies Required<HealthSettings>;

const AUTHORITY = /^[\w.-]+(?::\d{1,5})?$|^\[[0-9A-Fa-f:.]+\](?::\d{1,5})?$/;

export function healthSchema(z: Zod): ZodType<HealthOptions> {
  const authority = z.exactOptional(z.string().regex(AUTHORITY, 'must be a host such as "api.internal", with or without ":port"'));
  const http = z.strictObject({
    path: z.string().regex(/^\/[\x21-\x7e]*$/, 'must be a path that begins with "/"'),
    method: z.exactOptional(z.enum(["GET", "HEAD"], { error: 'must be "GET" or "HEAD"' })),
    expectedStatuses: z
      .array(integer(z, 200, 599))
      .min(1, "must name at least one status")
      .readonly()
      .exactOptional(),
    host: authority,
  });
  const grpc = z.strictObject({ service: z.exactOptional(z.string().max(1_024, "must be at most 1,024 characters")), authority });
  return z
    .strictObject({
      http: z.exactOptional(http),
      grpc: z.exactOptional(grpc),
      interval: z.exactOptional(duration(z)),
      intervalJitterPercent: z.exactOptional(percent(z)),
      initialJitter: z.exactOptional(duration(z, { zero: true })),
      noTrafficInterval: z.exactOptional(duration(z)),
      timeout: z.exactOptional(duration(z)),
      unhealthyThreshold: z.exactOptional(integer(z, 1, 1_000)),
      healthyThreshold: z.exactOptional(integer(z, 1, 1_000)),
    })
    .refine(
      (health) => (health.http === undefined) !== (health.grpc === undefined),
      coded("PM0202", "must have one of http and grpc"),
    ) as unknown as ZodType<HealthOptions>; // the cast: the refinement says what the union does
}

/** Paths below the field that holds it. */
export const healthDurations = ["interval", "initialJitter", "noTrafficInterval", "timeout"] as const;
