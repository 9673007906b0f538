// timeout: bounds how long a call, or each attempt of it, may take.
import type { ZodType } from "zod";
import { frozen } from "../../policy/freeze.ts";
import type { Duration } from "../../policy/duration.ts";
import { duration, type Refusing, refusingFields, type Zod } from "../../policy/schema.ts";

export interface TimeoutOptions extends Refusing {
  /** How long to wait. Before `retry`, or without one: until the response ends. Inside `retry`: until the head of each attempt's response. */
  readonly after: Duration;
}

export interface TimeoutDefinition extends TimeoutOptions {
  readonly kind: "timeout";
}

/**
 * Ends the call (before `retry`) or the attempt (inside `retry`) when it takes too long; whatever is still running is aborted. Without a retry
 * layer around it the time runs until the response has ended, so a body that stalls is cut. The remaining time travels with each attempt
 * (`x-envoy-expected-rq-timeout-ms`, `grpc-timeout`).
 *
 * Errors: `ERR_PREMESH_TIMEOUT`.
 *
 * @example
 * ```ts
 * timeout("2s");
 * timeout({ after: "2s", name: "whole-call" });
 * ```
 */
export function timeout(after: Duration | TimeoutOptions): TimeoutDefinition {
  return frozen({ kind: "timeout", ...(typeof after === "object" ? after : { after }) });
}

export const timeoutSchema = (z: Zod): ZodType<TimeoutDefinition> =>
  z.strictObject({ kind: z.literal("timeout"), ...refusingFields(z), after: duration(z) });

export const timeoutDurations = ["after"] as const;
