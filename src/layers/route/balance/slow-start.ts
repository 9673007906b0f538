// Slow start: a new endpoint takes its full share only after a while
// (https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/slow_start).
import type { Endpoint } from "../endpoint.ts";

export interface SlowStart {
  readonly windowMs: number;
  /** 1: the share grows evenly; above: faster at first; below: slower at first. */
  readonly aggression: number;
  readonly minWeightPercent: number;
}

/** Envoy counts a new endpoint as a second old at least. */
const YOUNGEST_MS = 1_000;

/** No endpoint is so new that its turn never comes. */
const LEAST = 0.001;

/** Which part of its weight an endpoint of this age has: from `minWeightPercent` up to 1. */
export function startFactor({ windowMs, aggression, minWeightPercent }: SlowStart, ageMs: number): number {
  if (ageMs >= windowMs) return 1;
  const time = Math.max(ageMs, YOUNGEST_MS) / windowMs;
  return Math.min(1, Math.max(LEAST, minWeightPercent / 100, aggression === 1 ? time : time ** (1 / aggression)));
}

/** The weights of some endpoints, with slow start where there is one. */
export interface Shares {
  update(endpoints: readonly Endpoint[]): void;
  /** The part of its weight that an endpoint has now, relative to the oldest one: where all are equally new, all have 1. */
  part(endpoint: Endpoint, now: number): number;
}

const whole: Shares = { update: () => undefined, part: () => 1 };

export function newShares(slowStart: SlowStart | undefined): Shares {
  if (slowStart === undefined) return whole;
  let oldest = 0;
  let youngest = 0;
  return {
    update: (endpoints) => {
      oldest = Number.POSITIVE_INFINITY;
      youngest = Number.NEGATIVE_INFINITY;
      for (const { since } of endpoints) {
        if (since < oldest) oldest = since;
        if (since > youngest) youngest = since;
      }
    },
    part: ({ since }, now) =>
      now - youngest >= slowStart.windowMs ? 1 : startFactor(slowStart, now - since) / startFactor(slowStart, now - oldest),
  };
}
