// Deadlines: one coarse timer for all connections of a listener or a pool.
//
// A connection sets a number when it begins to wait for something, several times a request; a Node timer each would cost 0.3 us and an object. They are looked
// over every quarter of a second, so that a deadline falls due up to that much late, and never early.

/** Time for the wire. */
export interface WireClock {
  /** Milliseconds, never backwards. */
  readonly now: () => number;
  readonly setTimer: (due: () => void, ms: number) => unknown;
  readonly clearTimer: (timer: unknown) => void;
}

const systemClock: WireClock = {
  now: () => performance.now(),
  setTimer: (due, ms) => setTimeout(due, ms).unref(),
  clearTimer: (timer) => clearTimeout(timer as NodeJS.Timeout), // the cast: it is what setTimer gave
};

/** Something that waits. */
export interface Waiting {
  /** When it is over, in the time of {@link Deadlines.after}; Infinity: it does not wait. */
  dueAt: number;
  late(): void;
}

export interface Deadlines {
  /** The moment so many milliseconds from now. */
  after(ms: number): number;
  add(waiting: Waiting): void;
  remove(waiting: Waiting): void;
}

const TICK_MS = 250;

export function newDeadlines(clock: WireClock = systemClock): Deadlines {
  const all = new Set<Waiting>();
  let timer: unknown;
  let now = clock.now();

  function tick(): void {
    now = clock.now();
    timer = undefined;
    for (const waiting of all) {
      if (waiting.dueAt > now) continue;
      waiting.dueAt = Infinity;
      waiting.late();
    }
    if (all.size > 0 && timer === undefined) timer = clock.setTimer(tick, TICK_MS);
  }

  return {
    after: (ms) => now + ms + TICK_MS, // what is known of `now` may be a tick old
    add: (waiting) => {
      all.add(waiting);
      if (timer !== undefined) return;
      now = clock.now();
      timer = clock.setTimer(tick, TICK_MS);
    },
    remove: (waiting) => {
      all.delete(waiting);
      if (all.size > 0 || timer === undefined) return;
      clock.clearTimer(timer);
      timer = undefined;
    },
  };
}
