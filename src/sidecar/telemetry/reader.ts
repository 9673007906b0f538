// The reader of /metrics: collects when it is asked, and words it as Prometheus reads it.
//
// The words are OpenTelemetry's own serializer's; its exporter is not used: it brings a server, and ours has rules about who may ask.
import { PrometheusSerializer } from "@opentelemetry/exporter-prometheus";
import { AggregationTemporality, type MetricProducer, MetricReader } from "@opentelemetry/sdk-metrics";
import { withUnits } from "./units.ts";

/** A class since the SDK takes only what extends its own. */
class OnDemandReader extends MetricReader {
  constructor(producer: MetricProducer) {
    super({ aggregationTemporalitySelector: () => AggregationTemporality.CUMULATIVE, metricProducers: [producer] });
  }
  protected override onShutdown(): Promise<void> {
    return Promise.resolve();
  }
  protected override onForceFlush(): Promise<void> {
    return Promise.resolve();
  }
}

export interface PrometheusReader {
  readonly reader: MetricReader;
  readonly text: () => Promise<string>;
}

/** The content type that goes with the text. */
export const PROMETHEUS_TEXT = "text/plain; version=0.0.4; charset=utf-8";

/** `producerFor`: gives what is not counted by the SDK. */
export function prometheusReader(producerFor: (temporality: () => AggregationTemporality) => MetricProducer): PrometheusReader {
  const reader = new OnDemandReader(producerFor(() => AggregationTemporality.CUMULATIVE));
  const serializer = new PrometheusSerializer(undefined, false, undefined, false, true);
  return {
    reader,
    text: async () => {
      const { resourceMetrics, errors } = await reader.collect();
      if (errors.length > 0) throw new AggregateError(errors, "metrics could not be collected");
      return serializer.serialize(withUnits(resourceMetrics));
    },
  };
}
