// trace: shows the call, and its attempts beneath it, in OpenTelemetry.
import type { ZodType } from "zod";
import { frozen } from "../../policy/freeze.ts";
import { type Named, namedFields, type Zod } from "../../policy/schema.ts";

export interface TraceOptions extends Named {}

export interface TraceDefinition extends TraceOptions {
  readonly kind: "trace";
}

/**
 * Opens one span for the call and one CLIENT span beneath it for each attempt, and sends W3C trace context along. Where an instrumentation of the
 * transport is at work (undici's), its own spans are the attempts' and none is opened twice. A call that comes in gets a SERVER span beneath the one that its
 * caller names. Without an OpenTelemetry SDK it costs next to nothing.
 *
 * @example
 * ```ts
 * trace();
 * ```
 */
export function trace(options: TraceOptions = {}): TraceDefinition {
  return frozen({ kind: "trace", ...options });
}

export const traceSchema = (z: Zod): ZodType<TraceDefinition> => z.strictObject({ kind: z.literal("trace"), ...namedFields(z) });

export const traceDurations = [] as const;
