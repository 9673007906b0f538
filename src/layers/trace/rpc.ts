// Spans of RPCs: a CLIENT one for the call with all its attempts, as OpenTelemetry's conventions for RPC want it, and INTERNAL ones for the attempts.
import type { Attributes, Context } from "@opentelemetry/api";
import type { AttemptSpan, Call, CallRecord } from "../../call/call.ts";
import { type Code, codeName } from "../../call/codes.ts";
import { whenEnded } from "../../call/end.ts";
import type { OpenTelemetry } from "../../call/otel.ts";
import type { Outcome } from "../../call/outcome.ts";
import { serverOf } from "../../call/server.ts";
import { contextFields, typeOf } from "./http.ts";
import { callAttributes, ourSpan, type SpanOfCall, tracerOf } from "./span.ts";

const SYSTEMS = { grpc: "grpc", connect: "connectrpc" } as const;

export const isRpc = ({ record: { protocol } }: Call): boolean => protocol in SYSTEMS;

/** Beneath the span of an instrumentation, which is the call's CLIENT span already, ours is an INTERNAL one. */
export function startRpcCall(otel: OpenTelemetry, call: Call, parent: Context): SpanOfCall {
  const { record } = call;
  const { SpanKind } = otel;
  const tracer = tracerOf(otel);
  const method = methodOf(call);
  const instrumented = isInstrumentations(otel, parent);
  const span = instrumented
    ? tracer.startSpan(`premesh ${record.policy}`, { kind: SpanKind.INTERNAL, attributes: callAttributes(record) }, parent)
    : tracer.startSpan(
        method,
        { kind: SpanKind.CLIENT, attributes: { ...callAttributes(record), ...rpcAttributes(record, method) } },
        parent,
      );
  return withStatus(ourSpan(otel, span));
}

/** gRFC A72 has one INTERNAL span for each attempt, too. */
export function startRpcAttempt(otel: OpenTelemetry, within: Context, call: Call, known: Attributes): AttemptSpan {
  const { attempts } = call.record;
  const attributes = { ...known, ...typeOf(call), "premesh.attempt": attempts };
  const { context, SpanKind, trace } = otel;
  const started = tracerOf(otel).startSpan(`Attempt ${methodOf(call)}`, { kind: SpanKind.INTERNAL, attributes }, within);
  const one = withStatus(ourSpan(otel, started));
  const beneath = trace.setSpan(within, one.span);
  return {
    fields: contextFields(otel, beneath),
    within: (send) => context.with(beneath, send),
    end: (outcome) => {
      one.concluded(outcome);
      whenEnded(outcome.end, one.ended);
    },
  };
}

const methodOf = ({ method }: Call): string => method.replace(/^\//, "");

export function rpcAttributes({ protocol, target, direction }: CallRecord, method: string): Attributes {
  const system = protocol === "connect" ? SYSTEMS.connect : SYSTEMS.grpc;
  return { "rpc.system.name": system, "rpc.method": method, ...(direction === "inbound" ? {} : serverOf(target)) };
}

/** The span with `rpc.status_code`: of the outcome, or of what ended the response after its head. */
export function withStatus(inner: SpanOfCall): SpanOfCall {
  let status = "OK";
  return {
    ...inner,
    concluded: (outcome) => {
      inner.concluded(outcome);
      status = statusOf(outcome);
    },
    ended: (error) => {
      inner.span.setAttribute("rpc.status_code", error === undefined ? status : (statusOfError(error) ?? "UNKNOWN"));
      inner.ended(error);
    },
  };
}

const inCapitals = (code: Code): string => codeName(code).replaceAll("-", "_").toUpperCase();

const statusOf = (outcome: Outcome<unknown>): string => (outcome.ok ? "OK" : inCapitals(outcome.code));

/** gRPC's and Connect's errors carry the number. */
function statusOfError(error: unknown): string | undefined {
  const code: unknown = typeof error === "object" && error !== null && "code" in error ? error.code : undefined;
  return typeof code === "number" && code >= 0 && code <= 16 ? inCapitals(code as Code) : undefined; // the cast: in range
}

/** Whether the active span was opened by an instrumentation of gRPC or Connect. The casts: spans of an SDK have their scope under either name. */
function isInstrumentations({ trace }: OpenTelemetry, parent: Context): boolean {
  const span = trace.getSpan(parent) as Partial<Record<string, { name?: string }>> | undefined;
  return /grpc|connect/.test((span?.["instrumentationScope"] ?? span?.["instrumentationLibrary"])?.name ?? "");
}
