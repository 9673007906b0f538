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

/** One rolling window. A class, since there is one for every target. */
export class Window {
  readonly #turn = new EventEmitter();
  readonly #status: Status;
  /** Milliseconds of one bucket. */
  readonly #slice: number;
  #turned = Number.POSITIVE_INFINITY;

  constructor(lengthMs: number) {
    // the cast: see Status
    this.#status = CircuitBreaker.newStatus({
      rollingCountTimeout: lengthMs,
      rollingCountBuckets: BUCKETS,
      rollingPercentilesEnabled: false,
      enableSnapshots: false,
      rotateBucketController: this.#turn,
    }) as unknown as Status;
    this.#slice = lengthMs / BUCKETS;
  }

  /** Counts a call; `bad`: it failed, or was slow, whatever this window is about. */
  add(now: number, bad: boolean): void {
    this.#catchUp(now);
    this.#status.increment("fires");
    if (bad) this.#status.increment("rejects");
  }

  counts(now: number): { readonly calls: number; readonly bad: number } {
    this.#catchUp(now);
    let calls = 0;
    let bad = 0;
    for (const bucket of this.#status.window) {
      calls += bucket.fires;
      bad += bucket.rejects;
    }
    return { calls, bad };
  }

  clear(): void {
    for (let n = 0; n < BUCKETS; n++) this.#turn.emit("rotate");
  }

  #catchUp(now: number): void {
    if (now < this.#turned) this.#turned = now; // the first look, or a clock that was set back
    const slices = Math.floor((now - this.#turned) / this.#slice);
    if (slices === 0) return;
    for (let n = Math.min(slices, BUCKETS); n > 0; n--) this.#turn.emit("rotate");
    this.#turned += slices * this.#slice;
  }
}
