// Units in the names of metrics, as OpenTelemetry's specification has it for Prometheus; its serializer for JavaScript leaves them out.
//
// So a metric has one name there, whether it comes by way of a collector or from here:
// https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/ (Metric Metadata).
import type { ResourceMetrics } from "@opentelemetry/sdk-metrics";

/** Prometheus' words for what the shim measures in. What is counted (`{request}`) has no unit there. */
const UNITS: { readonly [unit in string]?: string } = { s: "seconds", By: "bytes" };

/** The same metrics with their units in their names. */
export function withUnits({ resource, scopeMetrics }: ResourceMetrics): ResourceMetrics {
  return {
    resource,
    scopeMetrics: scopeMetrics.map(({ scope, metrics }) => ({
      scope,
      metrics: metrics.map((metric) => ({ ...metric, descriptor: { ...metric.descriptor, ...named(metric.descriptor) } })),
    })),
  };
}

function named({ name, unit }: { readonly name: string; readonly unit: string }): { readonly name: string; readonly unit: string } {
  const word = UNITS[unit] ?? "";
  return { name: word === "" ? name : `${name}_${word}`, unit: word };
}
