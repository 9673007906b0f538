// Adaptive: a limit that finds itself, by the latency of what succeeds.
//
// The rule is that of Envoy's adaptive_concurrency filter
// (https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/adaptive_concurrency_filter): once a window,
//     gradient = (latency without a queue + buffer) / latency now, within 0.5 and 2;   limit = gradient * limit + sqrt(limit).
// Both latencies are the same percentile, so it holds for peers whose calls differ among themselves, where a bare minimum would not. Weighed against it:
// Netflix's Gradient2 compares with a long average, which rises in a long overload and lets the limit follow; Vegas counts a queue from the minimum, which
// one lucky call sets for long.
//
// Latency without a queue must be measured anew at times, or it would be taken from calls that queue behind the headroom. Envoy lets 3 calls through
// meanwhile and refuses the rest. A caller has no other host to go to, so here the limit is halved for those calls and then halved again, for as long as
// that makes calls faster by a tenth. Calls that come while less than half of the limit is in use measure for free: a peer that is not busy all the time
// is never throttled for it.
//
// A window lasts at least as long as a call takes, so that the limit is set by calls that have felt the last one; Envoy's swings where calls are longer.
import { durationMs } from "../../policy/duration.ts";
import { type AdaptiveOptions, adaptiveDefaults } from "./definition.ts";

/** A window with fewer calls goes on: so few say nothing. */
const LEAST_SAMPLES = 10;

/** More than so many samples of a window do not make it better. */
const MOST_SAMPLES = 1_000;

/** Windows in a row at the floor, after which the latency without a queue is taken to have changed (Envoy's number). */
const WINDOWS_AT_FLOOR = 5;

/** Calls that are faster by so much with half the limit are measured with half of that again. */
const BETTER = 0.9;

const STEEPEST = { down: 0.5, up: 2 } as const;

/** The limit of one target. */
export interface Adaptive {
  /** How many calls may be under way now. */
  limit(): number;
  /** A call is let through, `active` with it; gives what {@link Adaptive.came} is told of it: 0, or under which measurement it tells how long calls take without a queue. */
  began(active: number): number;
  /** A call has succeeded after so long, or was given up (then `quietly` is 0). Gives the limit where it was set anew, as it is when nothing is measured. */
  came(ms: number, quietly: number, now: number): number | undefined;
  status(): Readonly<Record<string, unknown>>;
}

export function newAdaptive(ceiling: number, options: AdaptiveOptions, random: () => number): Adaptive {
  const { initial, percentile, buffer, minRtt: asked } = { ...adaptiveDefaults, ...options };
  const floor = Math.min(options.min ?? adaptiveDefaults.min, ceiling);
  const windowMs = durationMs(options.window ?? adaptiveDefaults.window);
  const { requests, jitter } = { ...adaptiveDefaults.minRtt, ...asked };
  const intervalMs = durationMs(asked?.interval ?? adaptiveDefaults.minRtt.interval);

  let limit = Math.max(floor, Math.min(initial, ceiling));
  let minRtt: number | undefined;
  let gradient: number | undefined;
  let rtt: number | undefined;
  let samples: number[] = [];
  /** Of calls that began when there could be no queue. */
  let quiet: number[] = [];
  let peak = 0;
  let windowEnds = Number.NEGATIVE_INFINITY;
  let measureAt = Number.POSITIVE_INFINITY;
  /** How often the limit is halved to measure; 0: nothing is measured. */
  let depth = 0;
  /** Grows with each measurement: what began under an earlier one may have queued. */
  let measurement = 1;
  /** What the last measurement of this round has found. */
  let foundBefore = Number.POSITIVE_INFINITY;
  let atFloor = 0;

  const quietLimit = (): number => Math.max(floor, Math.floor(limit / 2 ** Math.max(depth, 1)));

  function measure(to: number): void {
    depth = to;
    quiet = [];
    measurement++;
  }

  /** The latency without a queue is known anew. */
  function measured(now: number): void {
    const found = percentileOf(quiet, percentile);
    const goesOn = depth > 0 && found < BETTER * foundBefore && quietLimit() > floor;
    minRtt = Math.min(found, foundBefore);
    atFloor = 0;
    foundBefore = goesOn ? found : Number.POSITIVE_INFINITY;
    measure(goesOn ? depth + 1 : 0);
    measureAt = now + intervalMs * (1 + (jitter / 100) * random());
  }

  function adjust(now: number): void {
    rtt = percentileOf(samples, percentile);
    if (minRtt === undefined) measureAt = now; // for now it is the best that is known
    minRtt ??= rtt;
    gradient = Math.min(Math.max(((1 + buffer / 100) * minRtt) / rtt, STEEPEST.down), STEEPEST.up);
    const next = gradient * limit + Math.sqrt(limit);
    const unused = depth > 0 || peak < limit / 2;
    if (next < limit || !unused) limit = Math.min(Math.max(next, floor), ceiling);
    atFloor = limit === floor ? atFloor + 1 : 0;
    if (depth === 0 && (now >= measureAt || atFloor >= WINDOWS_AT_FLOOR)) measure(1);
    samples = [];
    peak = 0;
    windowEnds = now + Math.max(windowMs, rtt);
  }

  return {
    limit: () => (depth > 0 ? quietLimit() : Math.floor(limit)),
    began: (active) => {
      peak = Math.max(peak, active);
      return active <= quietLimit() ? measurement : 0;
    },
    came: (ms, quietly, now) => {
      if (windowEnds === Number.NEGATIVE_INFINITY) windowEnds = now + windowMs;
      if (samples.length < MOST_SAMPLES) samples.push(ms);
      if (quietly === measurement && quiet.push(ms) >= requests) measured(now);
      if (now < windowEnds || samples.length < LEAST_SAMPLES) return undefined;
      adjust(now);
      return Math.floor(limit);
    },
    status: () => ({ ceiling, measuring: depth > 0, minRttMs: minRtt ?? null, rttMs: rtt ?? null, gradient: gradient ?? null }),
  };
}

function percentileOf(values: readonly number[], percentile: number): number {
  const index = Math.min(Math.floor((values.length * percentile) / 100), values.length - 1);
  return Math.max(values.toSorted((a, b) => a - b)[index] ?? 0, Number.MIN_VALUE); // a latency of 0 divides nothing
}
