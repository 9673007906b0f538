// What all spans of ours have in common: how they are opened, concluded and ended, and the decisions of layers as their events.
import type { Attributes, Span, Tracer } from "@opentelemetry/api";
import type { CallRecord } from "../../call/call.ts";
import { errorTypeOf, errorTypeOfReason } from "../../call/error-type.ts";
import type { OpenTelemetry } from "../../call/otel.ts";
import type { Outcome } from "../../call/outcome.ts";

/** Asked for each time, since another provider may be registered. */
export const tracerOf = ({ trace }: OpenTelemetry): Tracer => trace.getTracer("premesh");

/** The span of a call or an attempt. */
export interface SpanOfCall {
  readonly span: Span;
  /** On the clock of `Date.now`. */
  readonly startedAt: number;
  /** The outcome is there. */
  readonly concluded: (outcome: Outcome<unknown>) => void;
  /** The response is over. */
  readonly ended: (error: unknown) => void;
}

/** What is said of every call, whatever its protocol. */
export const callAttributes = ({ policy, revision, target }: CallRecord): Attributes => ({
  "premesh.policy": policy,
  "premesh.policy.revision": revision,
  "premesh.target": target,
});

export function ourSpan(otel: OpenTelemetry, span: Span): SpanOfCall {
  return {
    span,
    startedAt: Date.now(),
    concluded: (outcome) => concluded(otel, span, outcome),
    ended: (error) => finished(otel, span, error),
  };
}

/** Status and `error.type` of a span. */
function concluded({ SpanStatusCode }: OpenTelemetry, span: Span, outcome: Outcome<unknown>): void {
  if (outcome.fallback !== undefined) span.setAttribute("premesh.fallback", true);
  const errorType = errorTypeOf(outcome);
  if (outcome.ok || errorType === undefined) return;
  span.setAttribute("error.type", errorType);
  span.setStatus({ code: SpanStatusCode.ERROR, ...(outcome.cause instanceof Error ? { message: outcome.cause.message } : {}) });
}

function finished({ SpanStatusCode }: OpenTelemetry, span: Span, error: unknown): void {
  if (error !== undefined) {
    span.setAttribute("error.type", errorTypeOfReason(error, "reset"));
    span.setStatus({ code: SpanStatusCode.ERROR });
  }
  span.end();
}

/** Each decision as an event at its time. */
export function addDecisions({ span, startedAt }: SpanOfCall, { decisions = [] }: CallRecord): void {
  if (!span.isRecording()) return;
  for (const { layer, kind, what, attempt, atMs, detail = {} } of decisions) {
    const attributes: Attributes = {
      "premesh.layer": layer,
      "premesh.layer.kind": kind,
      "premesh.decision": what,
      "premesh.attempt": attempt,
    };
    for (const [name, value] of Object.entries(detail)) {
      if (typeof value === "string" || typeof value === "number" || typeof value === "boolean")
        attributes[`premesh.detail.${name}`] = value;
    }
    span.addEvent(`${layer} ${what}`, attributes, startedAt + atMs);
  }
}
