// Latencies: a percentile of how long recent calls took, from a histogram whose buckets grow by a fixed ratio and whose counts fade.
//
// Why this one: a call adds one increment and an array of 740 bytes per target is all there is. P2 keeps five markers, is smaller, and never forgets,
// so it does not follow a peer that has become slower; a t-digest is more exact at the far end than anybody needs who sets a timer by it, and costs 30
// times as much a call. Buckets of a fixed ratio are what HdrHistogram and DDSketch rest on (Masson, Rim, Lee, "DDSketch", VLDB 2019): here 2^(1/8), so a
// percentile is at most 9 % too high. Counts are halved every so many calls: the sketch is of the last calls, however few come in an hour.

/** Buckets in each doubling. */
const FINENESS = 8;

/** The upper end of the first bucket, in milliseconds. */
const LEAST_MS = 0.125;

/** From 0.125 ms to 17 minutes. */
const BUCKETS = 23 * FINENESS + 1;

/** How many calls must lie beyond the percentile before it means anything: 100 calls for p95, 500 for p99. */
const BEYOND = 5;

/** But so many calls at least. */
const LEAST_CALLS = 20;

/** Counts are halved when so many times the least are there. */
const FADING = 8;

/** 100 * (1 - 0.9) is a hair below 10. */
const ROUNDING = 1e-6;

export interface Latencies {
  /** A call took so long. */
  add(ms: number): void;
  /** The percentile in milliseconds; `undefined` until enough calls were seen. */
  value(): number | undefined;
  /** How many calls it rests on. */
  calls(): number;
}

export function newLatencies(quantile: number): Latencies {
  /** Absent before the first call: there may be many targets. */
  let counts: Float32Array | undefined;
  let total = 0;
  const enough = enoughCalls(quantile);

  /** Fractions stay: whole numbers would lose the far end, where a bucket holds one. */
  function fade(from: Float32Array): void {
    for (let bucket = 0; bucket < BUCKETS; bucket++) from[bucket] = (from[bucket] ?? 0) / 2;
    total /= 2;
  }

  return {
    add: (ms) => {
      counts ??= new Float32Array(BUCKETS);
      const bucket = bucketOf(ms);
      counts[bucket] = (counts[bucket] ?? 0) + 1;
      total++;
      if (total >= FADING * enough) fade(counts);
    },
    value: () => {
      if (counts === undefined || total < enough) return undefined;
      let beyond = total * (1 - quantile) + ROUNDING;
      let bucket = BUCKETS - 1;
      // from above, since little lies there
      for (; bucket > 0; bucket--) if ((beyond -= counts[bucket] ?? 0) < 0) break;
      return LEAST_MS * 2 ** (bucket / FINENESS);
    },
    calls: () => Math.round(total),
  };
}

/** How many calls a percentile needs. */
export function enoughCalls(quantile: number): number {
  return Math.max(LEAST_CALLS, Math.round(BEYOND / (1 - quantile)));
}

/** The bucket whose upper end is the next above. */
const bucketOf = (ms: number): number => (ms > LEAST_MS ? Math.min(Math.ceil(Math.log2(ms / LEAST_MS) * FINENESS), BUCKETS - 1) : 0);
