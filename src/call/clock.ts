// Clock: what time it is, and timers; the runtime's, or in tests one of their own.

/** Time for layers. */
export interface Clock {
  /** Milliseconds, never backwards. Where it begins does not matter. */
  readonly now: () => number;
  /** Calls `due` once, after so many milliseconds, and gives what {@link Clock.clearTimer} takes. */
  readonly setTimer: (due: () => void, ms: number) => unknown;
  /** Takes a timer back. Harmless when it has fallen due. */
  readonly clearTimer: (timer: unknown) => void;
}

export type Timers = Pick<Clock, "setTimer" | "clearTimer">;

/** The runtime's timers, looked up when they are used, so that fake ones count (node:test, vitest, sinon). */
export const systemTimers: Timers = {
  setTimer: (due, ms) => setTimeout(due, ms),
  clearTimer: (timer) => clearTimeout(timer as NodeJS.Timeout | undefined), // the cast: it is what setTimer gave
};

/** A timer that keeps no process alive. */
export function setIdleTimer({ setTimer }: Timers, due: () => void, ms: number): unknown {
  const timer = setTimer(due, ms);
  if (typeof timer === "object" && timer !== null && "unref" in timer && typeof timer.unref === "function") timer.unref();
  return timer;
}

const RealDate = Date;
let mocked = false;
let offset = 0;
let last = 0;

/**
 * The clock that is used when none is given: monotonic, so that a step of the wall clock neither opens nor closes anything. While a test has
 * replaced `Date` (node:test, vitest, sinon), it follows that instead, without a jump.
 */
export function monotonicNow(): number {
  const mocking = Date !== RealDate;
  if (!mocking && !mocked) return performance.now() + offset;
  const raw = mocking ? Date.now() : performance.now();
  if (mocking !== mocked) {
    offset = (mocking ? performance.now() + offset : last) - raw;
    mocked = mocking;
  }
  if (raw + offset < last) offset = last - raw; // a fake clock that was set back
  return (last = Math.max(last, raw + offset)); // max: the sum is rounded, and may lie a hair below
}
