// The trace layer at work; the only file that knows OpenTelemetry's tracing API.
import { channel } from "node:diagnostics_channel";
import {
  type Context,
  context,
  isSpanContextValid,
  propagation,
  ProxyTracerProvider,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
  type TracerProvider,
} from "@opentelemetry/api";
import { type Build, stateless } from "../../call/build.ts";
import type { AttemptSpan, Call } from "../../call/call.ts";
import { codeName } from "../../call/codes.ts";
import { whenEnded } from "../../call/end.ts";
import type { Outcome } from "../../call/outcome.ts";
import { PolicyError } from "../../policy/error.ts";
import type { TraceDefinition } from "./definition.ts";

const tracer = trace.getTracer("premesh");

/** Undici's instrumentation listens here; where it does, its CLIENT spans are the attempts' and it sends the context along. */
const instrumented = channel("undici:request:create");

export const buildTrace: Build<TraceDefinition> = () =>
  stateless((next) => (call) => {
    const parent = context.active();
    if (parent === ROOT_CONTEXT && isUnused(trace.getTracerProvider())) return next(call);
    const { policy, revision, target } = call.record;
    const span = tracer.startSpan(
      `premesh ${policy}`,
      { kind: SpanKind.INTERNAL, attributes: { "premesh.policy": policy, "premesh.policy.revision": revision, "premesh.target": target } },
      parent,
    );
    if (!isSpanContextValid(span.spanContext())) return next(call);
    const within = trace.setSpan(parent, span);
    const attempts = { start: (attempt: Call, attributes: Attributes) => startAttempt(within, attempt, attributes) };
    return context.with(within, next, undefined, { ...call, tracer: attempts }).then((outcome) => {
      span.setAttribute("premesh.attempts", call.record.attempts);
      concluded(span, outcome);
      whenEnded(outcome.end, (error) => finished(span, error));
      return outcome;
    });
  });

/** No SDK has been registered: it would stand behind the API's proxy. */
function isUnused(provider: TracerProvider): boolean {
  return provider instanceof ProxyTracerProvider && provider.getDelegateTracer("premesh") === undefined;
}

type Attributes = Readonly<Record<string, string | number>>;

function startAttempt(within: Context, call: Call, attributes: Attributes): AttemptSpan | undefined {
  if (instrumented.hasSubscribers) return undefined;
  const resends: Attributes = call.attempt > 1 ? { "http.request.resend_count": call.attempt - 1 } : {};
  const span = tracer.startSpan(call.method, { kind: SpanKind.CLIENT, attributes: { ...attributes, ...resends } }, within);
  const fields: [string, string][] = [];
  propagation.inject(trace.setSpan(within, span), fields, {
    set: (carrier, name, value) => void carrier.push([name.toLowerCase(), value]),
  });
  return {
    fields,
    end: (outcome) => {
      if (outcome.status !== undefined) span.setAttribute("http.response.status_code", outcome.status);
      concluded(span, outcome);
      whenEnded(outcome.end, (error) => finished(span, error));
    },
  };
}

/** Status and `error.type` of a span: the HTTP status, the error's own code, or the status name. */
function concluded(span: Span, outcome: Outcome<unknown>): void {
  if (outcome.fallback !== undefined) span.setAttribute("premesh.fallback", true);
  if (outcome.ok) return;
  span.setAttribute("error.type", errorType(outcome.status ?? outcome.cause, codeName(outcome.code)));
  span.setStatus({ code: SpanStatusCode.ERROR, ...(outcome.cause instanceof Error ? { message: outcome.cause.message } : {}) });
}

function finished(span: Span, error: unknown): void {
  if (error !== undefined) {
    span.setAttribute("error.type", errorType(error, "reset"));
    span.setStatus({ code: SpanStatusCode.ERROR });
  }
  span.end();
}

function errorType(reason: unknown, otherwise: string): string {
  if (typeof reason === "number") return String(reason);
  if (reason instanceof PolicyError) return reason.code;
  if (!(reason instanceof Error)) return otherwise;
  const code: unknown = (reason as { code?: unknown }).code ?? (reason.cause as { code?: unknown } | undefined)?.code; // the casts: only read
  return typeof code === "string" ? code : reason.name;
}
