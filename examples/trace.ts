// trace: one span for the call and one beneath it for each attempt, whose context travels to the server (W3C traceparent).
import { propagation, trace as tracing } from "@opentelemetry/api";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import { createClient, definePolicy, retry, trace } from "../src/index.ts";
import { serve } from "./server.ts";

// The application's own set-up; in production an OTLP exporter stands here.
const exporter = new InMemorySpanExporter();
const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] });
tracing.setGlobalTracerProvider(provider);
propagation.setGlobalPropagator(new W3CTraceContextPropagator());

const parents: string[] = [];
const server = await serve((request, response) => {
  parents.push(String(request.headers["traceparent"]).split("-")[2] ?? "");
  response.writeHead(parents.length === 1 ? 503 : 200).end();
});

const client = createClient({
  policies: [definePolicy({ name: "catalog", match: [{ host: "127.0.0.1" }], layers: [trace(), retry()] })],
});
const response = await client.fetch(`${server.url}/books/1`);
await response.text(); // a span ends when its response has been read

await provider.forceFlush();
const spans = exporter.getFinishedSpans();
const call = spans.find(({ name }) => name === "premesh catalog");
console.log(`${call?.name} (attempts: ${String(call?.attributes["premesh.attempts"])})`);
for (const span of spans.filter(({ parentSpanContext }) => parentSpanContext?.spanId === call?.spanContext().spanId)) {
  const { "http.response.status_code": status, "http.request.resend_count": resend } = span.attributes;
  const heard = parents.includes(span.spanContext().spanId) ? "the server got its id" : "the server did not hear of it";
  console.log(`  ${span.name} ${String(status)}${typeof resend === "number" ? `, resend ${resend}` : ""}: ${heard}`);
}

server.close();
