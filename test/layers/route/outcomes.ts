// Outcomes of attempts for tests of routing, as the classifier makes them.
import {
  abortedOutcome,
  conditionsOfCode,
  conditionsOfHttpStatus,
  errorOutcome,
  gaveUpOutcome,
  httpOutcome,
  REFUSAL,
  TIMEOUT,
} from "../../../src/call/classify.ts";
import { Code } from "../../../src/call/codes.ts";
import type { Outcome } from "../../../src/call/outcome.ts";

type Some = Outcome<unknown>;

export const answered = (status: number): Some => httpOutcome({}, status, undefined, undefined, () => undefined);

export const grpc = (code: Code): Some =>
  code === Code.OK ? { ok: true, response: {} } : { ok: false, code, by: "peer", sent: true, conditions: conditionsOfCode(code) };

export const refused: Some = errorOutcome({ code: "ECONNREFUSED" }, false);

export const reset: Some = errorOutcome({ code: "ECONNRESET" }, true);

export const timedOut: Some = { ok: false, code: Code.DEADLINE_EXCEEDED, by: "timeout", sent: true, conditions: TIMEOUT };

export const cancelled: Some = abortedOutcome(AbortSignal.abort(), true);

export const gaveUp: Some = gaveUpOutcome(AbortSignal.abort());

export const refusedByLayer: Some = { ok: false, code: Code.UNAVAILABLE, by: "bulkhead", sent: false, conditions: REFUSAL };

export const faulted: Some = {
  ok: false,
  code: Code.UNAVAILABLE,
  by: "fault",
  sent: true,
  conditions: conditionsOfHttpStatus(503),
  status: 503,
};

export const fellBack: Some = { ok: true, response: {}, fallback: "static" };
