// The load: calls that start when they are due, whatever became of those before them, in both lanes alike.
import { setTimeout as wait } from "node:timers/promises";
import type { Client } from "../../src/index.ts";
import type { Sample } from "./figures.ts";
import { PATIENCE_MS } from "./scenes.ts";

/** One call; it never rejects. */
export type Send = () => Promise<Pick<Sample, "ok" | "attempts">>;

/** When calls start, in milliseconds: at random, `rate` per second. */
export function arrivals(lengthMs: number, rate: (at: number) => number, dice: () => number): readonly number[] {
  const times: number[] = [];
  for (let at = 0; ;) {
    at -= (Math.log(1 - dice()) * 1_000) / rate(at);
    if (at >= lengthMs) return times;
    times.push(at);
  }
}

/** The two lanes of a scene. */
export interface Lanes {
  readonly lanes: readonly [bare: Send, premesh: Send];
  /** The same, to where a peer answers at once and does not count it. */
  readonly warmUp: readonly [bare: Send, premesh: Send];
  readonly close: () => void;
}

/** Where a peer answers at once, and does not count it. */
export const WARM_UP = "warm-up";

export function httpLanes(client: Client, policy: string, addresses: readonly string[], stop: AbortSignal): Lanes {
  const both = (path: string): readonly [bare: Send, premesh: Send] => {
    const [bare = "", premesh = ""] = addresses.map((address) => `http://${address}/${path}`);
    return [bareLane(bare, stop), policyLane(client, policy, premesh, stop)];
  };
  return { lanes: both(""), warmUp: both(WARM_UP), close: () => undefined };
}

/** Plain fetch with a plain timeout, so that it ends. */
function bareLane(url: string, stop: AbortSignal): Send {
  return async () => {
    try {
      const response = await fetch(url, { signal: AbortSignal.any([stop, AbortSignal.timeout(PATIENCE_MS)]) });
      await response.arrayBuffer();
      return { ok: response.ok, attempts: 1 };
    } catch {
      return { ok: false, attempts: 1 };
    }
  };
}

export function policyLane(client: Client, policy: string, url: string, stop: AbortSignal): Send {
  return async () => {
    let result: unknown;
    let ok = false;
    try {
      const response = await client.fetch(url, { signal: stop, premesh: { policy } });
      result = response;
      await response.arrayBuffer();
      ok = response.ok;
    } catch (error) {
      result ??= error;
    }
    return { ok, attempts: client.explain(result)?.attempts ?? 0 };
  };
}

/** Starts every call when it is due and waits for all of them; rejects when it is stopped. */
export async function drive(times: readonly number[], send: Send, began: number, samples: Sample[], stop: AbortSignal): Promise<void> {
  const underWay: Promise<void>[] = [];
  const one = async (): Promise<void> => {
    const at = performance.now() - began;
    const { ok, attempts } = await send();
    samples.push({ at, tookMs: performance.now() - began - at, ok, attempts });
  };
  for (const due of times) {
    const early = due - (performance.now() - began);
    if (early > 0) await wait(early, undefined, { signal: stop });
    underWay.push(one());
  }
  await Promise.all(underWay);
  stop.throwIfAborted();
}
