// What a client shows of the endpoints of a route.
import type { Client } from "../../src/index.ts";

/** The state of the route of one target, as it shows it. */
export function routeOf(client: Client, target: string): Readonly<Record<string, unknown>> {
  const layers = Object.values(client.status().policies).flatMap(({ targets }) => targets[target] ?? []);
  return layers.find(({ kind }) => kind === "route")?.state ?? {};
}

/** The origins of all endpoints of a target, in order. */
export function endpointsOf(client: Client, target: string): readonly string[] {
  const { targets = [] } = routeOf(client, target) as { targets?: readonly { endpoints: readonly { endpoint: string }[] }[] }; // the cast: the route's own shape
  return targets.flatMap(({ endpoints }) => endpoints.map(({ endpoint }) => endpoint)).toSorted((a, b) => (a < b ? -1 : 1));
}
