// fallback: what the caller gets instead of a failure.
import type { ZodType } from "zod";
import type { Condition } from "../../policy/conditions.ts";
import { frozen } from "../../policy/freeze.ts";
import { coded, headerName, integer, type Named, namedFields, outcomes, type Zod } from "../../policy/schema.ts";

/** A fixed answer. */
export interface StaticResponse {
  /** HTTP status, 200 to 599. */
  readonly status: number;
  /** Header fields. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The body: text as it is, anything else as JSON. Default empty. */
  readonly body?: unknown;
}

/** The same call, sent to another place. */
export interface FallbackTarget {
  /** An origin, such as `"https://backup.internal"`; path, query, method and body stay. */
  readonly target: string;
}

export interface FallbackOptions extends Named {
  /** Which outcomes are replaced. Default `5xx`, `reset`, `timeout`, `refusal`, `unavailable`. */
  readonly on?: readonly (Condition | number)[];
  /** What the caller gets: a fixed answer, or what another target answers. */
  readonly response: StaticResponse | FallbackTarget;
}

export interface FallbackDefinition extends FallbackOptions {
  readonly kind: "fallback";
}

export const fallbackDefaults = { on: ["5xx", "reset", "timeout", "refusal", "unavailable"] } as const;

/**
 * Answers in place of a failure, with a fixed response or by asking another target through the layers that follow. The answer carries the header
 * `premesh-fallback` with the policy's name, so nobody mistakes it for the peer's own.
 *
 * @example
 * ```ts
 * fallback({ response: { status: 200, body: { items: [] } } });
 * fallback({ on: ["refusal", "5xx"], response: { target: "https://backup.internal" } });
 * ```
 */
export function fallback(options: FallbackOptions): FallbackDefinition {
  return frozen({ kind: "fallback", ...options });
}

/** Statuses that the Fetch standard lets carry no body. */
const BODILESS = new Set([204, 205, 304]);

export const fallbackSchema = (z: Zod): ZodType<FallbackDefinition> =>
  z.strictObject({
    kind: z.literal("fallback"),
    ...namedFields(z),
    on: z.exactOptional(outcomes(z)),
    response: z.union([
      z
        .strictObject({
          status: integer(z, 200, 599),
          headers: z
            .record(headerName(z), z.string().regex(/^[\t\x20-\x7e\x80-\xff]*$/, "must be a header value without control characters"))
            .exactOptional(),
          body: z.json({ error: "must be text or plain JSON" }).exactOptional(),
        })
        .refine(({ status, body }) => body === undefined || !BODILESS.has(status), {
          path: ["body"],
          ...coded("PM0307", "a response with status 204, 205 or 304 has no body"),
        }),
      z.strictObject({
        target: z
          .string()
          .regex(/^https?:\/\/[^\s/?#@]+\/?$/, 'must be an origin such as "https://backup.internal", without path or credentials'),
      }),
    ]),
  });

export const fallbackDurations = [] as const;
