// bulkhead: how many calls may be under way at the same time.
import type { ZodType } from "zod";
import { frozen } from "../../policy/freeze.ts";
import { integer, queueSchema, type Queue, type Refusing, refusingFields, type Zod } from "../../policy/schema.ts";

export interface BulkheadOptions extends Refusing {
  /** How many calls at the same time. A call counts until its response has ended. */
  readonly limit: number;
  /** Let calls wait for a place, first come, first served. Default: refuse at once. */
  readonly queue?: Queue;
}

export interface BulkheadDefinition extends BulkheadOptions {
  readonly kind: "bulkhead";
}

/**
 * Bounds how many calls are under way at the same time, so that one slow peer cannot take every socket and all memory. A call holds its place
 * until its response has ended: read, cancelled, failed or collected.
 *
 * Errors: `ERR_PREMESH_BULKHEAD_FULL`.
 *
 * @example
 * ```ts
 * bulkhead({ limit: 20, queue: { size: 50, timeout: "100ms" } });
 * ```
 */
export function bulkhead(options: BulkheadOptions): BulkheadDefinition {
  return frozen({ kind: "bulkhead", ...options });
}

export const bulkheadSchema = (z: Zod): ZodType<BulkheadDefinition> =>
  z.strictObject({ kind: z.literal("bulkhead"), ...refusingFields(z), limit: integer(z, 1, 1e6), queue: z.exactOptional(queueSchema(z)) });

export const bulkheadDurations = ["queue.timeout"] as const;
