// Random: any endpoint, by weight. Two clients that start together never march in step, and it needs no state; but it looks at no load, so of many
// calls some endpoint always gets more than it should (https://www.eecs.harvard.edu/~michaelm/postscripts/handbook2001.pdf). Least-request is the
// better choice for nearly everyone; this one is here for calls that cost nothing to spread, and as what consistent balancers fall back to.
import type { Balancer } from "../endpoint.ts";
import { newSampler } from "./sampler.ts";
import type { Shares } from "./slow-start.ts";

export function randomBalancer(random: () => number, shares: Shares): Balancer {
  const sampler = newSampler(random, shares);
  return { update: (_members, usable) => sampler.update(usable), pick: (choice) => sampler.first(choice) };
}
