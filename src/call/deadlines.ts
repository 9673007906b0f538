// Deadlines: the timers of one timeout layer. All its calls wait equally long, so they fall due in the order in which they came: a linked list, and
// one Node timer for the first of it.
//
// A Node timer for each call would be right too, and takes 0.4 us and 250 to 360 bytes a call. Under fake timers, or on a clock of the user's, each
// call has one, since what the list goes by does not follow them.
import { monotonicNow, systemTimers, type Timers } from "./clock.ts";

/** One call that waits. The fields are the list's. */
export interface Expiry {
  /** On {@link monotonicNow}; 0: not in the list. */
  dueAt: number;
  before: Expiry | undefined;
  behind: Expiry | undefined;
  timer: unknown;
  /** The time is over. */
  expired(): void;
}

export interface Deadlines {
  /** Calls `expired` when the time is over; keeps the process alive until then. `now`: what {@link monotonicNow} says, where it has just been asked. */
  add(expiry: Expiry, now?: number): void;
  /** Harmless when it has expired. */
  remove(expiry: Expiry): void;
}

const realSetTimeout = setTimeout;

export function newDeadlines(afterMs: number, timers: Timers = systemTimers): Deadlines {
  let first: Expiry | undefined;
  let last: Expiry | undefined;
  /** Armed for the first of the list or for an earlier one. While the list is empty it may still run, but keeps no process alive. */
  let timer: NodeJS.Timeout | undefined;
  let armedFor = 0;

  function arm(expiry: Expiry, inMs: number): void {
    armedFor = expiry.dueAt;
    timer = realSetTimeout(due, inMs);
  }

  function leave(expiry: Expiry): void {
    const { before, behind } = expiry;
    if (before === undefined) first = behind;
    else before.behind = behind;
    if (behind === undefined) last = before;
    else behind.before = before;
    // one that has been promoted to the old generation would keep all that came behind it, calls and all, until that is collected
    expiry.before = expiry.behind = undefined;
    expiry.dueAt = 0;
  }

  function due(): void {
    timer = undefined;
    const now = Math.max(monotonicNow(), armedFor); // a timer may be early, or a fake one that was in force before we were loaded
    while (first !== undefined && first.dueAt <= now) {
      const expiry = first;
      leave(expiry);
      expiry.expired();
    }
    if (first !== undefined && timer === undefined) arm(first, Math.max(1, first.dueAt - now));
  }

  return {
    add: (expiry, now = monotonicNow()) => {
      if (setTimeout !== realSetTimeout || timers !== systemTimers) {
        expiry.timer = timers.setTimer(() => expiry.expired(), afterMs);
        return;
      }
      expiry.dueAt = now + afterMs;
      expiry.before = last;
      if (last === undefined) {
        first = expiry;
        if (timer === undefined) arm(expiry, afterMs);
        else timer.ref();
      } else last.behind = expiry;
      last = expiry;
    },
    remove: (expiry) => {
      if (expiry.timer !== undefined) timers.clearTimer(expiry.timer);
      if (expiry.dueAt === 0) return;
      leave(expiry);
      if (first === undefined) timer?.unref();
    },
  };
}
