// Env: what a layer may ask of the world, so that time, chance and telemetry can be replaced.
import type { Call, Report } from "./call.ts";
import type { Timers } from "./clock.ts";
import type { Sidecars } from "./crossing.ts";
import type { Outcome } from "./outcome.ts";
import type { SharedStore } from "./shared.ts";

export interface Env {
  /** Milliseconds on a clock that does not jump. */
  readonly now: () => number;
  readonly timers: Timers;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Tells what a layer decided; `call` is absent where no call was behind it. */
  readonly report: (call: Call | undefined, decision: Report) => void;
  /** Who hears of attempts; absent: nobody ever will. */
  readonly attempts?: AttemptWatch;
  /** Where calls can go over a seam; absent: nowhere, so that everything runs here. */
  readonly sidecars?: Sidecars;
  /** What processes share; absent: this process shares with none. */
  readonly shared?: SharedStore;
}

/** Where a layer stands that reports. */
export interface Place {
  readonly policy: string;
  readonly index: number;
}

/** The world of a whole client: what layers report comes with their place. */
export interface ClientEnv extends Omit<Env, "report"> {
  readonly report: (call: Call | undefined, decision: Report, place: Place) => void;
}

export interface AttemptWatch {
  /** Whether anybody listens now. */
  watched(): boolean;
  /** One attempt has its outcome. `nth`: which send of the call it was, from 1. */
  attempted(call: Call, outcome: Outcome<unknown>, nth: number, tookMs: number): void;
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
