// fault: makes calls slow or fail on purpose, to see that the rest of the policy holds.
import type { ZodType } from "zod";
import { type GrpcStatus, GRPC_STATUSES } from "../../policy/conditions.ts";
import { frozen } from "../../policy/freeze.ts";
import type { Duration } from "../../policy/duration.ts";
import { coded, duration, integer, percent, type Refusing, refusingFields, type Zod } from "../../policy/schema.ts";

/** Answer with an HTTP status. */
export interface StatusAbort {
  readonly status: number;
  readonly code?: never;
  /** Share of calls, 0 to 100. */
  readonly percent: number;
}

/** Answer with a gRPC status. */
export interface CodeAbort {
  readonly code: GrpcStatus;
  readonly status?: never;
  /** Share of calls, 0 to 100. */
  readonly percent: number;
}

export interface FaultOptions extends Refusing {
  /** Wait before the call goes on, for a share of calls. */
  readonly delay?: { readonly for: Duration; readonly percent: number };
  /** Answer in the peer's place, for a share of calls. */
  readonly abort?: StatusAbort | CodeAbort;
}

export interface FaultDefinition extends FaultOptions {
  readonly kind: "fault";
}

/**
 * Delays or fails a share of calls. It may stand anywhere: inside `retry` each attempt rolls the dice, so retries can be tested; an aborted call
 * is judged by all other layers as if the peer had answered so. The dice follow the client's `seed`. Delay and abort roll apart, as Envoy's do.
 *
 * Errors: `ERR_PREMESH_FAULT` where the caller's API has no response to carry the status.
 *
 * @example
 * ```ts
 * fault({ delay: { for: "200ms", percent: 10 }, abort: { status: 503, percent: 5 } });
 * ```
 */
export function fault(options: FaultOptions): FaultDefinition {
  return frozen({ kind: "fault", ...options });
}

export const faultSchema = (z: Zod): ZodType<FaultDefinition> =>
  z
    .strictObject({
      kind: z.literal("fault"),
      ...refusingFields(z),
      delay: z.strictObject({ for: duration(z), percent: percent(z) }).exactOptional(),
      abort: z
        .union([
          z.strictObject({ status: integer(z, 400, 599), percent: percent(z) }),
          z.strictObject({ code: z.enum(GRPC_STATUSES, { error: `must be one of ${GRPC_STATUSES.join(", ")}` }), percent: percent(z) }),
        ])
        .exactOptional(),
    })
    .refine(({ delay, abort }) => delay !== undefined || abort !== undefined, coded("PM0202", "must have delay or abort"));

export const faultDurations = ["delay.for"] as const;
