// Env: what a layer may ask of the world, so that time, chance and telemetry can be replaced.
import type { Call, Report } from "./call.ts";

export interface Env {
  /** Milliseconds on a clock that does not jump. */
  readonly now: () => number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Tells what a layer decided; `call` is absent where no call was behind it. */
  readonly report: (call: Call | undefined, decision: Report) => void;
}

const RealDate = Date;
let mocked = false;
let offset = 0;
let last = 0;

/**
 * The clock that is used when none is given: monotonic, so that a step of the wall clock neither opens nor closes anything. While a test has
 * replaced `Date` (node:test, vitest, sinon), it follows that instead, without a jump.
 */
export function monotonicNow(): number {
  const mocking = Date !== RealDate;
  if (!mocking && !mocked) return performance.now() + offset;
  const raw = mocking ? Date.now() : performance.now();
  if (mocking !== mocked) {
    offset = (mocking ? performance.now() + offset : last) - raw;
    mocked = mocking;
  }
  if (raw + offset < last) offset = last - raw; // a fake clock that was set back
  return (last = Math.max(last, raw + offset)); // max: the sum is rounded, and may lie a hair below
}

/** A small seeded generator (mulberry32), good for jitter and dice, not for secrets. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
