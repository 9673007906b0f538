// What outlier detection knows of one endpoint.
import type { Endpoint } from "../endpoint.ts";
import type { Count } from "./rates.ts";

interface Tally {
  total: number;
  good: number;
}

/** Attempts that are counted now, and those of the last whole interval. */
export interface Rate {
  now: Tally;
  last: Count;
}

export interface Monitor {
  readonly endpoint: Endpoint;
  /** Failures in a row. */
  failures: number;
  gatewayFailures: number;
  localFailures: number;
  /** All attempts; in split mode those that were answered. */
  readonly answers: Rate;
  /** In split mode: whether attempts were answered at all. */
  readonly ways: Rate;
  /** How many times `baseEjectionTime` the next ejection lasts, less one: grows with ejections, shrinks with intervals in good health. */
  multiplier: number;
  ejectedAt: number;
  /** How long it is out, jitter and all. */
  ejectedForMs: number;
  returnedAt: number;
}

const none: Count = { total: 0, good: 0 };
const newRate = (): Rate => ({ now: { total: 0, good: 0 }, last: none });

export const newMonitor = (endpoint: Endpoint): Monitor => ({
  endpoint,
  failures: 0,
  gatewayFailures: 0,
  localFailures: 0,
  answers: newRate(),
  ways: newRate(),
  multiplier: 0,
  ejectedAt: 0,
  ejectedForMs: 0,
  returnedAt: Number.NEGATIVE_INFINITY,
});

export function countIn({ now }: Rate, good: boolean): void {
  now.total++;
  if (good) now.good++;
}

/** An interval is over. */
export function turn(rate: Rate): void {
  rate.last = rate.now.total === 0 ? none : rate.now;
  if (rate.now.total > 0) rate.now = { total: 0, good: 0 };
}
