// Level: the endpoints of one priority, and of one distance within it; they stand in for each other.
import type { Balancer, Endpoint } from "./endpoint.ts";
import { LOCALITY_RANKS } from "./locality.ts";
import type { LevelHealth, LevelLoad } from "./priority.ts";

export interface Level extends LevelHealth, LevelLoad {
  /** Priority and distance in one number: the order of levels. */
  readonly order: number;
  readonly balancer: Balancer;
  /** Another list whenever members or weights change, and only then: consistent balancers make their tables by it. */
  readonly members: readonly Endpoint[];
  available: number;
  /** When the first breaker of a member lets calls through again. */
  reopensAt: number;
  /** Who is available may have changed since the balancer was told. */
  stale: boolean;
  setMembers(members: readonly Endpoint[]): void;
  /** The weight of a member is still that of when they were set. */
  hasWeightOf(endpoint: Endpoint): boolean;
}

export function newLevel(order: number, balancer: Balancer): Level {
  let weights = new Map<Endpoint, number>();
  let members: readonly Endpoint[] = [];
  const level: Level = {
    order,
    balancer,
    get members() {
      return members;
    },
    get endpoints() {
      return members.length;
    },
    available: 0,
    load: 0,
    panic: false,
    reopensAt: Number.POSITIVE_INFINITY,
    stale: true,
    setMembers: (now) => {
      level.stale = true;
      if (now.length === members.length && now.every((endpoint) => weights.get(endpoint) === endpoint.weight)) return;
      members = now;
      weights = new Map(now.map((endpoint) => [endpoint, endpoint.weight]));
    },
    hasWeightOf: (endpoint) => weights.get(endpoint) === endpoint.weight,
  };
  return level;
}

/** In service: not taken out by a health check, by outlier detection or by a breaker. */
export const isAvailable = ({ healthy, ejected, shutUntil }: Endpoint, now: number): boolean => healthy && !ejected && now >= shutUntil;

export function recount(level: Level, now: number): void {
  level.stale = true;
  level.available = 0;
  level.reopensAt = Number.POSITIVE_INFINITY;
  for (const endpoint of level.members) {
    if (isAvailable(endpoint, now)) level.available++;
    else if (endpoint.shutUntil > now && endpoint.shutUntil < level.reopensAt) level.reopensAt = endpoint.shutUntil;
  }
}

/** In a panic calls go to all endpoints, but not to where a breaker would refuse them, while there is another. */
export function tellBalancer(level: Level, now: number): void {
  const { members, panic } = level;
  let usable: readonly Endpoint[] = members.filter((endpoint) => (panic ? now >= endpoint.shutUntil : isAvailable(endpoint, now)));
  if (panic && usable.length === 0) usable = members;
  for (const endpoint of members) endpoint.usable = false;
  for (const endpoint of usable) endpoint.usable = true;
  level.balancer.update(members, usable);
  level.stale = false;
}

export const placeOf = ({ order }: Level): { readonly priority: number; readonly distance: number } => ({
  priority: Math.floor(order / LOCALITY_RANKS),
  distance: order % LOCALITY_RANKS,
});
