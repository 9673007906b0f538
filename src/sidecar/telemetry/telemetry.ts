// The shim's telemetry: metrics for /metrics always, and what the environment asks to export besides.
import * as api from "@opentelemetry/api";
import { defaultResource, detectResources, envDetector, resourceFromAttributes } from "@opentelemetry/resources";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import { giveOpenTelemetry } from "../../call/otel.ts";
import type { Log } from "../log.ts";
import { telemetryWanted } from "./environment.ts";
import { newHistograms } from "./histograms.ts";
import { prometheusReader } from "./reader.ts";

export interface Telemetry {
  readonly meter: api.Meter;
  /** All metrics, as Prometheus reads them. */
  readonly text: () => Promise<string>;
  /** Exports what is left. Never rejects, and never waits longer. */
  readonly shutdown: (patienceMs: number) => Promise<void>;
}

export async function startTelemetry(env: NodeJS.ProcessEnv, log: Log): Promise<Telemetry> {
  const wanted = telemetryWanted(env);
  for (const problem of wanted.problems) log("warn", "telemetry", problem);
  giveOpenTelemetry(api);
  const exports = wanted.traces === undefined && wanted.metrics === undefined ? undefined : await import("./otlp.ts");
  if (exports !== undefined)
    api.diag.setLogger(
      {
        error: (message) => log("warn", "telemetry", message),
        warn: (message) => log("warn", "telemetry", message),
        info: none,
        debug: none,
        verbose: none,
      },
      { logLevel: api.DiagLogLevel.WARN, suppressOverrideMessage: true },
    );
  const resource = defaultResource()
    .merge(resourceFromAttributes({ "service.name": "premesh-sidecar" }))
    .merge(detectResources({ detectors: [envDetector] }));
  const { meterOf, producerFor } = newHistograms(Date.now);
  const { reader, text } = prometheusReader(producerFor);
  const readers = exports === undefined || wanted.metrics === undefined ? [] : [exports.metricReader(wanted.metrics, wanted, producerFor)];
  const meters = new MeterProvider({ resource, readers: [reader, ...readers] });
  const getMeter: api.MeterProvider["getMeter"] = (name, ...version) => meterOf(name, meters.getMeter(name, ...version));
  api.metrics.disable(); // whoever started one before us in this process has ended it
  api.metrics.setGlobalMeterProvider({ getMeter });
  const tracing = exports === undefined || wanted.traces === undefined ? undefined : exports.startTracing(wanted.traces, wanted, resource);

  return {
    meter: getMeter("premesh.sidecar"),
    text,
    shutdown: async (patienceMs) => {
      const patience = new Promise<void>((late) => void setTimeout(late, patienceMs).unref());
      const all = Promise.allSettled([meters.shutdown(), tracing?.shutdown()]);
      await Promise.race([all, patience]);
    },
  };
}

const none = (): void => undefined;
