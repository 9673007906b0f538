// Least-request: of two endpoints drawn at random the one with fewer attempts under way, for its weight: the power of two choices
// (https://www.eecs.harvard.edu/~michaelm/postscripts/handbook2001.pdf). A full scan for the least loaded costs more, and makes all clients rush to
// the same idle endpoint. Envoy leaves P2C for a weighted rotation when weights differ (active_request_bias is of that); here endpoints are drawn by
// weight and compared by attempts for their weight, so that a slow endpoint is avoided with weights too.
import type { Balancer, Endpoint } from "../endpoint.ts";
import { newSampler } from "./sampler.ts";
import type { Shares } from "./slow-start.ts";

export interface LeastRequestRule {
  /** How many endpoints are compared. */
  readonly choiceCount: number;
}

export function leastRequestBalancer(random: () => number, shares: Shares, { choiceCount }: LeastRequestRule): Balancer {
  const sampler = newSampler(random, shares);
  const load = (endpoint: Endpoint, now: number): number => endpoint.active / (endpoint.weight * shares.part(endpoint, now));
  return {
    update: (_members, usable) => sampler.update(usable),
    pick: (choice) => {
      const first = sampler.first(choice);
      if (first === undefined) return undefined;
      let best = first;
      for (let count = 1; count < choiceCount; count++) {
        const other = sampler.second(choice, first);
        if (other !== undefined && load(other, choice.now) < load(best, choice.now)) best = other;
      }
      return best;
    },
  };
}
