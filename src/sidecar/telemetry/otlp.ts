// OTLP: exports traces and metrics to a collector. Loaded only when the environment asks for one of them.
import { context, propagation, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { CompositePropagator, W3CBaggagePropagator, W3CTraceContextPropagator } from "@opentelemetry/core";
import { OTLPMetricExporter as JsonMetricExporter } from "@opentelemetry/exporter-metrics-otlp-http";
import { OTLPMetricExporter as ProtobufMetricExporter } from "@opentelemetry/exporter-metrics-otlp-proto";
import { OTLPTraceExporter as JsonTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { OTLPTraceExporter as ProtobufTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import type { Resource } from "@opentelemetry/resources";
import {
  type AggregationTemporality,
  InstrumentType,
  type MetricProducer,
  type MetricReader,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  type Sampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import type { OtlpProtocol, TelemetryWanted } from "./environment.ts";

export interface Tracing {
  readonly shutdown: () => Promise<void>;
}

export function startTracing(protocol: OtlpProtocol, { sampler }: TelemetryWanted, resource: Resource): Tracing {
  const exporter = protocol === "http/json" ? new JsonTraceExporter() : new ProtobufTraceExporter();
  const provider = new TracerProvider({ resource, sampler: samplerOf(sampler), spanProcessors: [new BatchSpanProcessor({ exporter })] });
  trace.setGlobalTracerProvider(provider);
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new CompositePropagator({ propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator()] }));
  return {
    shutdown: () => provider.shutdown(),
  };
}

/** `producerFor`: gives what is not counted by the SDK. */
export function metricReader(
  protocol: OtlpProtocol,
  { metricIntervalMs }: TelemetryWanted,
  producerFor: (temporality: () => AggregationTemporality) => MetricProducer,
): MetricReader {
  const exporter = protocol === "http/json" ? new JsonMetricExporter() : new ProtobufMetricExporter();
  return new PeriodicExportingMetricReader({
    exporter,
    exportIntervalMillis: metricIntervalMs,
    exportTimeoutMillis: Math.min(30_000, metricIntervalMs),
    metricProducers: [producerFor(() => exporter.selectAggregationTemporality(InstrumentType.HISTOGRAM))],
  });
}

function samplerOf({ name, ratio }: TelemetryWanted["sampler"]): Sampler {
  const sampler = name.endsWith("always_off")
    ? new AlwaysOffSampler()
    : name.endsWith("traceidratio")
      ? new TraceIdRatioBasedSampler(ratio)
      : new AlwaysOnSampler();
  return name.startsWith("parentbased_") ? new ParentBasedSampler({ root: sampler }) : sampler;
}
