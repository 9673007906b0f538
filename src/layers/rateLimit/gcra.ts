// GCRA, the token bucket as one number: the theoretical arrival time of the next call (ITU-T I.371; https://brandur.org/rate-limiting).
// Chosen over a counter that a timer refills: no timer, 8 bytes a key, exact to the microsecond, and the time to wait falls out of it.

export interface Gcra {
  /** When the next call is due if calls came evenly; in the past: there is credit. */
  due: number;
}

export interface GcraRule {
  /** Milliseconds between calls at the long-term rate. */
  readonly interval: number;
  /** How far `due` may run ahead of the clock: (burst - 1) intervals. */
  readonly tolerance: number;
}

export function gcraRule(rate: number, perMs: number, burst: number): GcraRule {
  const interval = perMs / rate;
  return { interval, tolerance: interval * (burst - 1) };
}

/** Sums of thirds are not exact, and a clock of 1e12 ms counts in tenths of microseconds: less than this is no time. */
const NO_TIME_MS = 0.001;

/** How long until a call may start, or one that counts for several; 0: now. */
export function gcraWait(cell: Gcra, rule: GcraRule, now: number, permits = 1): number {
  const wait = cell.due + (permits - 1) * rule.interval - rule.tolerance - now;
  return wait > NO_TIME_MS ? wait : 0;
}

/** Starts a call: one interval of credit is spent, or several. */
export function gcraSpend(cell: Gcra, rule: GcraRule, now: number, permits = 1): void {
  cell.due = Math.max(cell.due, now) + permits * rule.interval;
}

/** How many calls could start now. */
export function gcraCredit(cell: Gcra, rule: GcraRule, now: number): number {
  const credit = Math.floor((rule.tolerance + rule.interval - Math.max(0, cell.due - now)) / rule.interval);
  return Math.max(0, Math.min(Math.round(rule.tolerance / rule.interval) + 1, credit));
}
