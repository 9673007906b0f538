// Dice of a simulation: what chance does to an attempt hangs on the seed, the call and the attempt alone, so that two policies meet the same luck.
import type { Spread } from "./scenario.ts";

/** Uniform in [0, 1), by what is counted and not by what came before. */
export interface Dice {
  /** `which`: there are several for one attempt. */
  roll(call: number, attempt: number, which: number): number;
}

/** Three multiplications with odd constants and shifts between them (the finaliser of MurmurHash3) spread neighbouring counts well. */
export function newDice(seed: number): Dice {
  const base = mixed(Math.trunc(seed * 65_537) ^ 0x9e37_79b9);
  return {
    roll: (call, attempt, which) =>
      mixed(mixed(mixed(base ^ call) ^ Math.imul(attempt, 0x85eb_ca6b)) ^ Math.imul(which, 0xc2b2_ae35)) / 4_294_967_296,
  };
}

function mixed(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85eb_ca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2_ae35);
  h = Math.imul(h + 0x6d2b_79f5, 0x9e37_79b1);
  return (h ^ (h >>> 16)) >>> 0;
}

/** A time in milliseconds of that distribution, from two rolls. */
export function drawn(spread: Spread, first: number, second: number): number {
  if (spread.kind === "fixed") return spread.ms;
  if (spread.kind === "exponential") return -Math.log(1 - first) * spread.mean;
  const normal = Math.sqrt(-2 * Math.log(1 - first)) * Math.cos(2 * Math.PI * second); // Box and Muller
  return Math.exp(spread.mu + spread.sigma * normal);
}
