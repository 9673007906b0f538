// A store in memory, for layers that share: its time is the test's, it answers when it is told to, and it can go away.
import { memoryStore as memoryAnswers } from "../../src/layers/idempotency/memory.ts";
import { type SharedLimit, type SharedStore, StoreAway, type Taken } from "../../src/call/shared.ts";

export interface MemoryStore extends SharedStore {
  /** Every question to a limit: its id, how much was asked for, how much was given. */
  readonly takes: { readonly id: string; readonly least: number; readonly most: number; readonly permits: number }[];
  readonly returned: number[];
  readonly told: { readonly id: string; readonly hint: string }[];
  /** Answers wait from now on, until `release`. */
  hold(): void;
  release(): void;
  away: boolean;
  /** What every limit says of the number of processes. */
  seen: number;
  /** Somebody else takes so many permits of every limit. */
  drain(permits: number): void;
}

/** Token buckets, as the real one keeps them. */
export function memoryStore(now: () => number = () => Date.now()): MemoryStore {
  const buckets = new Map<string, { level: number; at: number; size: number }>();
  const listeners = new Map<string, Set<(hint: string) => void>>();
  let held: (() => void)[] | undefined;
  const store: MemoryStore = {
    address: "memory",
    processes: 1,
    takes: [],
    returned: [],
    told: [],
    away: false,
    seen: 1,
    hold: () => {
      held ??= [];
    },
    release: () => {
      const all = held ?? [];
      held = undefined;
      for (const one of all) one();
    },
    drain: (permits) => {
      for (const bucket of buckets.values()) bucket.level -= permits;
    },
    limit: (id, { intervalMs, burst }): SharedLimit => {
      const fill = (): { level: number; at: number; size: number } => {
        const bucket = buckets.get(id) ?? { level: burst, at: now(), size: burst };
        buckets.set(id, bucket);
        bucket.level = Math.min(Math.max(bucket.level, burst), bucket.level + (now() - bucket.at) / intervalMs);
        bucket.at = now();
        return bucket;
      };
      const answer = (least: number, most: number): Taken => {
        if (store.away) throw new StoreAway("the store is away");
        const bucket = fill();
        const there = Math.floor(bucket.level + 1e-9);
        const permits = there < least ? 0 : Math.min(there, most);
        bucket.level -= permits;
        store.takes.push({ id, least, most, permits });
        return { permits, waitMs: permits > 0 ? 0 : (least - bucket.level) * intervalMs, processes: store.seen };
      };
      return {
        take: (least, most) =>
          new Promise((resolve, reject) => {
            const settle = (): void => {
              try {
                resolve(answer(least, most));
              } catch (error) {
                reject(error); // oxlint-disable-line typescript/prefer-promise-reject-errors -- only errors are thrown above
              }
            };
            if (held === undefined) settle();
            else held.push(settle);
          }),
        giveBack: (permits) => {
          store.returned.push(permits);
          fill().level += permits;
        },
      };
    },
    answers: memoryAnswers(now, { records: 1_000, bytes: 1_000_000 }, () => undefined),
    hints: {
      tell: (id, hint) => {
        store.told.push({ id, hint });
        for (const heard of listeners.get(id) ?? []) heard(hint);
      },
      hear: (id, heard) => {
        const hearing = listeners.get(id) ?? new Set();
        listeners.set(id, hearing.add(heard));
        return () => void hearing.delete(heard);
      },
    },
    close: () => Promise.resolve(),
  };
  return store;
}
