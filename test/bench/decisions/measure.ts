// What the measurements of docs/decisions share: a clock for many calls, a call to pass through one layer, and a table of what came out.
import { type Call, newCall, type Next } from "../../../src/call/call.ts";
import { monotonicNow, systemTimers } from "../../../src/call/clock.ts";
import { type Env, seededRandom } from "../../../src/call/env.ts";
import type { Scope } from "../../../src/call/build.ts";
import { newRecord } from "../../../src/call/record.ts";
import { compose } from "../../../src/call/step.ts";

export const env: Env = { now: monotonicNow, timers: systemTimers, random: seededRandom(1), report: () => undefined };

export const scope = (label: string): Scope => ({
  label,
  index: 0,
  insideRetry: false,
  inbound: false,
  rest: () => compose([], (call) => call.send(call)),
  repeatsBehind: () => false,
});

const answered = Promise.resolve({ ok: true, response: undefined } as const);

/** What stands behind the layer that is measured: a peer that answers at once. The cast: a layer is generic in the response, and nobody looks at it. */
export const healthy = (() => answered) as unknown as Next<unknown>;

/** A call with nothing special about it. */
export function plainCall(signal?: AbortSignal): Call {
  return newCall({
    record: newRecord({ policy: { name: "bench", layers: [] }, revision: "" }, "http", "bench", "GET", 0),
    metadata: { get: () => undefined },
    signal: signal,
    idempotent: true,
    idempotencyKey: undefined,
    payload: { replayable: true },
    send: () => answered,
  });
}

/** Median over rounds of the microseconds that one call of `once` takes, one after the other; the first rounds warm up. */
export async function microseconds(once: () => unknown, calls = 20_000, rounds = 7): Promise<number> {
  const times: number[] = [];
  for (let round = -2; round < rounds; round++) {
    const began = performance.now();
    for (let n = 0; n < calls; n++) await once();
    if (round >= 0) times.push(((performance.now() - began) * 1_000) / calls);
  }
  return median(times);
}

export function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

export const settledWithin = async (promise: Promise<unknown>, ms: number): Promise<boolean> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => (timer = setTimeout(resolve, ms, false)));
  const done = promise.then(
    () => true,
    () => true,
  );
  return Promise.race([done, late]).finally(() => clearTimeout(timer));
};

export const after = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** One line: what was measured, and what came out. */
export function show(what: string, result: string | number | boolean, unit = ""): void {
  const shown = typeof result === "number" ? String(Math.round(result * 100) / 100) : String(result);
  console.log(`${what.padEnd(68)} ${shown}${unit === "" ? "" : ` ${unit}`}`);
}
