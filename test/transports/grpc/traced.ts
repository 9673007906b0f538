// A program that makes RPCs under a traced policy, with or without OpenTelemetry's instrumentation of grpc-js; trace.test.ts runs it and reads its spans.
import { createRequire } from "node:module";
import { context, propagation, SpanStatusCode, trace as api } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import { GrpcInstrumentation } from "@opentelemetry/instrumentation-grpc";
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";

/** A span, as the test reads it. */
export interface Shown {
  readonly name: string;
  readonly kind: number;
  readonly id: string;
  readonly parent: string | undefined;
  readonly trace: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly error: boolean;
}

export interface Traced {
  readonly spans: readonly Shown[];
  /** What went out with each attempt. */
  readonly traceparents: readonly (string | undefined)[];
}

const exporter = new InMemorySpanExporter();
const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] });
api.setGlobalTracerProvider(provider);
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
propagation.setGlobalPropagator(new W3CTraceContextPropagator());
if (process.argv[2] === "instrumented") {
  new GrpcInstrumentation().setTracerProvider(provider);
  createRequire(import.meta.url)("@grpc/grpc-js"); // it patches what is required, so this comes before any import
}

const { retry, trace } = await import("../../../src/index.ts");
const { policedEcho, start } = await import("./calls.ts");
const { openPeer } = await import("./peer.ts");

const closing: (() => void)[] = [];
const t = { after: (close: () => void) => void closing.push(close) };
const peer = await openPeer(t, (attempt) => {
  if (attempt.nth < 3) return attempt.status(14);
  attempt.send("fine");
  return attempt.status(attempt.nth === 3 ? 0 : 5);
});
const { echo } = policedEcho(t, peer.address, [trace(), retry({ methods: ["*"], backoff: { base: "0ms" } })]);
await start(echo, "Unary").came; // two attempts fail, the third is answered
await start(echo, "ServerStream").came; // its head is there, and then it fails
await provider.forceFlush();

const shown = exporter.getFinishedSpans().map((span): Shown => ({
  name: span.name,
  kind: span.kind,
  id: span.spanContext().spanId,
  parent: span.parentSpanContext?.spanId,
  trace: span.spanContext().traceId,
  attributes: span.attributes,
  error: span.status.code === SpanStatusCode.ERROR,
}));
const traceparents = peer.attempts.map(({ headers }) => headers["traceparent"] as string | undefined); // the cast: a field of one value
console.log(JSON.stringify({ spans: shown, traceparents } satisfies Traced));
for (const close of closing) close();
