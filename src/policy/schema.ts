// The words that schemas of layers are written in. Zod comes in as an argument, so that reading definitions loads no schema library.
import type { ZodExactOptional, ZodType } from "zod";
import { CONDITIONS, type Condition } from "./conditions.ts";
import { DURATION_PATTERN, type Duration, durationMs, LONGEST_MS } from "./duration.ts";
import type { ProblemCode } from "./problems.ts";

/** The schema library, as an argument: it is loaded when the first policy is checked, not with `import "premesh"`. */
export type Zod = typeof import("zod");

/** What a refinement says, with the code of the problem that it finds. */
export const coded = (code: ProblemCode, error: string): { readonly error: string; readonly params: { readonly code: ProblemCode } } => ({
  error,
  params: { code },
});

/** A duration above zero (or from zero on) and at most 24 hours. */
export function duration(z: Zod, { zero = false }: { zero?: boolean } = {}): ZodType<Duration> {
  return z
    .string({ error: 'must be a duration such as "250ms", "2s" or "1m"' })
    .regex(DURATION_PATTERN, 'must be a duration such as "250ms", "2s" or "1m"')
    .refine((text) => !(durationMs(text) > LONGEST_MS), coded("PM0204", "must be at most 24h"))
    .refine((text) => zero || durationMs(text) !== 0, coded("PM0204", "must be longer than 0"))
    .meta({ description: 'A time span such as "250ms", "2s", "1.5m" or "1h"; at most 24h.' }) as unknown as ZodType<Duration>;
  // the cast: a regular expression holds what the template-literal type says
}

/** A whole number in a range. */
export function integer(z: Zod, min: number, max: number): ZodType<number> {
  const error = `must be a whole number from ${min} to ${max}`;
  return z.number({ error }).int(error).min(min, error).max(max, error);
}

/** A number above `above` and at most `max`. */
export function numberAbove(z: Zod, above: number, max: number): ZodType<number> {
  const error = `must be a number above ${above} and at most ${max}`;
  return z.number({ error }).gt(above, error).max(max, error);
}

/** A share in percent, 0 to 100. */
export function percent(z: Zod): ZodType<number> {
  const error = "must be a percentage from 0 to 100";
  return z.number({ error }).min(0, error).max(100, error);
}

/** A name that can stand in headers, metrics and paths. */
export function identifier(z: Zod): ZodType<string> {
  const error = "must be 1 to 64 letters, digits, '.', '_' or '-', beginning with a letter or digit";
  return z.string({ error }).regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, error);
}

/** An HTTP method: a token (RFC 9110, 5.6.2) in upper case. */
export function httpMethod(z: Zod): ZodType<string> {
  const error = 'must be an HTTP method in upper case, such as "POST"';
  return z.string({ error }).regex(/^[A-Z0-9!#$%&'+.^_`|~-]{1,32}$/, error);
}

/** An HTTP method, a gRPC method with its service, or `"*"` for every one. */
export function methodOrAll(z: Zod): ZodType<string> {
  const error =
    'must be an HTTP method in upper case, such as "POST", a gRPC method with its service, such as "payments.v1.Payments/Charge", or "*" for every one';
  return z.string({ error }).regex(/^(?:\*|[A-Z0-9!#$%&'+.^_`|~-]{1,32}|[A-Za-z_][\w.]{0,255}\/[A-Za-z_]\w{0,127})$/, error);
}

/** A header field name: a token (RFC 9110, 5.1). */
export function headerName(z: Zod): ZodType<string> {
  const error = "must be a header field name";
  return z.string({ error }).regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$/, error);
}

/** Which outcomes a layer acts on: condition words and HTTP status codes. */
export function outcomes(z: Zod): ZodType<readonly (Condition | number)[]> {
  const error = `must be an HTTP status from 400 to 599 or one of ${CONDITIONS.join(", ")}`;
  return z.array(z.union([z.enum(CONDITIONS, { error }), integer(z, 400, 599)], { error })).min(1, "must name at least one outcome");
}

/** What every layer may carry. */
export interface Named {
  /** Names the layer in errors and telemetry. Layers with the same name share one state, over all targets and policies of a client. */
  readonly name?: string;
}

/** What a layer that refuses may carry besides. */
export interface Refusing extends Named {
  /** Decide and report, but let the call pass. Default false. */
  readonly shadow?: boolean;
}

/** The schema fields of {@link Named}. */
export function namedFields(z: Zod): { name: ZodExactOptional<ZodType<string>> } {
  return { name: z.exactOptional(identifier(z)) };
}

/** The schema fields of {@link Refusing}. */
export function refusingFields(z: Zod): { name: ZodExactOptional<ZodType<string>>; shadow: ZodExactOptional<ZodType<boolean>> } {
  return { ...namedFields(z), shadow: z.exactOptional(z.boolean({ error: "must be true or false" })) };
}

/** A bounded line to wait in. */
export interface Queue {
  /** How many calls may wait. */
  readonly size: number;
  /** How long a call may wait. Default 1s. */
  readonly timeout?: Duration;
}

/** How long a queued call waits when the policy does not say. */
export const QUEUE_TIMEOUT = "1s" satisfies Duration;

export function queueSchema(z: Zod): ZodType<Queue> {
  return z.strictObject({ size: integer(z, 1, 1e6), timeout: z.exactOptional(duration(z)) });
}

/** How many bytes of a streamed body are kept to send it again, where the policy does not say: 1 MiB, as Envoy and grpc-js do. */
export const REPLAY_BUFFER = 1_048_576;

/** Extra sends under way at most, where the policy does not say: a share of the calls under way, in percent, and so many always; as Envoy's retry_budget. */
export const EXTRA_SENDS = { percent: 20, min: 3 } as const;
