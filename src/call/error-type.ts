// Error types: the one word by which telemetry tells failures apart, as OpenTelemetry's `error.type` asks for.
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
  if (!(reason instanceof Error)) return otherwise;
  const code: unknown = (reason as { code?: unknown }).code ?? (reason.cause as { code?: unknown } | undefined)?.code; // the casts: only read
  return typeof code === "string" ? code : reason.name;
}
