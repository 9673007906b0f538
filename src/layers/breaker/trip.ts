// What trips a breaker: so many failures in a row, or a rate of failed or slow calls over a window.
import { durationMs } from "../../policy/duration.ts";
import type { Trip } from "./definition.ts";
import { Window } from "./window.ts";

/** One trip: the rule, over a count that each target has of its own. */
export interface Tally<Count = unknown> {
  /** From how many milliseconds on a call is slow; `Infinity` where that does not matter. */
  readonly slowerThan: number;
  /** The share of failures among probes at which the breaker opens again. */
  readonly rate: number;
  newCount(): Count;
  add(count: Count, now: number, failed: boolean, tookMs: number): void;
  /** Numbers that say why it trips, or `undefined`. */
  tripped(count: Count, now: number): Readonly<Record<string, unknown>> | undefined;
  status(count: Count, now: number): Readonly<Record<string, unknown>>;
  clear(count: Count): void;
}

/** Half of the probes decide, where a trip names no rate of its own. */
const HALF = 0.5;

export function tallies(trip: Trip | readonly Trip[]): readonly Tally[] {
  return (Array.isArray(trip) ? trip : [trip]).map(tally); // Array.isArray does not narrow readonly arrays away, so `trip` is any list of Trip here
}

function tally(trip: Trip): Tally {
  return trip.consecutive === undefined ? windowTally(trip) : consecutiveTally(trip.consecutive);
}

function consecutiveTally(limit: number): Tally<{ inARow: number }> {
  return {
    slowerThan: Number.POSITIVE_INFINITY,
    rate: HALF,
    newCount: () => ({ inARow: 0 }),
    add: (count, _now, failed) => {
      count.inARow = failed ? count.inARow + 1 : 0;
    },
    tripped: ({ inARow }) => (inARow >= limit ? { consecutive: inARow } : undefined),
    status: ({ inARow }) => ({ consecutive: inARow, limit }),
    clear: (count) => {
      count.inARow = 0;
    },
  };
}

function windowTally(trip: Exclude<Trip, { consecutive: number }>): Tally<Window> {
  const slowerThan = trip.slowRate === undefined ? Number.POSITIVE_INFINITY : durationMs(trip.slowerThan);
  const limit = trip.slowRate ?? trip.failureRate;
  const word = trip.slowRate === undefined ? "failed" : "slow";
  const length = durationMs(trip.window);
  const shown = (calls: number, bad: number): Readonly<Record<string, unknown>> => ({ [word]: bad, calls, window: trip.window });
  return {
    slowerThan,
    rate: limit,
    newCount: () => new Window(length),
    add: (window, now, failed, tookMs) => window.add(now, trip.slowRate === undefined ? failed : tookMs > slowerThan),
    tripped: (window, now) => {
      const { calls, bad } = window.counts(now);
      return calls >= trip.minCalls && bad / calls >= limit ? shown(calls, bad) : undefined;
    },
    status: (window, now) => {
      const { calls, bad } = window.counts(now);
      return { ...shown(calls, bad), limit, minCalls: trip.minCalls };
    },
    clear: (window) => window.clear(),
  };
}
