// Backoff: the longest wait before each retry, from cockatiel's exponential schedule; the wait itself is random below it.
//
// Full jitter, as Envoy's: measured best against synchronised retries (AWS Architecture Blog, "Exponential Backoff And Jitter"). cockatiel's own
// jittered generators draw from Math.random and cannot be seeded, so its unjittered one gives the ceilings and the client's generator the dice.
import { createRequire } from "node:module";
import { durationMs } from "../../policy/duration.ts";
import { retryDefaults, type RetryDefinition } from "./definition.ts";

/** 40 files and 9 ms of the 55 that `import "premesh"` took: it comes with the first retry layer. */
const cockatiel = (): typeof import("cockatiel") => createRequire(import.meta.url)("cockatiel") as typeof import("cockatiel"); // the cast: require is untyped

/** Ceilings of the waits before the 1st, 2nd, ... retry, in milliseconds; the last holds for all further ones. */
export function backoffCeilings(definition: RetryDefinition): readonly number[] {
  const base = durationMs(definition.backoff?.base ?? retryDefaults.backoffBase);
  const max = definition.backoff?.max === undefined ? base * retryDefaults.backoffFactor : durationMs(definition.backoff.max);
  const ceilings: number[] = [];
  const { ExponentialBackoff, noJitterGenerator } = cockatiel();
  let step = new ExponentialBackoff({ generator: noJitterGenerator, initialDelay: base, maxDelay: max }).next();
  for (let retry = 1; retry <= (definition.attempts ?? retryDefaults.attempts) && retry <= 32; retry++) {
    ceilings.push(step.duration); // cockatiel's first step is `base` already
    step = step.next(undefined);
  }
  return ceilings;
}

/** The wait before the `retry`-th retry (from 1 on), uniform in [0, ceiling). */
export function backoffMs(ceilings: readonly number[], retry: number, random: () => number): number {
  return random() * (ceilings[Math.min(retry, ceilings.length) - 1] ?? 0);
}
