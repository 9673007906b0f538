// Line: a bounded line of calls that wait for their turn, first come, first served; an abort or a timeout leaves it at once.
import type { Timers } from "./clock.ts";
import type { Signal } from "./signal.ts";

/** How waiting ended. */
export type Turn = "granted" | "timeout" | "aborted";

interface Waiter {
  readonly settle: (turn: Turn) => void;
  before: Waiter | undefined;
  behind: Waiter | undefined;
}

export interface Line {
  /** How many wait. */
  length(): number;
  /** Waits for a turn; the caller has seen that there is room. */
  wait(timeoutMs: number, signal: Signal | undefined): Promise<Turn>;
  /** Gives the first who waits its turn; false: nobody waits. */
  grant(): boolean;
}

/** A linked list, so that whoever leaves from the middle leaves nothing behind. */
export function newLine(timers: Timers, onEmpty?: () => void): Line {
  let first: Waiter | undefined;
  let last: Waiter | undefined;
  let length = 0;
  const join = (waiter: Waiter): void => {
    waiter.before = last;
    if (last === undefined) first = waiter;
    else last.behind = waiter;
    last = waiter;
    length++;
  };
  const leave = ({ before, behind }: Waiter): void => {
    if (before === undefined) first = behind;
    else before.behind = behind;
    if (behind === undefined) last = before;
    else behind.before = before;
    length--;
    if (length === 0) onEmpty?.();
  };
  return {
    length: () => length,
    wait: (timeoutMs, signal) => {
      if (signal?.aborted === true) return Promise.resolve("aborted");
      return new Promise((resolve) => {
        const waiter: Waiter = {
          before: undefined,
          behind: undefined,
          settle: (turn) => {
            timers.clearTimer(timer);
            signal?.removeEventListener("abort", abort);
            leave(waiter);
            resolve(turn);
          },
        };
        const abort = (): void => waiter.settle("aborted");
        const timer = timers.setTimer(() => waiter.settle("timeout"), timeoutMs);
        signal?.addEventListener("abort", abort, { once: true });
        join(waiter);
      });
    },
    grant: () => {
      if (first === undefined) return false;
      first.settle("granted");
      return true;
    },
  };
}
