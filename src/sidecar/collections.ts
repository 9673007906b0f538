// Collections: how often the process of a shim collects garbage. Memory is what it spares; where the collections take their share of its time, it takes more memory for them.
import { constants, type PerformanceEntry, PerformanceObserver } from "node:perf_hooks";
import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8";

const { NODE_PERFORMANCE_GC_MINOR: MINOR, NODE_PERFORMANCE_GC_MAJOR: MAJOR, NODE_PERFORMANCE_GC_INCREMENTAL: INCREMENTAL } = constants;

/** What V8 has collected in a second. */
export interface Collected {
  /** Collections of new objects. */
  minors: number;
  /** Milliseconds that those of all objects have stopped the process for. */
  majorMs: number;
}

/** What is asked of V8. */
export interface Asked {
  /** Whether the space of new objects may grow, once, to {@link MOST_NEW}. */
  readonly grow: boolean;
  /** By how much the rest may grow before all is collected. */
  readonly percent: number;
}

/** Bytes of the space of new objects; its two halves count. One call takes 10 kB, and what is under way when it is full is copied. */
export const MOST_NEW = 8 * 1024 * 1024;

const FRUGAL = 20;
const GENEROUS = 50;

/** So many collections of new objects a second are 25 MB a second, or 2,500 calls. */
const OFTEN = 25;
/** Five percent of the time, and one: between them nothing changes. */
const MUCH_MS = 50;
const LITTLE_MS = 10;

/** What to ask for after a second in which this was collected. */
export function asked({ minors, majorMs }: Collected, newBytes: number, before: number): Asked {
  return {
    grow: minors > OFTEN && newBytes < MOST_NEW,
    percent: majorMs > MUCH_MS ? GENEROUS : majorMs < LITTLE_MS ? FRUGAL : before,
  };
}

/** An entry of the type "gc", which the types do not know. */
interface Collection extends PerformanceEntry {
  readonly detail: { readonly kind: number };
}

/** Bytes that the space of new objects has. */
const newBytes = (): number => getHeapSpaceStatistics().find(({ space_name }) => space_name === "new_space")?.space_size ?? 0;

/** For the process of a shim alone, once it runs: what is asked of V8 is of the whole process. */
export function watchCollections(): void {
  const collected: Collected = { minors: 0, majorMs: 0 };
  let last: Asked = { grow: false, percent: FRUGAL };
  const ask = (next: Asked): void => {
    if (next.grow !== last.grow) setFlagsFromString(`--semi-space-growth-factor=${next.grow ? 4 : 1}`);
    if (next.percent !== last.percent) setFlagsFromString(`--heap-growing-percent=${next.percent}`);
    last = next;
  };
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const { duration } = entry;
      const { kind } = (entry as Collection).detail; // the cast: no other type is asked for
      if (kind === MINOR) collected.minors++;
      else if (kind === MAJOR || kind === INCREMENTAL) collected.majorMs += duration;
    }
    // more is given at once, and taken back when the second is over
    const { grow, percent } = asked(collected, newBytes(), last.percent);
    ask({ grow, percent: Math.max(percent, last.percent) });
  }).observe({ entryTypes: ["gc"] });
  setInterval(() => {
    ask(asked(collected, newBytes(), last.percent));
    collected.minors = collected.majorMs = 0;
  }, 1_000).unref();
}
