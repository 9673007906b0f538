// Part: the endpoints of a rule that share a weight, from one entry of the route or several; in one pool.
import { hasLeft } from "../../call/address.ts";
import type { RouteTarget } from "./definition.ts";
import type { Found } from "./discovery/found.ts";
import { type Endpoint, newEndpoint, type Pool } from "./endpoint.ts";
import type { HealthChecks } from "./health/checks.ts";
import { type Heirs, inherit } from "./heirs.ts";

/** Endpoints that share a weight. */
export interface Part {
  readonly weight: number;
  readonly pool: Pool;
  readonly members: ReadonlyMap<string, Endpoint>;
  /** What health checks know, by endpoint; absent where there are none. */
  checks(): Readonly<Record<string, unknown>> | undefined;
  /** An attempt goes to an endpoint. */
  entered(endpoint: Endpoint): void;
  /** An attempt has left an endpoint. */
  left(endpoint: Endpoint): void;
}

/** One entry at work. */
export interface Entry {
  readonly target: RouteTarget;
  /** Equal text, equal source. */
  readonly text: string;
  found: readonly Found[] | undefined;
  error: unknown;
}

export interface RunningPart extends Part {
  readonly from: readonly Entry[];
  /** Those that have left, and have attempts under way. */
  readonly draining: ReadonlySet<Endpoint>;
  /** Some of its entries have found something else. */
  refresh(): void;
  /** All have left. */
  close(): void;
}

/** What a part is made with. */
export interface PartWorld {
  readonly heirs: Heirs;
  readonly now: () => number;
  /** An endpoint has come, left, or has been drained. */
  readonly moved: () => void;
  /** Health checks for the endpoints of a pool; made with its first endpoints. */
  readonly newHealthChecks: (pool: Pool) => HealthChecks | undefined;
}

export function newPart(from: readonly Entry[], pool: Pool, { heirs, now, moved, newHealthChecks }: PartWorld): RunningPart {
  let health: HealthChecks | undefined;
  let members: ReadonlyMap<string, Endpoint> = new Map();
  const draining = new Set<Endpoint>();

  function replace(next: ReadonlyMap<string, Endpoint>): void {
    for (const [key, endpoint] of members) {
      if (next.get(key) === endpoint) continue;
      if (endpoint.active > 0) draining.add(endpoint);
      else hasLeft(endpoint);
    }
    members = next;
    moved();
  }

  return {
    weight: from[0]?.target.weight ?? 1,
    pool,
    from,
    draining,
    get members() {
      return members;
    },
    refresh: () => {
      const next = new Map<string, Endpoint>();
      for (const { target, found = [] } of from)
        for (const one of found) if (!next.has(one.key)) next.set(one.key, endpointOf(one, target, members.get(one.key), heirs, now()));
      const endpoints = [...next.values()];
      replace(next);
      health ??= newHealthChecks(pool);
      if (health === undefined) for (const endpoint of endpoints) endpoint.healthy = true; // the route before may have had them asked
      pool.update(endpoints, now());
      health?.update(endpoints);
    },
    checks: () => {
      const asked = health;
      return asked === undefined ? undefined : Object.fromEntries([...members].map(([key, endpoint]) => [key, asked.status(endpoint)]));
    },
    entered: (endpoint) => {
      endpoint.active++;
      health?.used();
    },
    left: (endpoint) => {
      endpoint.active--;
      if (endpoint.active > 0 || !draining.delete(endpoint)) return;
      hasLeft(endpoint);
      moved();
    },
    close: () => {
      health?.close();
      replace(new Map());
    },
  };
}

/** The endpoint as it is, where what cannot change of it has not; else another that knows what this one has learnt, or one of the route before. */
function endpointOf(
  { key, url, weight, priority, locality, zone }: Found,
  target: RouteTarget,
  old: Endpoint | undefined,
  heirs: Heirs,
  now: number,
): Endpoint {
  const place = locality ?? (zone === undefined ? target.locality : inRegion(zone, target.locality));
  const level = Math.min(127, (target.priority ?? 0) + priority);
  if (old !== undefined && old.priority === level && old.locality === place) {
    old.weight = weight;
    return old;
  }
  const fresh = newEndpoint({ url, weight, priority: level, ...(place === undefined ? {} : { locality: place }) }, now);
  if (old !== undefined) {
    const { leaving } = old;
    old.leaving = undefined;
    return inherit(fresh, { endpoint: old, leaving });
  }
  const heir = heirs.get(key);
  if (heir === undefined) return fresh;
  heirs.delete(key);
  return inherit(fresh, heir);
}

const inRegion = (zone: string, locality: string | undefined): string =>
  locality === undefined ? zone : `${locality.split("/")[0]}/${zone}`;
