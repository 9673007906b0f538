// Bench: what telemetry costs a call, while nobody listens, with a listener, and with OpenTelemetry's SDK.
import { context, metrics, trace as traces } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { AggregationTemporality, InMemoryMetricExporter, MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { BatchSpanProcessor, InMemorySpanExporter, TracerProvider } from "@opentelemetry/sdk-trace";
import { monotonicNow } from "../../src/call/clock.ts";
import { newRecord } from "../../src/call/record.ts";
import { createClient } from "../../src/index.ts";
import { newTelemetry } from "../../src/telemetry/telemetry.ts";
import { type Bench, interleaved, median, ratios, type Row, shown } from "./kit.ts";
import { sevenLayers } from "./policy.ts";

const CALLS = 2_000;
const ROUNDS = 31;

const noop = (): Promise<undefined> => Promise.resolve(undefined);

/** Microseconds per call, one after the other. */
async function timed(once: () => Promise<unknown>): Promise<number> {
  const began = process.hrtime.bigint();
  for (let call = 0; call < CALLS; call++) await once();
  return Number(process.hrtime.bigint() - began) / 1_000 / CALLS;
}

/** What a call asks of telemetry, and nothing else. */
function asked(): () => Promise<number> {
  const telemetry = newTelemetry(monotonicNow, () => ({ policies: {} }));
  const rule = { policy: { name: "p", layers: [] }, revision: "" };
  const outcome = { ok: true, response: undefined } as const;
  let watched = 0;
  return () => {
    const began = process.hrtime.bigint();
    for (let call = 0; call < CALLS; call++) {
      const record = newRecord(rule, "run", "t", "run", 0);
      telemetry.begun();
      if (telemetry.attempts.watched()) watched++;
      telemetry.ended(record, outcome);
    }
    const us = Number(process.hrtime.bigint() - began) / 1_000 / CALLS;
    return Promise.resolve(watched === 0 ? us : Number.NaN);
  };
}

export const bench: Bench = {
  title: "Telemetry",
  how: `the seven layers over a no-op through client.run, ${ROUNDS} rounds of ${CALLS} calls a side: with nobody listening, with a listener that does nothing, and (in rounds of their own, since an SDK cannot be taken out again) with traces and metrics of OpenTelemetry's SDK; beside it, what a call asks of telemetry while nobody listens, by itself`,
  run: async () => {
    const off = createClient({ policies: [sevenLayers] });
    const heard = createClient({ policies: [sevenLayers] });
    heard.on(() => undefined);
    const side = (client: typeof off) => (): Promise<number> => timed(() => client.run("seven", noop));
    const before = await interleaved(
      { off: side(off), again: side(off), heard: side(heard), asked: asked() },
      { rounds: ROUNDS, warmUp: 10 },
    );
    const rows: Row[] = [
      {
        figure: "nobody listens: telemetry alone",
        value: shown(before.asked, 2, " us"),
        peer: `a whole call ${shown(before.off, 2, " us")}, again ${shown(ratios(before.again, before.off), 2, "x")}`,
        target: "at most 0.3 us",
        ok: median(before.asked) <= 0.3,
      },
      { figure: "with a listener", value: shown(ratios(before.heard, before.off), 2, "x"), peer: "nobody listens", target: "" },
    ];
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
    traces.setGlobalTracerProvider(
      new TracerProvider({ spanProcessors: [new BatchSpanProcessor({ exporter: new InMemorySpanExporter() })] }),
    );
    const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
    const meters = new MeterProvider({ readers: [new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })] });
    metrics.setGlobalMeterProvider(meters);
    const after = await interleaved({ recorded: side(createClient({ policies: [sevenLayers] })) }, { rounds: 11, warmUp: 3 });
    rows.push({ figure: "with traces and metrics of the SDK", value: shown(after.recorded, 1, " us"), peer: "", target: "" });
    await meters.shutdown();
    return rows;
  },
};
