// Error types: the one word by which telemetry tells failures apart, as OpenTelemetry's `error.type` asks for.
import { GRPC_STATUSES } from "../policy/conditions.ts";
import { PolicyError } from "../policy/error.ts";
import { codeName } from "./codes.ts";
import type { Outcome } from "./outcome.ts";

/** The HTTP status, the error's own code, or the status name; `undefined` for a success. */
export function errorTypeOf(outcome: Outcome<unknown>): string | undefined {
  return outcome.ok ? undefined : errorTypeOfReason(outcome.status ?? outcome.cause, codeName(outcome.code));
}

/** The same of a status or an error. `otherwise`: where it is neither. */
export function errorTypeOfReason(reason: unknown, otherwise: string): string {
  if (typeof reason === "number") return String(reason);
  if (reason instanceof PolicyError) return reason.code;
  const status = rpcStatusOf(reason);
  if (status !== undefined) return status;
  if (!(reason instanceof Error)) return otherwise;
  const code: unknown = (reason as { code?: unknown }).code ?? (reason.cause as { code?: unknown } | undefined)?.code; // the casts: only read
  return typeof code === "string" ? code : reason.name;
}

/** The name of a gRPC status, or of an error that is made of one: a number and metadata. */
function rpcStatusOf(reason: unknown): string | undefined {
  if (typeof reason !== "object" || reason === null || !("code" in reason) || !("metadata" in reason)) return undefined;
  return typeof reason.code === "number" ? GRPC_STATUSES[reason.code - 1] : undefined;
}
