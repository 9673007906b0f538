// Round-robin: one after the other, those of more weight more often, by earliest deadline first, as Envoy does: an endpoint comes again 1/weight later
// (https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/load_balancers#weighted-round-robin). It is as smooth as
// nginx's weighted rotation, whose turn costs a look at every endpoint; and weights may change from turn to turn, as slow start wants.
import type { Balancer, Choice, Endpoint } from "../endpoint.ts";
import { newSchedule, type Schedule } from "./schedule.ts";
import type { Shares } from "./slow-start.ts";

export function roundRobinBalancer(random: () => number, shares: Shares): Balancer {
  let endpoints: readonly Endpoint[] = [];
  let schedule: Schedule = newSchedule(new Float64Array(0));
  /** When the last turn was due: the present, on the clock of deadlines. */
  let present = 0;

  const step = (endpoint: Endpoint, now: number): number => 1 / (endpoint.weight * shares.part(endpoint, now));

  function take(member: number, choice: Choice): Endpoint | undefined {
    const endpoint = endpoints[member];
    if (endpoint === undefined) return undefined;
    present = schedule.due(member);
    schedule.postpone(member, step(endpoint, choice.now));
    return endpoint;
  }

  return {
    update: (_members, usable) => {
      const dues = new Map<Endpoint, number>();
      for (const [member, endpoint] of endpoints.entries()) dues.set(endpoint, schedule.due(member));
      endpoints = usable;
      shares.update(usable);
      // who is new comes in at a random place: else all clients that learn of it at once would send it their next call
      const due = (endpoint: Endpoint): number =>
        Math.min(dues.get(endpoint) ?? Number.POSITIVE_INFINITY, present + (dues.has(endpoint) ? 1 : random()) / endpoint.weight);
      schedule = newSchedule(Float64Array.from(usable, due));
    },
    pick: (choice) => {
      const { tried } = choice;
      const first = schedule.first();
      const endpoint = endpoints[first];
      if (endpoint === undefined || tried?.has(endpoint) !== true) return take(first, choice);
      // a tried one keeps its turn for another call
      return take(
        schedule.firstOf((member) => !tried.has(endpoints[member] as Endpoint)), // the cast: the schedule has as many members
        choice,
      );
    },
  };
}
