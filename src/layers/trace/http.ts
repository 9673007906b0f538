// Spans of HTTP calls and of work: an INTERNAL one for the call, a CLIENT one for each attempt, as OpenTelemetry's conventions for HTTP want it.
import { channel } from "node:diagnostics_channel";
import type { Attributes, Context, Span } from "@opentelemetry/api";
import type { AttemptSpan, Call } from "../../call/call.ts";
import { whenEnded } from "../../call/end.ts";
import type { OpenTelemetry } from "../../call/otel.ts";
import { isSpan, marking } from "./marking.ts";
import { callAttributes, ourSpan, type SpanOfCall, tracerOf } from "./span.ts";

/** Undici's instrumentation listens here; where it does, its CLIENT spans are the attempts' and it sends the context along. */
const instrumented = channel("undici:request:create");

/** Whether a subscriber of that channel was seen to open spans; `undefined`: none has had the chance yet. */
let opensSpans: boolean | undefined;

export function startHttpCall(otel: OpenTelemetry, { record }: Call, parent: Context): SpanOfCall {
  const options = { kind: otel.SpanKind.INTERNAL, attributes: callAttributes(record) };
  return ourSpan(otel, tracerOf(otel).startSpan(`premesh ${record.policy}`, options, parent));
}

/** Why the attempt was sent, where it was not the first. */
export const typeOf = ({ type }: Call): Attributes => (type === "initial" ? {} : { "premesh.attempt.type": type });

export function startHttpAttempt(otel: OpenTelemetry, within: Context, call: Call, known: Attributes): AttemptSpan {
  const resends: Attributes = call.record.attempts > 1 ? { "http.request.resend_count": call.record.attempts - 1 } : {};
  const more: Attributes = { ...resends, ...typeOf(call), "premesh.policy": call.record.policy };
  if (instrumented.hasSubscribers && opensSpans !== false) return instrumentedAttempt(otel, within, more);
  const { context, SpanKind, trace } = otel;
  const one = ourSpan(otel, tracerOf(otel).startSpan(call.method, { kind: SpanKind.CLIENT, attributes: { ...known, ...more } }, within));
  const beneath = trace.setSpan(within, one.span);
  return {
    fields: contextFields(otel, beneath),
    // an instrumentation that was taken for something else is seen here
    within: (send) => context.with(instrumented.hasSubscribers ? marking(beneath, noticed) : beneath, send),
    end: (outcome) => {
      if (outcome.status !== undefined) one.span.setAttribute("http.response.status_code", outcome.status);
      one.concluded(outcome);
      whenEnded(outcome.end, one.ended);
    },
  };
}

/** An attempt whose span undici's instrumentation opens. What only we know of it is set on that span. */
function instrumentedAttempt({ context }: OpenTelemetry, within: Context, more: Attributes): AttemptSpan {
  const beneath = marking(within, (value) => {
    if (noticed(value)) value.setAttributes(more);
  });
  return {
    fields: [],
    within: (send) => context.with(beneath, send),
    end: (outcome) => {
      if (outcome.status !== undefined) opensSpans ??= false; // there was a request, and nobody opened a span: it is not OpenTelemetry that listens
    },
  };
}

/** Whether this is the span of an instrumentation; once one was seen, theirs are trusted. */
function noticed(value: unknown): value is Span {
  if (!isSpan(value)) return false;
  const theirs = scopeOf(value)?.includes("instrumentation") !== false;
  if (theirs) opensSpans = true;
  return theirs;
}

/** The name of the library that opened a span; `undefined` for a span that is not recorded. The casts: spans of an SDK have it under either name. */
function scopeOf(span: object): string | undefined {
  const { instrumentationScope, instrumentationLibrary } = span as Record<string, { name?: string } | undefined>;
  return (instrumentationScope ?? instrumentationLibrary)?.name;
}

/** W3C trace context, or whatever the registered propagator sends. */
export function contextFields({ propagation }: OpenTelemetry, beneath: Context): [string, string][] {
  const fields: [string, string][] = [];
  propagation.inject(beneath, fields, { set: (carrier, name, value) => void carrier.push([name.toLowerCase(), value]) });
  return fields;
}
