// Endpoints for tests of routing: made in a line, with the seeded chance and the level that they stand in.
import { seededRandom } from "../../../src/call/env.ts";
import { newBalancer } from "../../../src/layers/route/balance/balancer.ts";
import type { Balance, SlowStartOptions } from "../../../src/layers/route/balance/definition.ts";
import { type Balancer, type Endpoint, newEndpoint, type NewEndpoint } from "../../../src/layers/route/endpoint.ts";

/** `http://10.0.0.0:8080`, `http://10.0.0.1:8080`, and so on. */
export const urlOf = (nth: number): URL => new URL(`http://10.${nth >> 16}.${(nth >> 8) & 255}.${nth & 255}:8080`);

export function endpointsOf(count: number, more: (nth: number) => Omit<NewEndpoint, "url"> = () => ({}), now = 0): Endpoint[] {
  return Array.from({ length: count }, (_, nth) => newEndpoint({ url: urlOf(nth), ...more(nth) }, now));
}

/** A balancer that has been told that all of these are usable. */
export function balancerOf(
  balance: Balance,
  endpoints: readonly Endpoint[],
  { seed = 1, slowStart }: { readonly seed?: number; readonly slowStart?: SlowStartOptions } = {},
): Balancer {
  const balancer = newBalancer(balance, seededRandom(seed), slowStart);
  allUsable(balancer, endpoints);
  return balancer;
}

export function allUsable(balancer: Balancer, endpoints: readonly Endpoint[]): void {
  for (const endpoint of endpoints) endpoint.usable = true;
  balancer.update(endpoints, endpoints);
}

/** How often each of them was picked. */
export function picked(endpoints: readonly Endpoint[], picks: number, pick: (nth: number) => Endpoint | undefined): number[] {
  const counts = new Map(endpoints.map((endpoint) => [endpoint, 0]));
  for (let nth = 0; nth < picks; nth++) {
    const endpoint = pick(nth);
    if (endpoint !== undefined) counts.set(endpoint, (counts.get(endpoint) ?? 0) + 1);
  }
  return endpoints.map((endpoint) => counts.get(endpoint) ?? 0);
}

/** Every balance there is, with a hash key where it takes one. */
export const balances: readonly Balance[] = [
  "round-robin",
  "least-request",
  "peak-ewma",
  "random",
  { ringHash: { header: "x-user" } },
  { maglev: { header: "x-user" } },
];

export const nameOf = (balance: Balance): string => (typeof balance === "string" ? balance : (Object.keys(balance)[0] ?? ""));
