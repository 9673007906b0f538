// Waiting that an abort ends at once: for backoff, queues and injected delays.
import type { Timers } from "./clock.ts";
import type { Signal } from "./signal.ts";

/** Resolves after `ms`, or at once when `signal` is aborted; true means that the time has passed. Leaves neither timer nor listener behind. */
export function waited(timers: Timers, ms: number, signal: Signal | undefined): Promise<boolean> {
  if (signal?.aborted === true) return Promise.resolve(false);
  if (ms <= 0) return Promise.resolve(true); // a timer would take a millisecond and a turn of the loop
  return new Promise((resolve) => {
    const abort = (): void => {
      timers.clearTimer(timer);
      resolve(false);
    };
    const timer = timers.setTimer(() => {
      signal?.removeEventListener("abort", abort);
      resolve(true);
    }, ms);
    signal?.addEventListener("abort", abort, { once: true });
  });
}

/** Resolves with true when `promise` has, or with false at once when `signal` is aborted. The promise does not reject. */
export function settledOr(promise: Promise<unknown>, signal: Signal | undefined): Promise<boolean> {
  if (signal?.aborted === true) return Promise.resolve(false);
  return new Promise((resolve) => {
    const abort = (): void => resolve(false);
    signal?.addEventListener("abort", abort, { once: true });
    void promise.then(() => {
      signal?.removeEventListener("abort", abort);
      resolve(true);
    });
  });
}
