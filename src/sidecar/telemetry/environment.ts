// What the environment asks of OpenTelemetry, by its standard variables:
// https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
//
// The exporters read the rest of OTEL_EXPORTER_OTLP_* themselves (endpoint, headers, time-out, compression, certificates), and the resource OTEL_SERVICE_NAME
// and OTEL_RESOURCE_ATTRIBUTES.

export type OtlpProtocol = "http/protobuf" | "http/json";

export type SamplerName =
  | "always_on"
  | "always_off"
  | "traceidratio"
  | "parentbased_always_on"
  | "parentbased_always_off"
  | "parentbased_traceidratio";

export interface TelemetryWanted {
  /** How traces are exported; `undefined`: not. */
  readonly traces: OtlpProtocol | undefined;
  readonly metrics: OtlpProtocol | undefined;
  readonly sampler: { readonly name: SamplerName; readonly ratio: number };
  readonly metricIntervalMs: number;
  /** What was asked for and cannot be had, a sentence each. */
  readonly problems: readonly string[];
}

const PROTOCOLS: readonly OtlpProtocol[] = ["http/protobuf", "http/json"];

const SAMPLERS: readonly SamplerName[] = [
  "always_on",
  "always_off",
  "traceidratio",
  "parentbased_always_on",
  "parentbased_always_off",
  "parentbased_traceidratio",
];

/** An empty variable counts as none, as the specification says. */
export function telemetryWanted(env: NodeJS.ProcessEnv): TelemetryWanted {
  const problems: string[] = [];
  const value = (name: string): string | undefined => env[name]?.trim() || undefined;
  const off = value("OTEL_SDK_DISABLED")?.toLowerCase() === "true";

  const exported = (signal: "TRACES" | "METRICS"): OtlpProtocol | undefined => {
    const endpoint = value(`OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`) ?? value("OTEL_EXPORTER_OTLP_ENDPOINT");
    const named = value(`OTEL_${signal}_EXPORTER`);
    const exporters = named?.split(",").map((one) => one.trim());
    for (const one of exporters ?? [])
      if (one !== "otlp" && one !== "none" && one !== "prometheus")
        problems.push(`OTEL_${signal}_EXPORTER says "${one}": the shim exports by otlp (and shows metrics at /metrics)`);
    if (off || (exporters === undefined ? endpoint === undefined : !exporters.includes("otlp"))) return undefined;
    const asked = value(`OTEL_EXPORTER_OTLP_${signal}_PROTOCOL`) ?? value("OTEL_EXPORTER_OTLP_PROTOCOL") ?? "http/protobuf";
    const protocol = PROTOCOLS.find((one) => one === asked);
    if (protocol === undefined)
      problems.push(
        `OTEL_EXPORTER_OTLP_PROTOCOL says "${asked}": the shim speaks ${PROTOCOLS.join(" and ")}, so ${signal.toLowerCase()} are not exported`,
      );
    return protocol;
  };

  const number = (name: string, otherwise: number, least: number, most: number): number => {
    const text = value(name);
    if (text === undefined) return otherwise;
    const parsed = Number(text);
    if (parsed >= least && parsed <= most) return parsed;
    problems.push(`${name} says "${text}": it must be a number from ${least} to ${most}, and is taken as ${otherwise}`);
    return otherwise;
  };

  const asked = value("OTEL_TRACES_SAMPLER") ?? "parentbased_always_on";
  const name = SAMPLERS.find((one) => one === asked);
  if (name === undefined) problems.push(`OTEL_TRACES_SAMPLER says "${asked}": it must be one of ${SAMPLERS.join(", ")}`);
  return {
    traces: exported("TRACES"),
    metrics: exported("METRICS"),
    sampler: { name: name ?? "parentbased_always_on", ratio: number("OTEL_TRACES_SAMPLER_ARG", 1, 0, 1) },
    metricIntervalMs: number("OTEL_METRIC_EXPORT_INTERVAL", 60_000, 100, 86_400_000),
    problems,
  };
}
