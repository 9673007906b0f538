// idempotency: one key for all attempts of a call, so that the peer can tell a retry from a new call; and on the side of that peer, the answers by their keys.
import type { ZodType } from "zod";
import type { Duration } from "../../policy/duration.ts";
import { frozen } from "../../policy/freeze.ts";
import { duration, headerName, integer, methodOrAll, type Named, namedFields, type Zod } from "../../policy/schema.ts";

export interface IdempotencyOptions extends Named {
  /** Which header, or field of gRPC metadata, carries the key. Default `Idempotency-Key`. */
  readonly header?: string;
  /** Which methods get a key, or are looked at when they come in with one. Default POST and PATCH, and every RPC that comes in; `["*"]`: every method. */
  readonly methods?: readonly string[];
  /** Inbound: a call without a key is refused with 400. Default false: it passes. */
  readonly required?: boolean;
  /** Inbound: where answers are kept: in this `"process"` (default), or in the client's `"shared"` store, for many processes. */
  readonly store?: "process" | "shared";
  /** Inbound: for how long an answer is given again. Default 24h. */
  readonly keep?: Duration;
  /** Inbound: the longest body, in bytes, of a call with a key, and of an answer that is kept. Default 1 MiB. */
  readonly buffer?: number;
  /** Inbound: how many keys, and bytes of answers, the process keeps at a time. Default 10,000 and 64 MiB. */
  readonly bounds?: { readonly records?: number; readonly bytes?: number };
  /** Inbound: how long a key stays taken when nothing more is heard of the call that has it. Default 30s. */
  readonly lease?: Duration;
  /** Inbound: what a call gets when the one before it with its key began and never said how it came out: `"refuse"` (409, default), or `"repeat"`: it is done again, on your word that this does no harm. */
  readonly unknown?: "refuse" | "repeat";
  /** Inbound: answers with these statuses mean that nothing was done, on your word: they are not kept, and the key is free again. Default none. */
  readonly forget?: readonly number[];
  /** Inbound: whose key it is, by the value of a request header such as `Authorization`: the same key of others is another key. Default: all callers share one space of keys. */
  readonly scope?: { readonly header: string };
}

export interface IdempotencyDefinition extends IdempotencyOptions {
  readonly kind: "idempotency";
}

export const idempotencyDefaults = {
  header: "Idempotency-Key",
  methods: ["POST", "PATCH"],
  keep: "24h",
  buffer: 1_048_576,
  bounds: { records: 10_000, bytes: 67_108_864 },
  lease: "30s",
} as const satisfies IdempotencyOptions;

/**
 * On calls that go out: gives the call a key, the same for all its attempts, and with it the right to be retried: use it outside `retry`, with a peer that
 * honours the key. A key that the caller has set, as header or `premesh.idempotencyKey`, is kept. The value is a structured-field string (in quotes), as
 * draft-ietf-httpapi-idempotency-key-header-07 asks.
 *
 * On calls that come in: does what the key asks for. The first call with a key is done, and its answer kept; the next ones get that answer, without being
 * done. 409 while the first is under way, 422 when the same key comes with something else.
 *
 * Errors: `ERR_PREMESH_IDEMPOTENCY` for a call that comes in and is refused.
 *
 * @example
 * ```ts
 * idempotency();
 * idempotency({ header: "X-Request-Key", methods: ["POST"] });
 * idempotency({ required: true, keep: "12h", scope: { header: "authorization" } }); // in a policy with `inbound: true`
 * ```
 */
export function idempotency(options: IdempotencyOptions = {}): IdempotencyDefinition {
  return frozen({ kind: "idempotency", ...options });
}

export const idempotencySchema = (z: Zod): ZodType<IdempotencyDefinition> =>
  z.strictObject({
    kind: z.literal("idempotency"),
    ...namedFields(z),
    header: z.exactOptional(headerName(z)),
    methods: z.array(methodOrAll(z)).min(1, "must name at least one method").readonly().exactOptional(),
    required: z.exactOptional(z.boolean({ error: "must be true or false" })),
    store: z.enum(["process", "shared"], { error: 'must be "process" or "shared"' }).exactOptional(),
    keep: z.exactOptional(duration(z)),
    buffer: z.exactOptional(integer(z, 0, 1_073_741_824)),
    bounds: z.strictObject({ records: z.exactOptional(integer(z, 1, 1e7)), bytes: z.exactOptional(integer(z, 0, 1e12)) }).exactOptional(),
    lease: z.exactOptional(duration(z)),
    unknown: z.enum(["refuse", "repeat"], { error: 'must be "refuse" or "repeat"' }).exactOptional(),
    forget: z
      .array(integer(z, 400, 599))
      .min(1, "must name at least one status")
      .readonly()
      .exactOptional(),
    scope: z.strictObject({ header: headerName(z) }).exactOptional(),
  });

export const idempotencyDurations = ["keep", "lease"] as const;
