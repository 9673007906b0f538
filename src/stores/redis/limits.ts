// Limits over Redis: each a bucket, opened when it is first asked for and again when the connection has been away.
import { type SharedLimit, type SharedRule, type SharedStore, StoreAway, type Taken } from "../../call/shared.ts";
import { type Bucket, newBuckets, type OpenBucket, UNITS_PER_MS } from "./bucket.ts";
import type { Link } from "./link.ts";

export interface Limits {
  readonly limit: SharedStore["limit"];
  close(): void;
}

/** How many buckets are held open; one that was not used for longest is opened anew when it is asked for again. */
const MOST_OPEN = 1_024;

/** How many answers a bucket waits for until it is open, one after the other. */
const TO_OPEN = 3;

/** How long the count of processes holds. */
const COUNTED_FOR_MS = 1_000;

/** Redis counts in doubles. */
const LARGEST_BUCKET = Number.MAX_SAFE_INTEGER / 2;

interface Open {
  readonly bucket: Bucket;
  processes: number;
  countedAt: number;
}

export function newLimits(link: Link): Limits {
  const open = new Map<string, Promise<Open>>();
  let buckets: OpenBucket | undefined;

  function opened(id: string, size: number): Promise<Open> {
    const key = `${id} ${size}`;
    const found = open.get(key);
    open.delete(key);
    const opening =
      found ??
      link.use(async (redis): Promise<Open> => {
        buckets ??= newBuckets(redis);
        return { bucket: await buckets(id, size), processes: 1, countedAt: Number.NEGATIVE_INFINITY };
      }, TO_OPEN);
    open.set(key, opening); // the one used last stands last
    if (found === undefined) {
      opening.catch(() => {
        if (open.get(key) === opening) open.delete(key);
      });
      const [oldest] = open;
      if (open.size > MOST_OPEN && oldest !== undefined) {
        open.delete(oldest[0]);
        oldest[1].then(
          ({ bucket }) => bucket.forget(),
          () => undefined,
        );
      }
    }
    return opening;
  }

  function limit(id: string, { intervalMs, burst }: SharedRule): SharedLimit {
    const cost = (permits: number): number => Math.ceil(permits * intervalMs * UNITS_PER_MS);
    const size = Math.min(LARGEST_BUCKET, Math.max(cost(burst), 1));

    /** One round trip where there is enough, two where there is less. */
    async function take(least: number, most: number): Promise<Taken> {
      const it = await opened(id, size);
      const { bucket } = it;
      return link.use(async (redis) => {
        const counting = performance.now() - it.countedAt >= COUNTED_FOR_MS;
        const [taken, left, seen] = await Promise.all([
          bucket.take(cost(most)),
          bucket.left(), // in the same round trip: what is there where it was too much
          counting ? redis.zcard(bucket.seenKey) : undefined,
        ]);
        if (seen !== undefined) {
          it.processes = Math.max(1, seen);
          it.countedAt = performance.now();
        }
        const { processes } = it;
        if (taken) return { permits: most, waitMs: 0, processes };
        const there = Math.min(most, Math.floor(left / (intervalMs * UNITS_PER_MS)));
        if (there >= least && (await bucket.take(cost(there)))) return { permits: there, waitMs: 0, processes };
        return { permits: 0, waitMs: Math.max(0, cost(least) - left) / UNITS_PER_MS, processes };
      });
    }

    async function giveBack(permits: number): Promise<void> {
      const { bucket } = await opened(id, size);
      await link.use(async () => {
        const room = size - (await bucket.left()); // it may have filled up meanwhile
        const units = Math.min(Math.floor(permits * intervalMs * UNITS_PER_MS), room);
        if (units > 0) await bucket.giveBack(units);
      });
    }

    return {
      take: (least, most) =>
        take(least, most).catch((error: unknown) => {
          throw error instanceof StoreAway ? error : new StoreAway(error instanceof Error ? error.message : "no answer");
        }),
      giveBack: (permits) => void giveBack(permits).catch(() => undefined), // they come back by themselves as the bucket fills
    };
  }

  return {
    limit,
    close: () => {
      for (const opening of open.values())
        opening.then(
          ({ bucket }) => bucket.forget(),
          () => undefined,
        );
      open.clear();
    },
  };
}
