// Heirs: what is known of the endpoints of a route that is replaced by another, so that those that stay need not begin anew.
import { hasLeft } from "../../call/address.ts";
import type { Endpoint } from "./endpoint.ts";

/** An endpoint of the route before, and what transports keep for it. */
export interface Heir {
  readonly endpoint: Endpoint;
  readonly leaving: Endpoint["leaving"];
}

/** By the key of the endpoint. */
export type Heirs = Map<string, Heir>;

/** `unclaimed`: those that this route has been left and has not taken up itself. */
export function heirsOf(endpoints: readonly Endpoint[], unclaimed: Heirs): Heirs {
  const heirs: Heirs = new Map(unclaimed);
  unclaimed.clear();
  for (const endpoint of endpoints) {
    const known = heirs.get(endpoint.key);
    const leaving = known?.leaving === undefined ? endpoint.leaving : new Set([...known.leaving, ...(endpoint.leaving ?? [])]);
    endpoint.leaving = undefined;
    heirs.set(endpoint.key, { endpoint, leaving });
  }
  return heirs;
}

/** The endpoint goes on as another object: with what was learnt of it, and what transports keep for it. */
export function inherit(endpoint: Endpoint, { endpoint: before, leaving }: Heir): Endpoint {
  const { since, latencyMs, latencyAt, healthy } = before;
  return Object.assign(endpoint, { since, latencyMs, latencyAt, healthy, leaving });
}

/** Those that nobody has taken up have left; where attempts are under way, as soon as those are over. */
export function disinherit(heirs: Heirs): void {
  for (const { endpoint, leaving } of heirs.values()) {
    endpoint.leaving = leaving;
    if (endpoint.active === 0) hasLeft(endpoint);
  }
  heirs.clear();
}
