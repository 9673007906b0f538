// The rolling windows of a breaker, on opossum's status buckets.
//
// opossum's window is kept, its circuit is not: see docs/decisions/0004-breaker-state-machine.md. Its buckets are turned here by the clock when
// somebody looks, not by an interval, so an idle breaker costs no CPU; percentiles and snapshots are off; and the latency list that opossum
// appends to even then is never fed.
import { EventEmitter } from "node:events";
import CircuitBreaker from "opossum";

const BUCKETS = 10;

/** What opossum's Status has and its types (8.1.9) do not say. */
interface Bucket {
  fires: number;
  rejects: number;
}
interface Status {
  readonly window: readonly Bucket[];
  increment(counter: keyof Bucket): void;
}

export interface Window {
  /** Counts a call; `bad`: it failed, or was slow, whatever this window is about. */
  add(now: number, bad: boolean): void;
  counts(now: number): { readonly calls: number; readonly bad: number };
  clear(): void;
}

export function newWindow(lengthMs: number): Window {
  const turn = new EventEmitter();
  // the cast: see Status
  const status = CircuitBreaker.newStatus({
    rollingCountTimeout: lengthMs,
    rollingCountBuckets: BUCKETS,
    rollingPercentilesEnabled: false,
    enableSnapshots: false,
    rotateBucketController: turn,
  }) as unknown as Status;
  const slice = lengthMs / BUCKETS;
  let turned: number | undefined;

  function catchUp(now: number): void {
    if (turned === undefined || now < turned) turned = now;
    const slices = Math.floor((now - turned) / slice);
    if (slices === 0) return;
    for (let n = Math.min(slices, BUCKETS); n > 0; n--) turn.emit("rotate");
    turned += slices * slice;
  }

  return {
    add: (now, bad) => {
      catchUp(now);
      status.increment("fires");
      if (bad) status.increment("rejects");
    },
    counts: (now) => {
      catchUp(now);
      let calls = 0;
      let bad = 0;
      for (const bucket of status.window) {
        calls += bucket.fires;
        bad += bucket.rejects;
      }
      return { calls, bad };
    },
    clear: () => {
      for (let n = 0; n < BUCKETS; n++) turn.emit("rotate");
    },
  };
}
