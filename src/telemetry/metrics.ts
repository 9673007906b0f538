// Metrics: events and the state of layers as OpenTelemetry metrics, from the moment on at which a MeterProvider is registered.
import type { Attributes, Meter, MeterProvider } from "@opentelemetry/api";
import type { Call, CallRecord } from "../call/call.ts";
import { codeName } from "../call/codes.ts";
import { errorTypeOf } from "../call/error-type.ts";
import { openTelemetry } from "../call/otel.ts";
import type { Outcome } from "../call/outcome.ts";
import { serverOf } from "../call/server.ts";
import type { ClientStatus } from "../call/status.ts";
import { bound, newKept, type Recorder } from "./bound.ts";
import { type DecisionEvent, resultOf } from "./events.ts";
import { newGauges } from "./gauges.ts";

/** What OpenTelemetry advises for durations of HTTP calls, in seconds: https://opentelemetry.io/docs/specs/semconv/http/http-metrics/ */
const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];

/** A word of the breaker and the state that it then is in. */
const TRANSITIONS: Readonly<Record<string, string>> = {
  opened: "open",
  "half-opened": "half-open",
  closed: "closed",
  reset: "closed",
  isolated: "isolated",
};

export interface Metrics {
  /** Whether a MeterProvider is registered; looked up each time, since it may come late. */
  readonly wanted: () => boolean;
  readonly decided: (event: DecisionEvent) => void;
  readonly attempted: (call: Call, outcome: Outcome<unknown>, tookMs: number) => void;
  readonly called: (record: CallRecord, outcome: Outcome<unknown>, tookMs: number) => void;
  readonly close: () => void;
}

/** The instruments of one MeterProvider. */
type Instruments = Omit<Metrics, "wanted">;

export function newMetrics(status: () => ClientStatus): Metrics {
  let known: MeterProvider | undefined;
  let instruments: Instruments | undefined;
  let closed = false;

  return {
    wanted: () => {
      const otel = openTelemetry();
      if (otel === undefined) return false;
      const provider = otel.metrics.getMeterProvider();
      if (provider !== known && !closed) {
        known = provider;
        instruments?.close();
        const meter = provider.getMeter("premesh");
        instruments = meter === otel.createNoopMeter() ? undefined : instrumentsOf(meter, status);
      }
      return instruments !== undefined;
    },
    decided: (event) => instruments?.decided(event),
    attempted: (call, outcome, tookMs) => instruments?.attempted(call, outcome, tookMs),
    called: (record, outcome, tookMs) => instruments?.called(record, outcome, tookMs),
    close: () => {
      closed = true;
      instruments?.close();
      instruments = undefined;
    },
  };
}

function instrumentsOf(meter: Meter, status: () => ClientStatus): Instruments {
  const seconds = (name: string, description: string): ReturnType<Meter["createHistogram"]> =>
    meter.createHistogram(name, { description, unit: "s", advice: { explicitBucketBoundaries: SECONDS } });
  const callDuration = seconds("premesh.call.duration", "How long calls took, with all their attempts, until the head of the response.");
  const attemptDuration = seconds("premesh.attempt.duration", "How long attempts took, until the head of the response.");
  const retryDelay = seconds("premesh.retry.delay", "How long a retry layer waits before it sends again.");
  const waitDuration = seconds(
    "premesh.limiter.wait.duration",
    "How long calls waited in the queue of a limiter before they were let through.",
  );
  const attempts = meter.createHistogram("premesh.call.attempts", {
    description: "How often calls were sent.",
    unit: "{attempt}",
    advice: { explicitBucketBoundaries: [0, 1, 2, 3, 4, 5, 10] },
  });
  const transitions = meter.createCounter("premesh.breaker.transitions", {
    description: "Changes of state of breakers.",
    unit: "{transition}",
  });
  const decisions = meter.createCounter("premesh.decisions", {
    description: "What layers did beside passing calls on.",
    unit: "{decision}",
  });

  const rpcDuration = seconds("rpc.client.call.duration", "How long RPCs took, with all their attempts, until the head of the response.");

  const calls = newKept<{ readonly duration: Recorder; readonly attempts: Recorder }>();
  const sends = newKept<Recorder>();
  const rpcs = newKept<Recorder>();

  function called(
    { policy, protocol, direction, target, method, attempts: count }: CallRecord,
    outcome: Outcome<unknown>,
    ms: number,
  ): void {
    const took = ms / 1_000;
    const errorType = errorTypeOf(outcome);
    const result = resultOf(outcome);
    const how = errorType === undefined ? result : `${result} ${errorType}`;
    const one =
      calls.get(policy, how) ??
      calls.keep(policy, how, {
        duration: bound(callDuration, { ...came(policy, errorType), outcome: result }),
        attempts: bound(attempts, { "premesh.policy": policy, outcome: result }),
      });
    one.duration.record(took);
    one.attempts.record(count);
    if (direction !== "outbound" || (protocol !== "grpc" && protocol !== "connect")) return;
    const words = outcome.ok && protocol === "grpc" ? method : [method, protocol, outcome.ok ? 0 : outcome.code, errorType].join("\n");
    const rpc =
      rpcs.get(target, words) ?? rpcs.keep(target, words, bound(rpcDuration, rpcAttributes(protocol, method, target, outcome, errorType)));
    rpc.record(took);
  }

  function attempted({ record: { policy }, type }: Call, outcome: Outcome<unknown>, ms: number): void {
    const errorType = errorTypeOf(outcome);
    const how = errorType === undefined ? type : `${type} ${errorType}`;
    const one =
      sends.get(policy, how) ?? sends.keep(policy, how, bound(attemptDuration, { ...came(policy, errorType), "attempt.type": type }));
    one.record(ms / 1_000);
  }

  const decided = ({ policy, target, layer, kind, what, detail }: DecisionEvent): void => {
    const place: Attributes = { "premesh.policy": policy, "premesh.layer": layer };
    decisions.add(1, { ...place, "premesh.layer.kind": kind, "premesh.decision": what });
    if (what === "retrying") retryDelay.record(Number(detail?.["waitMs"]) / 1_000, place);
    if (what === "admitted") waitDuration.record(Number(detail?.["waitedMs"]) / 1_000, place);
    const state = kind === "breaker" ? TRANSITIONS[what] : undefined;
    if (state !== undefined) transitions.add(1, { ...place, ...(target === undefined ? {} : { "premesh.target": target }), state });
  };

  const gauges = newGauges(meter, status);
  return { decided, attempted, called, close: gauges.close };
}

/** By OpenTelemetry's conventions for RPC (1.45): https://opentelemetry.io/docs/specs/semconv/rpc/rpc-metrics/ */
const rpcAttributes = (
  protocol: "grpc" | "connect",
  method: string,
  target: string,
  outcome: Outcome<unknown>,
  errorType: string | undefined,
): Attributes => ({
  "rpc.system.name": protocol === "connect" ? "connectrpc" : protocol,
  "rpc.method": method.replace(/^\//, ""),
  "rpc.status_code": (outcome.ok ? "ok" : codeName(outcome.code)).replaceAll("-", "_").toUpperCase(),
  ...serverOf(target),
  ...(errorType === undefined ? {} : { "error.type": errorType }),
});

const came = (policy: string, errorType: string | undefined): Attributes => ({
  "premesh.policy": policy,
  ...(errorType === undefined ? {} : { "error.type": errorType }),
});
