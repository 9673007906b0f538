// virtualClock: a clock for tests, which stands still until the test lets time pass.
import type { Clock } from "../call/clock.ts";
import { newTimeline } from "./timeline.ts";

export interface VirtualClock extends Clock {
  /**
   * Lets so many milliseconds pass. Timers fall due one by one, in the order of their time and then of their age, and all that follows from one
   * without waiting happens before the next.
   */
  advance(ms: number): Promise<void>;
  /** Lets time pass until no timer waits. */
  runAll(): Promise<void>;
  /** How many timers wait. */
  pending(): number;
}

export interface VirtualClockOptions {
  /** How many timers may fall due at one moment, or in one `runAll`, before it is taken for a loop without an end. Default 100,000. */
  readonly limit?: number;
}

/** Those of the runtime, also while a test has put others in their place. */
const realImmediate = setImmediate;

/** Turns of the event loop in which promises settle that wait for nothing else; streams take more than one. */
const TURNS = 4;

async function settled(): Promise<void> {
  for (let turn = 0; turn < TURNS; turn++) await new Promise<void>((resolve) => void realImmediate(resolve));
}

/**
 * A clock that begins at 0 and goes only when it is told to. Give it to `createClient` and to {@link scriptedUpstream}.
 *
 * Errors: `advance` and `runAll` reject with what a timer throws, and when timers never come to an end.
 *
 * @example
 * ```ts
 * const clock = virtualClock();
 * const patient = createClient({ policies: [payments], clock });
 * const response = patient.fetch("http://payments.internal/charges/1");
 * await clock.advance(2_000);
 * ```
 */
export function virtualClock({ limit = 100_000 }: VirtualClockOptions = {}): VirtualClock {
  const timeline = newTimeline();
  let last: Promise<void> = Promise.resolve();

  /** One after the other, also where somebody did not await the first. */
  function inTurn(work: () => Promise<void>): Promise<void> {
    return (last = last.then(work, work));
  }

  async function pass(until: number): Promise<void> {
    await settled();
    let fallen = 0;
    for (let at = timeline.next(); at !== undefined && at <= until; at = timeline.next()) {
      if (at > timeline.now() && until !== Number.POSITIVE_INFINITY) fallen = 0;
      if (fallen++ >= limit) {
        throw new Error(
          until === Number.POSITIVE_INFINITY
            ? `virtualClock: ${limit} timers fell due and ${timeline.pending()} wait: something sets a new one each time; use advance(ms)`
            : `virtualClock: ${limit} timers fell due at ${timeline.now()} ms: something sets a new one of 0 ms each time`,
        );
      }
      timeline.step();
      await settled();
    }
    if (until !== Number.POSITIVE_INFINITY) timeline.goTo(until);
  }

  return {
    now: timeline.now,
    setTimer: timeline.setTimer,
    clearTimer: timeline.clearTimer,
    advance: (ms) => {
      if (!Number.isFinite(ms) || ms < 0)
        return Promise.reject(new RangeError(`virtualClock: advance needs a number of milliseconds, 0 or more; got ${ms}`));
      return inTurn(() => pass(timeline.now() + ms));
    },
    runAll: () => inTurn(() => pass(Number.POSITIVE_INFINITY)),
    pending: () => timeline.pending(),
  };
}
