// idempotency: one key for all attempts of a call, so that the peer can tell a retry from a new call.
import type { ZodType } from "zod";
import { frozen } from "../../policy/freeze.ts";
import { headerName, methodOrAll, type Named, namedFields, type Zod } from "../../policy/schema.ts";

export interface IdempotencyOptions extends Named {
  /** Which header carries the key. Default `Idempotency-Key`. */
  readonly header?: string;
  /** Which methods get a key. Default POST and PATCH; `["*"]`: every method. */
  readonly methods?: readonly string[];
}

export interface IdempotencyDefinition extends IdempotencyOptions {
  readonly kind: "idempotency";
}

export const idempotencyDefaults = { header: "Idempotency-Key", methods: ["POST", "PATCH"] } as const;

/**
 * Gives the call a key, the same for all its attempts, and with it the right to be retried: use it outside `retry`, with a peer that honours the
 * key. A key that the caller has set, as header or `premesh.idempotencyKey`, is kept. The value is a structured-field string (in quotes), as
 * draft-ietf-httpapi-idempotency-key-header-07 asks.
 *
 * @example
 * ```ts
 * idempotency();
 * idempotency({ header: "X-Request-Key", methods: ["POST"] });
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
  });

export const idempotencyDurations = [] as const;
