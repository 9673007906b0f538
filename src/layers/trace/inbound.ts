// Spans of calls that come in: a SERVER one, beneath the span that the caller's trace context names, as OpenTelemetry's conventions for servers want it.
import type { Attributes, Context } from "@opentelemetry/api";
import type { Call } from "../../call/call.ts";
import type { OpenTelemetry } from "../../call/otel.ts";
import type { Outcome } from "../../call/outcome.ts";
import { isRpc, rpcAttributes, withStatus } from "./rpc.ts";
import { callAttributes, ourSpan, type SpanOfCall, tracerOf } from "./span.ts";

/** Beneath an instrumentation's span, which is the call's SERVER span already, ours is an INTERNAL one. */
export function startInboundCall(otel: OpenTelemetry, call: Call, active: Context): SpanOfCall {
  const { SpanKind, trace } = otel;
  const { record } = call;
  const tracer = tracerOf(otel);
  const rpc = isRpc(call);
  const above = trace.getSpan(active);
  if (above !== undefined && above.spanContext().isRemote !== true) {
    const options = { kind: SpanKind.INTERNAL, attributes: callAttributes(record) };
    const inner = ourSpan(otel, tracer.startSpan(`premesh ${record.policy}`, options, active));
    return rpc ? withStatus(inner) : { ...inner, concluded: (outcome) => concluded(inner, outcome) };
  }
  const attributes: Attributes = { ...callAttributes(record), ...(rpc ? rpcAttributes(record, record.method) : httpAttributes(call)) };
  const span = ourSpan(otel, tracer.startSpan(record.method, { kind: SpanKind.SERVER, attributes }, callersContext(otel, call, active)));
  return rpc ? withStatus(span) : { ...span, concluded: (outcome) => concluded(span, outcome) };
}

/** The context that the caller has sent. */
function callersContext({ propagation }: OpenTelemetry, { metadata }: Call, active: Context): Context {
  return propagation.extract(active, metadata, { get: (carrier, name) => carrier.get(name.toLowerCase()), keys: () => [] });
}

/** Without the query, in which there may be secrets. */
function httpAttributes({ record, metadata }: Call): Attributes {
  const [path = ""] = (metadata.get(":path") ?? "").split("?", 1);
  return { "http.request.method": record.method, "url.path": path };
}

/** What the caller did wrong, or too often, is no error of a server. */
function concluded(inner: SpanOfCall, outcome: Outcome<unknown>): void {
  const { status } = outcome;
  if (status !== undefined) inner.span.setAttribute("http.response.status_code", status);
  const callers = !outcome.ok && (outcome.by === "rateLimit" || (status !== undefined && status < 500));
  if (!callers) inner.concluded(outcome);
}
