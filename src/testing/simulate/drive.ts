// Drives a timeline at full speed: all that follows from one timer happens before the next, without a turn of the event loop between them.
//
// Node runs all microtasks before the next tick, however many come of them, so a tick that is asked for from a microtask finds none left. That takes
// 0.2 us where a turn of the loop takes 2. Nothing in a simulation waits for anything but microtasks and the timeline.
import type { Timeline } from "../timeline.ts";

/** After so many timers the event loop gets its turn, so that signals and other work of the process are not held up. */
const BREATH = 5_000;

/** Those of the runtime, also while a test has put others in their place. */
const realImmediate = setImmediate;
const realMicrotask = queueMicrotask;
const realTick = process.nextTick.bind(process);

/** Resolves when it is over, or when no timer waits any more; rejects with what a timer throws, or with the reason of the signal. */
export function drive(timeline: Timeline, over: () => boolean, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    let steps = 0;
    const tick = (): void => realTick(step);
    function step(): void {
      try {
        if (over() || timeline.next() === undefined) return resolve();
        timeline.step();
        if (++steps % BREATH !== 0) return realMicrotask(tick);
        signal?.throwIfAborted();
        realImmediate(step);
      } catch (error) {
        reject(error as Error); // oxlint-disable-line typescript/no-unnecessary-type-assertion -- whatever was thrown
      }
    }
    realMicrotask(tick);
  });
}
