// Scenario: what a simulation plays, how calls arrive and how the peer does over time; plain data that a file can hold.
import { type Duration, durationMs } from "../../policy/duration.ts";

/** How long the peer takes: always as long, or random with this mean (exponential), or with this median and 99th percentile (log-normal). */
export type Latency = Duration | { readonly mean: Duration } | { readonly p50: Duration; readonly p99: Duration };

/** How the peer does. Shares are in percent of the attempts; together at most 100. */
export interface PeerModel {
  /** Until its answer, whatever that is. Default `{ p50: "20ms", p99: "100ms" }`. */
  readonly latency?: Latency;
  /** Statuses that it answers with in place of 200, and how often: `{ "503": 50 }`. Default none. */
  readonly statuses?: Readonly<Record<string, number>>;
  /** What it asks to wait for in `Retry-After`, with every 429 and 503. Default: it does not ask. */
  readonly retryAfter?: Duration;
  /** How often the connection breaks in place of an answer. Default 0. */
  readonly reset?: number;
  /** How often it takes no connection, so that nothing was sent. Default 0. */
  readonly refuse?: number;
  /** How often no answer ever comes. Default 0. */
  readonly hang?: number;
  /** How many attempts it works on at a time; others wait, first come, first served. Default: any number. */
  readonly capacity?: number;
  /** How many may wait for it; it answers others with 503 at once. Default: any number. */
  readonly queue?: number;
  /** Whether it drops what its caller has given up. Default false: most servers finish the work for nobody, and that is what keeps an overload going. */
  readonly heedsAborts?: boolean;
}

/** A stretch of time; what it does not say is as in `upstream`. */
export interface Phase extends PeerModel {
  /** What plots and tables call it. */
  readonly name?: string;
  /** How long it lasts. Only the last may leave it out: it lasts to the end. */
  readonly for?: Duration;
  /** Calls per second meanwhile, as a multiple of the scenario's `rate`. Default 1. */
  readonly load?: number;
}

export interface Scenario {
  /** Calls per second on average; they come whatever became of those before. Default 50. */
  readonly rate?: number;
  /** How long calls come. Default: as long as the phases say, else 5m. */
  readonly for?: Duration;
  /** At random (as independent callers do), or evenly spaced. Default `poisson`. */
  readonly arrivals?: "poisson" | "even";
  /** For all that is left to chance. Default 1. */
  readonly seed?: number;
  /** How long a caller waits before it gives up. Default 30s. */
  readonly patience?: Duration;
  /** HTTP method of the calls. Default `GET`. */
  readonly method?: string;
  /** Whether calls may be sent twice. Default: by the method. */
  readonly idempotent?: boolean;
  /** How the peer does where a phase does not say otherwise. */
  readonly upstream?: PeerModel;
  /** The peer over time. Default: `upstream` all along. */
  readonly phases?: readonly Phase[];
}

export const scenarioDefaults = {
  rate: 50,
  for: "5m",
  arrivals: "poisson",
  seed: 1,
  patience: "30s",
  method: "GET",
  latency: { p50: "20ms", p99: "100ms" },
} as const;

/** A latency as numbers of a distribution. */
export type Spread =
  | { readonly kind: "fixed"; readonly ms: number }
  | { readonly kind: "exponential"; readonly mean: number }
  | { readonly kind: "lognormal"; readonly mu: number; readonly sigma: number };

/** A phase in numbers; times in milliseconds since the beginning. */
export interface PlannedPhase {
  readonly name: string | undefined;
  readonly from: number;
  readonly to: number;
  readonly load: number;
  readonly spread: Spread;
  /** Cumulated shares of what happens in place of an answer of 200, from 0 to 1. */
  readonly fates: readonly { readonly upTo: number; readonly fate: "refuse" | "reset" | "hang" | number }[];
  readonly retryAfterMs: number | undefined;
  readonly capacity: number;
  readonly queue: number;
  readonly heedsAborts: boolean;
}

/** A scenario in numbers. */
export interface Plan {
  readonly rate: number;
  readonly lengthMs: number;
  readonly even: boolean;
  readonly seed: number;
  readonly patienceMs: number;
  readonly method: string;
  readonly idempotent: boolean | undefined;
  readonly phases: readonly PlannedPhase[];
}

/** How long a scenario takes: what it says, else what its phases say. */
export function lengthOf({ for: length, phases = [] }: Scenario): number {
  if (length !== undefined) return durationMs(length);
  const told = phases.reduce((sum, phase) => sum + (phase.for === undefined ? 0 : durationMs(phase.for)), 0);
  return phases.length === 0 || phases.at(-1)?.for === undefined ? Math.max(told, durationMs(scenarioDefaults.for)) : told;
}

/** A scenario that was checked, in numbers. */
export function planOf(scenario: Scenario): Plan {
  const { rate, arrivals, seed, patience, method } = { ...scenarioDefaults, ...scenario };
  const lengthMs = lengthOf(scenario);
  const { phases = [], upstream } = scenario;
  let at = 0;
  const planned = (phases.length === 0 ? [{}] : phases).map((phase: Phase, index, all): PlannedPhase => {
    const from = at;
    const last = index === all.length - 1;
    at = last || phase.for === undefined ? Number.POSITIVE_INFINITY : at + durationMs(phase.for);
    return plannedPhase({ ...upstream, ...phase }, from, at);
  });
  return {
    rate,
    lengthMs,
    even: arrivals === "even",
    seed,
    patienceMs: durationMs(patience),
    method,
    idempotent: scenario.idempotent,
    phases: planned,
  };
}

function plannedPhase(phase: Phase, from: number, to: number): PlannedPhase {
  const { refuse = 0, reset = 0, hang = 0, statuses = {}, retryAfter } = phase;
  const shares: readonly (readonly ["refuse" | "reset" | "hang" | number, number])[] = [
    ["refuse", refuse],
    ["reset", reset],
    ["hang", hang],
    ...Object.entries(statuses).map(([status, share]) => [Number(status), share] as const),
  ];
  let sum = 0;
  return {
    name: phase.name,
    from,
    to,
    load: phase.load ?? 1,
    spread: spreadOf(phase.latency ?? scenarioDefaults.latency),
    fates: shares.filter(([, share]) => share > 0).map(([fate, share]) => ({ fate, upTo: (sum += share / 100) })),
    retryAfterMs: retryAfter === undefined ? undefined : durationMs(retryAfter),
    capacity: phase.capacity ?? Number.POSITIVE_INFINITY,
    queue: phase.queue ?? Number.POSITIVE_INFINITY,
    heedsAborts: phase.heedsAborts ?? false,
  };
}

/** How many standard deviations the 99th percentile of a normal distribution lies above its mean. */
const Z99 = 2.326_347_874;

function spreadOf(latency: Latency): Spread {
  if (typeof latency === "string") return { kind: "fixed", ms: durationMs(latency) };
  if ("mean" in latency) return { kind: "exponential", mean: durationMs(latency.mean) };
  const [p50, p99] = [durationMs(latency.p50), durationMs(latency.p99)];
  return { kind: "lognormal", mu: Math.log(p50), sigma: Math.log(p99 / p50) / Z99 };
}
