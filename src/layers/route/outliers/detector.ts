// Outlier detection: Envoy's algorithm (https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/outlier), without its timer: sweeps
// that have fallen due are made up for when somebody asks. Envoy's, and not a breaker for each endpoint, since it looks at an endpoint beside the
// others: it takes out the one that is worse than they are, and never so many that the rest cannot bear the load.
import type { Call } from "../../../call/call.ts";
import type { Outcome } from "../../../call/outcome.ts";
import { durationMs } from "../../../policy/duration.ts";
import type { Endpoint, Outliers } from "../endpoint.ts";
import { type OutliersOptions, outliersDefaults } from "./definition.ts";
import { countIn, type Monitor, newMonitor, type Rate, turn } from "./monitor.ts";
import { comparable, successRate, successThreshold } from "./rates.ts";
import { verdictOf } from "./verdict.ts";

/** What there is to find, and which field says how likely it is acted on. */
const enforcing = {
  "consecutive-5xx": "enforcingConsecutive5xx",
  "consecutive-gateway-failure": "enforcingConsecutiveGatewayFailure",
  "consecutive-local-origin-failure": "enforcingConsecutiveLocalOriginFailure",
  "success-rate": "enforcingSuccessRate",
  "local-origin-success-rate": "enforcingLocalOriginSuccessRate",
  "failure-percentage": "enforcingFailurePercentage",
  "local-origin-failure-percentage": "enforcingFailurePercentageLocalOrigin",
} as const satisfies Readonly<Record<string, keyof OutliersOptions>>;

type Finding = keyof typeof enforcing;
type Numbers = Readonly<Record<string, unknown>>;

/** Who hears of decisions. */
export interface OutliersTold {
  readonly random: () => number;
  /** The endpoint was ejected or returned. */
  readonly changed: (endpoint: Endpoint) => void;
  /** `ejected`, `returned`, `would-be-ejected` (not enforced), `not-ejected` (too many are out already). */
  readonly report: (call: Call | undefined, what: string, detail: Numbers) => void;
}

