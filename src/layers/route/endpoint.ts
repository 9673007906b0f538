// Endpoint: one address that attempts can go to; and the contracts of those who pick among endpoints and judge them.
import type { Call } from "../../call/call.ts";
import type { Outcome } from "../../call/outcome.ts";

/**
 * One address, with what is known of it. It belongs to one {@link Pool}, and lives as long as its key stays in there: whoever resolves endpoints anew
 * keeps the objects of those that stay. Whoever changes a field that says so tells the pool by `changed`.
 */
export interface Endpoint {
  /** Its origin, `http://10.0.0.1:8080`; unique in a pool. Consistent balancers hash it. */
  readonly key: string;
  /** The same, parsed. */
  readonly url: URL;
  /** Its share, relative to the others; 0 takes no new calls. Tell the pool. */
  weight: number;
  /** 0 comes first; the others are for when the first are not well. */
  readonly priority: number;
  /** Where it is: `region/zone/subzone`, or the beginning of that. */
  readonly locality: string | undefined;
  /** When it joined, or was found healthy again by a health check, on the clock of `Env.now`: slow start counts from here. */
  since: number;
  /** Attempts under way. The route layer adds one when it has picked, and takes it back at the end of the response. */
  active: number;
  /** What peak-EWMA knows: a moving average of the time to the head, in milliseconds, and when it was brought up to date. */
  latencyMs: number;
  latencyAt: number;
  /** What active health checks say; true where there are none. Tell the pool. */
  healthy: boolean;
  /** Taken out by outlier detection; kept by that. */
  ejected: boolean;
  /** Until when a breaker behind route refuses calls to it, on the clock of `Env.now`; 0: it does not. Tell the pool. */
  shutUntil: number;
  /** May be picked now: what the fields above come to, in a panic too. Kept by the pool. */
  usable: boolean;
  /** What is to be done when it has left and has no attempt under way: transports keep connections for it. */
  leaving: Set<() => void> | undefined;
}

/** What is known of an endpoint from the start. */
export type NewEndpoint = Pick<Endpoint, "url"> & Partial<Pick<Endpoint, "weight" | "priority" | "locality">>;

export function newEndpoint({ url, weight = 1, priority = 0, locality }: NewEndpoint, now: number): Endpoint {
  return {
    key: url.origin,
    url,
    weight,
    priority,
    locality,
    since: now,
    active: 0,
    latencyMs: 0,
    latencyAt: now,
    healthy: true,
    ejected: false,
    shutUntil: 0,
    usable: false,
    leaving: undefined,
  };
}

/** What one pick goes by. */
export interface Choice {
  /** On the clock of `Env.now`. */
  readonly now: number;
  /** 32 bits (`hash32` of balance/hash.ts) by which consistent balancers choose; without it they choose at random, as the others always do. */
  readonly hash?: number | undefined;
  /** Endpoints that the call has used already; they are avoided while another is there. */
  readonly tried?: ReadonlySet<Endpoint> | undefined;
}

/** Who picks among the endpoints of one priority level. */
export interface Balancer {
  /** Something has changed: members, weights, or who is usable. Structures are made here, not in `pick`. `usable`: the members that may be picked. */
  update(members: readonly Endpoint[], usable: readonly Endpoint[]): void;
  /** A usable endpoint that was not tried; `undefined`: there is none. */
  pick(choice: Choice): Endpoint | undefined;
  /** An attempt has its head, or has failed. Absent: it does not learn from that. */
  settled?(endpoint: Endpoint, failed: boolean, tookMs: number, now: number): void;
}

/** Outlier detection of one pool. What it decides it writes into `Endpoint.ejected`, and tells by the callbacks that it was made with. */
export interface Outliers {
  /** The endpoints have changed; those that are gone are forgotten. */
  update(endpoints: readonly Endpoint[]): void;
  /** An attempt has its head, or has failed. */
  settled(endpoint: Endpoint, outcome: Outcome<unknown>, now: number, call: Call | undefined): void;
  /** Does what has fallen due: returns endpoints, and judges those that stay by their rates. Cheap when nothing is. */
  sweep(now: number): void;
  /** When the next sweep is due. Nobody needs a timer for it: picks sweep first. */
  readonly nextSweepAt: number;
  /** An active health check of it has passed, which returns it at once, as Envoy does. */
  passed(endpoint: Endpoint, now: number): void;
  status(endpoint: Endpoint, now: number): Readonly<Record<string, unknown>>;
}

/** The endpoints of one target, picked by priority, health and balance. It has no timers: what time changes is found when somebody picks. */
export interface Pool {
  readonly endpoints: readonly Endpoint[];
  /** All endpoints anew. Those that are gone get no new calls; their `active` is still counted down by whoever counted it up. */
  update(endpoints: readonly Endpoint[], now: number): void;
  /** A field of the endpoint has changed that says "tell the pool". */
  changed(endpoint: Endpoint): void;
  /** Who takes the next attempt; `undefined`: nobody can. */
  pick(choice: Choice): Endpoint | undefined;
  /** An attempt has its head, or has failed, after so many milliseconds. */
  settled(endpoint: Endpoint, outcome: Outcome<unknown>, tookMs: number, now: number, call?: Call): void;
  /** An active health check of it has passed, whether or not `healthy` was true before. */
  passed(endpoint: Endpoint, now: number): void;
  status(now: number): Readonly<Record<string, unknown>>;
}
