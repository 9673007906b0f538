// Line: a bounded line of calls that wait for their turn, first come, first served; an abort or a timeout leaves it at once.
import type { Timers } from "./clock.ts";
import type { Signal } from "./signal.ts";

/** How waiting ended. */
export type Turn = "granted" | "dismissed" | "timeout" | "aborted";

interface Waiter {
  readonly weight: number;
  readonly settle: (turn: Turn) => void;
  before: Waiter | undefined;
  behind: Waiter | undefined;
}

export interface Line {
  /** How many wait. */
  length(): number;
  /** What all who wait weigh together. */
  weight(): number;
  /** What the first who waits weighs; 0: nobody waits. */
  first(): number;
  /** Waits for a turn; the caller has seen that there is room. */
  wait(timeoutMs: number, signal: Signal | undefined, weight?: number): Promise<Turn>;
  /** Gives the first who waits its turn; false: nobody waits. */
  grant(): boolean;
  /** Sends all away who wait. */
  dismiss(): void;
}

/** A linked list, so that whoever leaves from the middle leaves nothing behind. */
export function newLine(timers: Timers, onEmpty?: () => void): Line {
  let first: Waiter | undefined;
  let last: Waiter | undefined;
  let length = 0;
  let total = 0;
  const join = (waiter: Waiter): void => {
    waiter.before = last;
    if (last === undefined) first = waiter;
    else last.behind = waiter;
    last = waiter;
    length++;
    total += waiter.weight;
  };
  const leave = ({ before, behind, weight }: Waiter): void => {
    if (before === undefined) first = behind;
    else before.behind = behind;
    if (behind === undefined) last = before;
    else behind.before = before;
    length--;
    total -= weight;
    if (length === 0) onEmpty?.();
  };
  return {
    length: () => length,
    weight: () => total,
    first: () => first?.weight ?? 0,
    wait: (timeoutMs, signal, weight = 1) => {
      if (signal?.aborted === true) return Promise.resolve("aborted");
      return new Promise((resolve) => {
        const waiter: Waiter = {
          weight,
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
    dismiss: () => {
      while (first !== undefined) first.settle("dismissed");
    },
  };
}
