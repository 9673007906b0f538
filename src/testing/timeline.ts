// Timeline: timers on a clock that stands still until it is told to go on; what virtual time is made of.
//
// A binary heap by time, and by age where two fall together, so that every run is the same. A timer that is taken back stays in the heap until its time
// comes or too many like it are there: most timers are taken back, and to find them would cost more.
import type { Clock } from "../call/clock.ts";

interface Timer {
  readonly at: number;
  readonly age: number;
  /** `undefined`: it was taken back, or has fallen due. */
  due: (() => void) | undefined;
}

export interface Timeline extends Clock {
  /** When the next timer falls due; `undefined`: there is none. */
  next(): number | undefined;
  /** Goes on to the next timer and runs it; there must be one. */
  step(): void;
  /** Goes on to that time, if it lies ahead; no timer falls due. */
  goTo(time: number): void;
  /** How many timers wait. */
  pending(): number;
}

export function newTimeline(): Timeline {
  const heap: Timer[] = [];
  let now = 0;
  let ages = 0;
  let gone = 0;

  function dropGone(): void {
    while (heap[0] !== undefined && heap[0].due === undefined) {
      takeFirst(heap);
      gone--;
    }
  }

  return {
    now: () => now,
    setTimer: (due, ms) => {
      const wait = ms > 0 ? ms : 0; // NaN too, as setTimeout has it
      if (wait === Number.POSITIVE_INFINITY) throw new RangeError("a timer needs a number of milliseconds; got Infinity");
      const timer: Timer = { at: now + wait, age: ages++, due };
      insert(heap, timer);
      return timer;
    },
    clearTimer: (timer) => {
      const given = timer as Timer | undefined; // the cast: it is what setTimer gave
      if (given?.due === undefined) return;
      given.due = undefined;
      gone++;
      if (gone < 1_000 || gone < heap.length / 2) return;
      const waiting = heap.filter(({ due }) => due !== undefined).toSorted((a, b) => (before(a, b) ? -1 : 1)); // what is sorted is a heap
      heap.splice(0, heap.length, ...waiting);
      gone = 0;
    },
    next: () => {
      dropGone();
      return heap[0]?.at;
    },
    step: () => {
      dropGone();
      const timer = takeFirst(heap);
      const due = timer?.due;
      if (timer === undefined || due === undefined) return;
      now = Math.max(now, timer.at);
      timer.due = undefined;
      due();
    },
    goTo: (time) => {
      now = Math.max(now, time);
    },
    pending: () => heap.length - gone,
  };
}

const before = (a: Timer, b: Timer): boolean => a.at < b.at || (a.at === b.at && a.age < b.age);

function insert(heap: Timer[], timer: Timer): void {
  let at = heap.length;
  heap.push(timer);
  while (at > 0) {
    const above = (at - 1) >> 1;
    const parent = heap[above];
    if (parent === undefined || before(parent, timer)) break;
    heap[at] = parent;
    at = above;
  }
  heap[at] = timer;
}

function takeFirst(heap: Timer[]): Timer | undefined {
  const [first] = heap;
  const last = heap.pop();
  if (first === undefined || last === undefined || heap.length === 0) return first;
  let at = 0;
  for (;;) {
    let below = 2 * at + 1;
    let child = heap[below];
    const other = heap[below + 1];
    if (child === undefined) break;
    if (other !== undefined && before(other, child)) {
      child = other;
      below++;
    }
    if (before(last, child)) break;
    heap[at] = child;
    at = below;
  }
  heap[at] = last;
  return first;
}
