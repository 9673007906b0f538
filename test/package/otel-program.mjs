// A service with OpenTelemetry's SDK, of either line, that sends traces and metrics to a collector over OTLP/HTTP, and one retried call under a
// policy. Run by otel.test.ts in a folder that has premesh and the SDK installed: `node program.mjs <collector> <upstream> <instrumented|plain> [export timeout in ms]`.
import { context, metrics, propagation, trace as api } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-http";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { UndiciInstrumentation } from "@opentelemetry/instrumentation-undici";
import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { createClient, definePolicy, retry, trace } from "premesh";

const [collector, upstream, how, timeoutMillis = "10000"] = process.argv.slice(2);

// the two lines name their packages and constructors differently
const traces = new OTLPTraceExporter({ url: `${collector}/v1/traces`, timeoutMillis: Number(timeoutMillis) });
let provider;
try {
  const { TracerProvider, SimpleSpanProcessor } = await import("@opentelemetry/sdk-trace");
  provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter: traces })] });
} catch {
  const { BasicTracerProvider, SimpleSpanProcessor } = await import("@opentelemetry/sdk-trace-base");
  provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(traces)] });
}
api.setGlobalTracerProvider(provider);
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
propagation.setGlobalPropagator(new W3CTraceContextPropagator());
const exporter = new OTLPMetricExporter({ url: `${collector}/v1/metrics`, timeoutMillis: Number(timeoutMillis) });
const meters = new MeterProvider({ readers: [new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })] });
metrics.setGlobalMeterProvider(meters);
if (how === "instrumented") new UndiciInstrumentation().setTracerProvider(provider);

const policy = definePolicy({
  name: "p",
  match: [{ host: new URL(upstream).host }],
  layers: [trace(), retry({ backoff: { base: "0ms", max: "0ms" } })],
});
const client = createClient({ policies: [policy] });
const response = await client.fetch(upstream);
await response.text();
console.log(response.status);
await Promise.allSettled([provider.forceFlush(), meters.forceFlush()]);
await Promise.allSettled([provider.shutdown(), meters.shutdown()]);
await client.close();
