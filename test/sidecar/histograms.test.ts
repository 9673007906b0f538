// The shim's own histograms: a reader gets of them what it would get of the SDK's.
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { Attributes, Histogram as Instrument } from "@opentelemetry/api";
import { AggregationTemporality, type DataPoint, type Histogram, MeterProvider, MetricReader } from "@opentelemetry/sdk-metrics";
import fc from "fast-check";
import { newHistograms } from "../../src/sidecar/telemetry/histograms.ts";
import { bound } from "../../src/telemetry/bound.ts";

/** Collects when it is asked. */
class Reader extends MetricReader {
  protected override onShutdown(): Promise<void> {
    return Promise.resolve();
  }
  protected override onForceFlush(): Promise<void> {
    return Promise.resolve();
  }
}

const OPTIONS = { description: "how long", unit: "s", advice: { explicitBucketBoundaries: [0.5, 1, 2.5] } };
const SETS: readonly Attributes[] = [{}, { a: "1" }, { a: "1", b: true }, { b: true, a: "1" }, { a: "2", n: 3 }];

interface Side {
  readonly histogram: Instrument;
  readonly reader: Reader;
}

function sides(temporality: AggregationTemporality): { readonly ours: Side; readonly theirs: Side } {
  const { meterOf, producerFor } = newHistograms(Date.now);
  const made = (own: boolean): Side => {
    const reader = new Reader({
      aggregationTemporalitySelector: () => temporality,
      ...(own ? { metricProducers: [producerFor(() => temporality)] } : {}),
    });
    const meter = new MeterProvider({ readers: [reader] }).getMeter("m");
    return { histogram: (own ? meterOf("m", meter) : meter).createHistogram("h", OPTIONS), reader };
  };
  return { ours: made(true), theirs: made(false) };
}

/** All that is collected but the times, and of the smallest and largest values what both have. */
async function collected({ reader }: Side, extremes: boolean): Promise<unknown> {
  const { resourceMetrics, errors } = await reader.collect();
  assert.deepEqual(errors, []);
  return resourceMetrics.scopeMetrics.flatMap(({ scope, metrics }) =>
    metrics.map(({ descriptor: { name, description, unit, valueType }, dataPointType, aggregationTemporality, dataPoints }) => ({
      scope: scope.name,
      descriptor: { name, description, unit, valueType },
      dataPointType,
      aggregationTemporality,
      points: new Set(
        (dataPoints as DataPoint<Histogram>[]).map(({ attributes, value: { buckets, count, sum, min, max } }) => ({
          attributes,
          buckets,
          count,
          sum,
          ...(extremes ? { min, max } : {}),
        })),
      ), // the cast: they are histograms
    })),
  );
}

/** Values that add up to the same in any order. */
const anyValues = fc.array(
  fc.record({
    set: fc.nat(SETS.length - 1),
    value: fc.oneof(
      fc.constantFrom(0, 0.5, 1, 2.5),
      fc.integer({ min: -1_024, max: 5_120 }).map((n) => n / 1_024),
    ),
    bind: fc.boolean(),
  }),
);

suite("histograms of the shim", () => {
  for (const temporality of [AggregationTemporality.CUMULATIVE, AggregationTemporality.DELTA]) {
    const isDelta = temporality === AggregationTemporality.DELTA;
    test(`are collected as the SDK's are, ${isDelta ? "as what is new" : "as what there is"}`, async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(anyValues, { minLength: 1, maxLength: 3 }), async (rounds) => {
          const { ours, theirs } = sides(temporality);
          for (const [round, values] of rounds.entries()) {
            for (const { set, value, bind } of values) {
              theirs.histogram.record(value, SETS[set]);
              if (bind) bound(ours.histogram, SETS[set] ?? {}).record(value);
              else ours.histogram.record(value, SETS[set]);
            }
            const extremes = !isDelta || round === 0;
            assert.deepEqual(await collected(ours, extremes), await collected(theirs, extremes));
          }
        }),
        { numRuns: 50 },
      );
    });
  }

  test("count under one name what goes beyond 2,000 sets of attributes", async () => {
    const { ours } = sides(AggregationTemporality.CUMULATIVE);
    for (let n = 0; n < 2_010; n++) ours.histogram.record(1, { n });
    const { resourceMetrics } = await ours.reader.collect();
    const points = resourceMetrics.scopeMetrics[0]?.metrics[0]?.dataPoints as DataPoint<Histogram>[]; // the cast: it is a histogram
    assert.equal(points.length, 2_000);
    assert.deepEqual(points.at(-1)?.attributes, { "otel.metric.overflow": true });
    assert.equal(points.at(-1)?.value.count, 11);
  });

  test("are one where two meters of a name have one of a name", async () => {
    const { meterOf, producerFor } = newHistograms(Date.now);
    const meter = new MeterProvider().getMeter("m");
    for (let n = 0; n < 2; n++) meterOf("m", meter).createHistogram("h", OPTIONS).record(1, { a: "1" });
    const { resourceMetrics } = await producerFor(() => AggregationTemporality.CUMULATIVE).collect();
    const points = resourceMetrics.scopeMetrics.flatMap(({ metrics }) =>
      metrics.flatMap(({ dataPoints }) => dataPoints as DataPoint<Histogram>[]),
    ); // the cast: it is a histogram
    assert.deepEqual(
      points.map(({ value }) => value.count),
      [2],
    );
  });
});