export function newOutliers(options: OutliersOptions, { random, changed, report }: OutliersTold, now: number): Outliers {
  const rule = { ...outliersDefaults, ...options };
  const split = rule.splitExternalLocalOriginErrors;
  const interval = durationMs(rule.interval);
  const baseMs = durationMs(rule.baseEjectionTime);
  const maxMs = Math.max(baseMs, durationMs(rule.maxEjectionTime));
  const jitterMs = durationMs(rule.maxEjectionTimeJitter);
  let monitors = new Map<Endpoint, Monitor>();
  /** Those that are out, or were: what happens in a sweep that no call has preceded concerns only them. */
  const marked = new Set<Monitor>();
  let ejected = 0;
  let nextSweepAt = now + interval;

  function found(monitor: Monitor, finding: Finding, numbers: Numbers, at: number, call: Call | undefined): void {
    const { endpoint } = monitor;
    const detail = { endpoint: endpoint.key, finding, ...numbers };
    const hasRoom = (100 * (ejected + 1)) / monitors.size <= rule.maxEjectionPercent || (rule.alwaysEjectOneHost && ejected === 0);
    const chance = rule[enforcing[finding]];
    if (!hasRoom)
      return report(call, "not-ejected", { ...detail, ejected, of: monitors.size, maxEjectionPercent: rule.maxEjectionPercent });
    if (chance < 100 && random() * 100 >= chance) return report(call, "would-be-ejected", { ...detail, enforcing: chance });
    ejected++;
    endpoint.ejected = true;
    if (monitor.multiplier * baseMs < maxMs + baseMs) monitor.multiplier++;
    monitor.ejectedAt = at;
    monitor.ejectedForMs = Math.min(monitor.multiplier * baseMs, maxMs) + (jitterMs > 0 ? random() * jitterMs : 0);
    marked.add(monitor);
    changed(endpoint);
    report(call, "ejected", { ...detail, forMs: Math.round(monitor.ejectedForMs), ejected, of: monitors.size });
  }

  /** Counters begin anew, so that few new failures do not take it out again. */
  function giveBack(monitor: Monitor, at: number): void {
    const { endpoint } = monitor;
    ejected--;
    endpoint.ejected = false;
    monitor.returnedAt = at;
    monitor.failures = monitor.gatewayFailures = monitor.localFailures = 0;
    changed(endpoint);
    report(undefined, "returned", { endpoint: endpoint.key, afterMs: Math.round(at - monitor.ejectedAt), ejected, of: monitors.size });
  }

  function count(monitor: Monitor, field: "failures" | "gatewayFailures" | "localFailures", limit: number): boolean {
    if (++monitor[field] !== limit || monitor.endpoint.ejected) return false;
    monitor[field] = 0;
    return true;
  }

  function settled(endpoint: Endpoint, outcome: Outcome<unknown>, at: number, call: Call | undefined): void {
    sweep(at); // so that it is counted in its own interval
    const monitor = monitors.get(endpoint);
    const verdict = verdictOf(outcome);
    if (monitor === undefined || verdict === "nothing") return;
    const consecutive = (finding: Finding, field: "failures" | "gatewayFailures" | "localFailures", limit: number): void => {
      if (count(monitor, field, limit)) found(monitor, finding, { consecutive: limit }, at, call);
    };
    if (split) {
      countIn(monitor.ways, verdict !== "local-failure");
      if (verdict === "local-failure")
        return consecutive("consecutive-local-origin-failure", "localFailures", rule.consecutiveLocalOriginFailure);
      monitor.localFailures = 0;
    }
    countIn(monitor.answers, verdict === "success");
    if (verdict === "success") {
      monitor.failures = monitor.gatewayFailures = 0;
      return;
    }
    if (verdict === "server-failure") monitor.gatewayFailures = 0;
    else consecutive("consecutive-gateway-failure", "gatewayFailures", rule.consecutiveGatewayFailure);
    consecutive("consecutive-5xx", "failures", rule.consecutive5xx);
  }

  function judge(rate: (monitor: Monitor) => Rate, bySuccess: Finding, byFailures: Finding, at: number): void {
    const inside = [...monitors.values()].filter(({ endpoint }) => !endpoint.ejected);
    const lastOf = (monitor: Monitor) => rate(monitor).last;
    const rateOf = (monitor: Monitor): number => successRate(lastOf(monitor));
    const compared = comparable(inside, lastOf, { volume: rule.successRateRequestVolume, hosts: rule.successRateMinimumHosts }) ?? [];
    const threshold = successThreshold(compared.map(rateOf), rule.successRateStdevFactor);
    for (const monitor of compared) {
      const successRateNow = rateOf(monitor);
      if (successRateNow < threshold)
        found(monitor, bySuccess, { successRate: rounded(successRateNow), threshold: rounded(threshold) }, at, undefined);
    }
    const { failurePercentageRequestVolume: volume, failurePercentageMinimumHosts: hosts } = rule;
    for (const monitor of comparable(inside, lastOf, { volume, hosts }) ?? []) {
      const failures = 100 - rateOf(monitor);
      if (!monitor.endpoint.ejected && failures >= rule.failurePercentageThreshold)
        found(monitor, byFailures, { failurePercentage: rounded(failures), threshold: rule.failurePercentageThreshold }, at, undefined);
    }
  }

  /** How many of the sweeps from `first` on lie before a time; a hair less than that is no time. */
  const sweepsBefore = (time: number, first: number): number => Math.max(0, Math.ceil((time - first) / interval - 1e-9));

  /** Of so many sweeps from `first` on, the one that returns the endpoint. */
  function giveBackIfDue(monitor: Monitor, first: number, sweeps: number): void {
    if (!monitor.endpoint.ejected) return;
    const nth = sweepsBefore(monitor.ejectedAt + monitor.ejectedForMs, first);
    if (nth < sweeps) giveBack(monitor, first + nth * interval);
  }

  /** Each sweep that finds the endpoint in service for an interval already shortens its next ejection. */
  function shrink(monitor: Monitor, first: number, sweeps: number): void {
    if (monitor.endpoint.ejected) return;
    monitor.multiplier -= Math.min(monitor.multiplier, Math.max(0, sweeps - sweepsBefore(monitor.returnedAt + interval, first)));
    if (monitor.multiplier === 0) marked.delete(monitor);
  }

  function sweep(at: number): void {
    if (at < nextSweepAt) return;
    const first = nextSweepAt;
    const sweeps = Math.floor((at - first) / interval) + 1;
    nextSweepAt = first + sweeps * interval;
    for (const monitor of monitors.values()) {
      turn(monitor.answers);
      if (split) turn(monitor.ways);
    }
    for (const monitor of marked) giveBackIfDue(monitor, first, 1);
    judge((monitor) => monitor.answers, "success-rate", "failure-percentage", first);
    if (split) judge((monitor) => monitor.ways, "local-origin-success-rate", "local-origin-failure-percentage", first);
    for (const monitor of marked) shrink(monitor, first, 1);
    if (sweeps === 1) return;
    // no attempt has come out between this sweep and the others that have fallen due, so there is nothing in them to judge
    for (const monitor of monitors.values()) {
      turn(monitor.answers);
      if (split) turn(monitor.ways);
    }
    for (const monitor of marked) {
      giveBackIfDue(monitor, first + interval, sweeps - 1);
      shrink(monitor, first + interval, sweeps - 1);
    }
  }

  return {
    get nextSweepAt() {
      return nextSweepAt;
    },
    update: (endpoints) => {
      const before = monitors;
      monitors = new Map(endpoints.map((endpoint) => [endpoint, before.get(endpoint) ?? newMonitor(endpoint)]));
      for (const monitor of marked) {
        if (monitors.has(monitor.endpoint)) continue;
        marked.delete(monitor);
        if (monitor.endpoint.ejected) ejected--;
        monitor.endpoint.ejected = false;
      }
    },
    settled,
    sweep,
    passed: (endpoint, at) => {
      const monitor = monitors.get(endpoint);
      if (monitor?.endpoint.ejected === true && rule.successfulActiveHealthCheckUnejectHost) giveBack(monitor, at);
    },
    status: (endpoint, at) => {
      const monitor = monitors.get(endpoint);
      if (monitor === undefined || (!endpoint.ejected && monitor.multiplier === 0)) return {};
      return {
        ...(endpoint.ejected ? { ejectedForMs: Math.max(0, Math.ceil(monitor.ejectedAt + monitor.ejectedForMs - at)) } : {}),
        ejections: monitor.multiplier,
      };
    },
  };
}

const rounded = (value: number): number => Math.round(value * 100) / 100;
