// Drain: the order in which a shim leaves: it says so, then connections are told to go and what is under way ends, and then it is gone.
import type { Timers } from "../call/clock.ts";
import type { Listener } from "../wire/wire.ts";

/** How it came to an end: all that was under way ended by itself, the time was over, or somebody would not wait. */
export type Drained = "clean" | "late" | "cut";

export interface Drain {
  /** Begins, once. Resolves when no connection is left. */
  readonly begin: () => Promise<Drained>;
  /** Breaks what is still under way. Harmless before and after the end. */
  readonly cut: () => void;
  readonly draining: () => boolean;
}

export interface DrainOptions {
  readonly listeners: () => readonly Listener[];
  /** How long it only says that it will leave, so that whoever balances has seen it. */
  readonly delayMs: number;
  /** How long what is under way may take from then on. */
  readonly timeMs: number;
  readonly timers: Timers;
  readonly begun: () => void;
  /** The time is over, and this many exchanges are broken. */
  readonly late: (exchanges: number) => void;
}

export function newDrain({ listeners, delayMs, timeMs, timers, begun, late }: DrainOptions): Drain {
  let ending: Promise<Drained> | undefined;
  let cutting = false;
  /** Ends what is being waited for. */
  let stop: ((how: Drained) => void) | undefined;

  /** Resolves after so many milliseconds, or when the waiting is ended. */
  const until = async (ms: number, work: Promise<unknown> | undefined): Promise<Drained> => {
    if (cutting) return "cut";
    let timer: unknown;
    const stopped = new Promise<Drained>((resolve) => {
      stop = resolve;
      timer = timers.setTimer(() => resolve("late"), ms);
    });
    try {
      return await Promise.race(work === undefined ? [stopped] : [stopped, work.then((): Drained => "clean")]);
    } finally {
      timers.clearTimer(timer);
    }
  };

  async function leave(): Promise<Drained> {
    begun();
    if (delayMs > 0) await until(delayMs, undefined);
    const ones = listeners();
    const gone = Promise.all(ones.map((listener) => listener.drain()));
    const how = await until(timeMs, gone);
    if (how === "clean") return how;
    if (how === "late") late(ones.reduce((sum, listener) => sum + listener.count().exchanges, 0));
    for (const listener of ones) listener.destroy();
    await gone;
    return how;
  }

  return {
    begin: () => (ending ??= leave()),
    cut: () => {
      cutting = true;
      stop?.("cut");
    },
    draining: () => ending !== undefined,
  };
}
