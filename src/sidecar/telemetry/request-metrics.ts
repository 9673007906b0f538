// The metrics of the shim itself: requests and connections by listener, its reloads, its log, its memory.
import type { Meter, ObservableResult } from "@opentelemetry/api";
import type { Direction } from "../../policy/matching.ts";
import { bound } from "../../telemetry/bound.ts";
import { type Ended, type Logged, PROTOCOLS } from "../../transports/proxy/entry.ts";
import type { Exchange } from "../../wire/wire.ts";
import type { ReloadStatus } from "../reload/reload.ts";

/** What is counted of one listener. */
export interface Counted {
  readonly direction: Direction;
  readonly count: () => { readonly connections: number; readonly exchanges: number };
}

export interface Observed {
  readonly listeners: () => readonly Counted[];
  readonly draining: () => boolean;
  /** `undefined`: there is no file. */
  readonly reloads: () => ReloadStatus | undefined;
  readonly dropped: () => number;
}

/** OpenTelemetry's advice for durations of HTTP. */
const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];

export interface RequestMetrics {
  /** One request is over. */
  readonly record: (logged: Logged, ended: Ended, direction: Direction) => void;
}

/** Counted without the SDK, which sorts and joins attributes for every number: that would be a tenth of what a request costs. */
interface Tally {
  readonly attributes: Readonly<Record<string, string>>;
  requests: number;
  received: number;
  sent: number;
}

/** By the version of the request, the hundreds of the status (0: no head was sent), and the flag. */
type Tallies = { readonly [V in Exchange["version"]]: readonly Map<string, Tally>[] };

function newTallies(): Tallies {
  const byHundreds = (): Map<string, Tally>[] => Array.from({ length: 6 }, () => new Map<string, Tally>());
  return { "1.0": byHundreds(), "1.1": byHundreds(), "2": byHundreds() };
}

/** More than a shim has of combinations; beyond, a peer that makes up methods or the like costs no memory. */
const MOST_TALLIES = 500;

export function newRequestMetrics(meter: Meter, observed: Observed): RequestMetrics {
  const tallies: Tally[] = [];
  const tallyOf: { readonly [D in Direction]: Tallies } = { outbound: newTallies(), inbound: newTallies() };
  const gauge = (name: string, description: string, unit: string, observe: (result: ObservableResult) => void): void =>
    meter.createObservableGauge(name, { description, unit }).addCallback(observe);
  const counter = (name: string, description: string, unit: string, observe: (result: ObservableResult) => void): void =>
    meter.createObservableCounter(name, { description, unit }).addCallback(observe);
  const eachTally =
    (value: (tally: Tally) => number) =>
    (result: ObservableResult): void => {
      for (const tally of tallies) result.observe(value(tally), tally.attributes);
    };

  counter(
    "premesh.sidecar.requests",
    "Requests that are over.",
    "{request}",
    eachTally(({ requests }) => requests),
  );
  counter(
    "premesh.sidecar.received",
    "Bytes of the bodies of requests.",
    "By",
    eachTally(({ received }) => received),
  );
  counter(
    "premesh.sidecar.sent",
    "Bytes of the bodies of responses.",
    "By",
    eachTally(({ sent }) => sent),
  );
  const durations = meter.createHistogram("premesh.sidecar.request.duration", {
    description: "How long requests took, to the end of their response.",
    unit: "s",
    advice: { explicitBucketBoundaries: SECONDS },
  });
  const durationOf = { outbound: bound(durations, { direction: "outbound" }), inbound: bound(durations, { direction: "inbound" }) };
  gauge("premesh.sidecar.requests.active", "Requests under way.", "{request}", (result) => {
    for (const { direction, count } of observed.listeners()) result.observe(count().exchanges, { direction });
  });
  gauge("premesh.sidecar.connections.active", "Connections that are open to a listener.", "{connection}", (result) => {
    for (const { direction, count } of observed.listeners()) result.observe(count().connections, { direction });
  });
  gauge("premesh.sidecar.draining", "1 while the shim drains.", "", (result) => result.observe(Number(observed.draining())));
  counter("premesh.sidecar.reloads", "Times that the file of policies was read anew.", "{reload}", (result) => {
    const { succeeded = 0, failed = 0 } = observed.reloads() ?? {};
    result.observe(succeeded, { result: "success" });
    result.observe(failed, { result: "failure" });
  });
  gauge("premesh.sidecar.reload.failed", "1 while the file of policies is wrong, and the last good ones are in force.", "", (result) =>
    result.observe(Number(observed.reloads()?.lastError !== undefined)),
  );
  gauge("premesh.sidecar.reload.time", "When the policies in force were read, in seconds since 1970.", "s", (result) => {
    const status = observed.reloads();
    if (status !== undefined) result.observe(status.lastSucceededAtMs / 1_000);
  });
  counter("premesh.sidecar.log.dropped", "Lines of the access log and the log that nobody took.", "{line}", (result) =>
    result.observe(observed.dropped()),
  );
  gauge("process.memory.usage", "Memory of the process that lies in RAM.", "By", (result) => result.observe(process.memoryUsage.rss()));
  gauge("process.uptime", "How long the process has run.", "s", (result) => result.observe(process.uptime()));

  return {
    record: ({ exchange, received }, { status, why, sent, tookMs }, direction) => {
      const hundreds = status >= 100 && status < 600 ? Math.floor(status / 100) : 0;
      const known = tallyOf[direction][exchange.version][hundreds];
      let tally = known?.get(why.flag);
      if (tally === undefined) {
        if (tallies.length >= MOST_TALLIES) return;
        const response_code_class = hundreds === 0 ? "0" : `${hundreds}xx`;
        const attributes = { direction, protocol: PROTOCOLS[exchange.version], response_code_class, response_flags: why.flag };
        tally = { attributes, requests: 0, received: 0, sent: 0 };
        tallies.push(tally);
        known?.set(why.flag, tally);
      }
      tally.requests++;
      tally.received += received;
      tally.sent += sent;
      durationOf[direction].record(tookMs / 1_000);
    },
  };
}
