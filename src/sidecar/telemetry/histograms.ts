// Histograms of the shim: counted in place, for attributes that were bound once, and given to the SDK's readers when they collect.
//
// The SDK sorts and joins the attributes of each value and looks them up by that: of the four values that a call records, a third of what the call costs
// above the wire. Everything else of its meters stays the SDK's.
import { type Attributes, type HrTime, type Meter, type MetricOptions, ValueType } from "@opentelemetry/api";
import { emptyResource } from "@opentelemetry/resources";
import {
  AggregationTemporality,
  type DataPoint,
  DataPointType,
  type Histogram,
  type HistogramMetricData,
  type MetricProducer,
  type ScopeMetrics,
} from "@opentelemetry/sdk-metrics";
import type { BindableHistogram, Recorder } from "../../telemetry/bound.ts";

/** The SDK's own limit for an instrument; what comes beyond is counted as one, under the attribute that OpenTelemetry has for that. */
const MOST_SETS = 2_000;
const OVERFLOW: Attributes = { "otel.metric.overflow": true };

/** The values under one set of attributes. A class, since its one method is called for each call. */
class Series implements Recorder {
  readonly attributes: Attributes;
  readonly since: HrTime;
  readonly boundaries: readonly number[];
  readonly counts: number[];
  count = 0;
  sum = 0;
  min = Number.POSITIVE_INFINITY;
  max = Number.NEGATIVE_INFINITY;

  constructor(attributes: Attributes, boundaries: readonly number[], since: HrTime) {
    this.attributes = attributes;
    this.boundaries = boundaries;
    this.since = since;
    this.counts = Array.from({ length: boundaries.length + 1 }, () => 0);
  }

  record(value: number): void {
    if (!(value >= 0)) return;
    const { boundaries, counts } = this;
    let at = 0;
    while (at < boundaries.length && value > (boundaries[at] ?? 0)) at++;
    counts[at] = (counts[at] ?? 0) + 1;
    this.count++;
    this.sum += value;
    if (value < this.min) this.min = value;
    if (value > this.max) this.max = value;
  }
}

interface Counted {
  readonly histogram: BindableHistogram;
  readonly descriptor: HistogramMetricData["descriptor"];
  readonly series: ReadonlyMap<string, Series>;
}

/** What a reader has been told of a series. */
type Told = Pick<Series, "counts" | "count" | "sum">;

export interface Histograms {
  /** The meter of that name, with histograms of ours. */
  readonly meterOf: (scope: string, meter: Meter) => Meter;
  /** What a reader of that temporality gets of them; each reader has its own. */
  readonly producerFor: (temporality: () => AggregationTemporality) => MetricProducer;
}

/** `wall`: milliseconds since 1970. */
export function newHistograms(wall: () => number): Histograms {
  const scopes = new Map<string, Map<string, Counted>>();

  function histogram(scope: string, name: string, options: MetricOptions = {}): BindableHistogram {
    const named = scopes.get(scope) ?? new Map<string, Counted>();
    scopes.set(scope, named);
    const made = named.get(name) ?? newCounted(name, options, wall);
    named.set(name, made);
    return made.histogram;
  }

  function producerFor(temporality: () => AggregationTemporality): MetricProducer {
    const told = new Map<Series, Told>();
    let before: HrTime | undefined;

    function pointOf(series: Series, delta: boolean, endTime: HrTime): DataPoint<Histogram> | undefined {
      const { attributes, boundaries, counts, count, sum, min, max, since } = series;
      if (count === 0) return undefined; // bound, and not used yet
      const buckets = { boundaries: [...boundaries], counts: [...counts] };
      if (!delta) return { attributes, startTime: since, endTime, value: { buckets, count, sum, min, max } };
      const last = told.get(series);
      if (last?.count === count) return undefined;
      told.set(series, { counts: buckets.counts, count, sum });
      if (last === undefined) return { attributes, startTime: since, endTime, value: { buckets, count, sum, min, max } };
      const fresh = counts.map((all, at) => all - (last.counts[at] ?? 0));
      const value = { buckets: { boundaries: buckets.boundaries, counts: fresh }, count: count - last.count, sum: sum - last.sum };
      return { attributes, startTime: before ?? since, endTime, value };
    }

    return {
      collect: () => {
        const endTime = hrTime(wall());
        const aggregationTemporality = temporality();
        const delta = aggregationTemporality === AggregationTemporality.DELTA;
        const scopeMetrics: ScopeMetrics[] = [];
        for (const [name, counted] of scopes) {
          const metrics: HistogramMetricData[] = [];
          for (const { descriptor, series } of counted.values()) {
            const dataPoints = [...series.values()].flatMap((one) => pointOf(one, delta, endTime) ?? []);
            if (dataPoints.length > 0)
              metrics.push({ descriptor, dataPointType: DataPointType.HISTOGRAM, aggregationTemporality, dataPoints });
          }
          if (metrics.length > 0) scopeMetrics.push({ scope: { name }, metrics });
        }
        before = endTime;
        return Promise.resolve({ resourceMetrics: { resource: emptyResource(), scopeMetrics }, errors: [] });
      },
    };
  }

  return {
    meterOf: (scope, meter) =>
      Object.create(meter, {
        createHistogram: { value: (name: string, options?: MetricOptions) => histogram(scope, name, options) },
      }) as Meter, // the cast: an heir of a meter is one
    producerFor,
  };
}

function newCounted(name: string, { description = "", unit = "", advice }: MetricOptions, wall: () => number): Counted {
  const boundaries = advice?.explicitBucketBoundaries ?? DEFAULT_BOUNDARIES;
  const series = new Map<string, Series>();

  function bind(attributes: Attributes): Series {
    const key = keyOf(attributes);
    const known = series.get(key);
    if (known !== undefined) return known;
    if (series.size >= MOST_SETS - 1 && attributes !== OVERFLOW) return bind(OVERFLOW);
    const made = new Series(attributes, boundaries, hrTime(wall()));
    series.set(key, made);
    return made;
  }

  return {
    histogram: { bind, record: (value, attributes = {}) => bind(attributes).record(value) },
    descriptor: { name, description, unit, valueType: ValueType.DOUBLE },
    series,
  };
}

/** Those of OpenTelemetry's specification, where no advice is given. */
const DEFAULT_BOUNDARIES = [0, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1_000, 2_500, 5_000, 7_500, 10_000];

const keyOf = (attributes: Attributes): string => JSON.stringify(Object.entries(attributes).toSorted(([a], [b]) => (a < b ? -1 : 1)));

const hrTime = (ms: number): HrTime => [Math.trunc(ms / 1_000), Math.round((ms % 1_000) * 1e6)];
