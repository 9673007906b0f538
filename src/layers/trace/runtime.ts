// The trace layer at work: one span for the call, and what begins its attempts' spans put on the call.
import type { Context, TracerProvider } from "@opentelemetry/api";
import { type Build, stateless } from "../../call/build.ts";
import type { AttemptTracer, Call } from "../../call/call.ts";
import { whenEnded } from "../../call/end.ts";
import { type OpenTelemetry, openTelemetry } from "../../call/otel.ts";
import { step } from "../../call/step.ts";
import type { TraceDefinition } from "./definition.ts";
import { startHttpAttempt, startHttpCall } from "./http.ts";
import { startInboundCall } from "./inbound.ts";
import { isRpc, startRpcAttempt, startRpcCall } from "./rpc.ts";
import { addDecisions, type SpanOfCall } from "./span.ts";

export const buildTrace: Build<TraceDefinition> = () =>
  stateless(
    step((next) => (call) => {
      const otel = openTelemetry();
      if (otel === undefined) return call;
      const { context, trace } = otel;
      const parent = context.active();
      if (parent === otel.ROOT_CONTEXT && isUnused(otel, trace.getTracerProvider())) return call;
      const inbound = call.record.direction === "inbound";
      const rpc = isRpc(call);
      const span = (inbound ? startInboundCall : rpc ? startRpcCall : startHttpCall)(otel, call, parent);
      if (!otel.isSpanContextValid(span.span.spanContext())) return call;
      const within = trace.setSpan(parent, span.span);
      const doneHere = inbound && call.payload.incoming?.passedOn !== true;
      const traced = doneHere ? call : { ...call, tracer: (rpc ? rpcTracer : httpTracer)(otel, within) };
      return context.with(within, next, undefined, traced).then((outcome) => {
        if (!doneHere) span.span.setAttribute("premesh.attempts", call.record.attempts);
        span.concluded(outcome);
        whenEnded(outcome.end, (error) => ended(span, call, error));
        return outcome;
      });
    }),
  );

/** No SDK has been registered: it would stand behind the API's proxy. */
function isUnused({ ProxyTracerProvider }: OpenTelemetry, provider: TracerProvider): boolean {
  return provider instanceof ProxyTracerProvider && provider.getDelegateTracer("premesh") === undefined;
}

const httpTracer = (otel: OpenTelemetry, within: Context): AttemptTracer => ({
  start: (attempt, attributes) => startHttpAttempt(otel, within, attempt, attributes),
});

const rpcTracer = (otel: OpenTelemetry, within: Context): AttemptTracer => ({
  start: (attempt, attributes) => startRpcAttempt(otel, within, attempt, attributes),
});

function ended(span: SpanOfCall, { record }: Call, error: unknown): void {
  addDecisions(span, record);
  span.ended(error);
}
