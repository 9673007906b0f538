// Drawing endpoints at random by their weights, for random, least-request and peak-EWMA: Vose's alias method
// (https://www.keithschwarz.com/darts-dice-coins/). A table of prefix sums is simpler, but a draw from it takes a search; this one takes one random
// number and two look-ups, however many endpoints there are. Slow start needs no table of its own: an endpoint that is drawn is taken with the
// probability of its part, else another one is drawn.
import type { Choice, Endpoint } from "../endpoint.ts";
import type { Shares } from "./slow-start.ts";

export interface Sampler {
  update(usable: readonly Endpoint[]): void;
  /** One that was not tried, by weight; `undefined`: there is none. */
  first(choice: Choice): Endpoint | undefined;
  /**
   * Another one to compare it with; `undefined`: none this time. Where all weights are equal it is not the first one. With weights it may be: in a
   * small pool an endpoint of little weight would else stand in every pair.
   */
  second(choice: Choice, first: Endpoint): Endpoint | undefined;
}

/** How often to draw before the rest is looked through one by one. */
const DRAWS = 16;

export function newSampler(random: () => number, shares: Shares): Sampler {
  let endpoints: readonly Endpoint[] = [];
  let table: AliasTable | undefined;

  function draw(): Endpoint | undefined {
    const at = random() * endpoints.length;
    const index = Math.floor(at);
    if (table === undefined) return endpoints[index];
    const { keep, alias } = table;
    return endpoints[at - index < (keep[index] ?? 1) ? index : (alias[index] ?? index)]; // what is left of the random number is one, too
  }

  const taken = (endpoint: Endpoint, now: number): boolean => {
    const part = shares.part(endpoint, now);
    return part === 1 || random() < part;
  };

  /** The next one that was not tried, from a random place on. */
  function search({ tried }: Choice): Endpoint | undefined {
    const { length } = endpoints;
    const start = Math.floor(random() * length);
    for (let step = 0; step < length; step++) {
      const endpoint = endpoints[(start + step) % length];
      if (endpoint !== undefined && tried?.has(endpoint) !== true) return endpoint;
    }
    return undefined;
  }

  return {
    update: (usable) => {
      endpoints = usable;
      table = aliasTable(usable);
      shares.update(usable);
    },
    first: (choice) => {
      const { now, tried } = choice;
      if (endpoints.length === 0) return undefined;
      let spare: Endpoint | undefined;
      for (let draws = 0; draws < DRAWS; draws++) {
        const endpoint = draw();
        if (endpoint === undefined || tried?.has(endpoint) === true) continue;
        if (taken(endpoint, now)) return endpoint;
        spare = endpoint;
      }
      return spare ?? search(choice);
    },
    second: ({ now, tried }, first) => {
      if (endpoints.length === 1) return undefined;
      for (let draws = 0; draws < DRAWS; draws++) {
        const endpoint = draw();
        if (endpoint === undefined || (table === undefined && endpoint === first) || tried?.has(endpoint) === true) continue;
        return taken(endpoint, now) ? endpoint : undefined;
      }
      return undefined;
    },
  };
}

interface AliasTable {
  /** How much of each column belongs to its own endpoint, 0 to 1. */
  readonly keep: Float64Array;
  /** Whose the rest of it is. */
  readonly alias: Int32Array;
}

/** `undefined`: all weights are equal. */
function aliasTable(endpoints: readonly Endpoint[]): AliasTable | undefined {
  const { length } = endpoints;
  const weight = endpoints[0]?.weight;
  if (endpoints.every((endpoint) => endpoint.weight === weight)) return undefined;
  let sum = 0;
  for (const endpoint of endpoints) sum += endpoint.weight;
  const keep = new Float64Array(length);
  const alias = new Int32Array(length);
  const poor: number[] = [];
  const rich: number[] = [];
  for (const [index, endpoint] of endpoints.entries()) {
    const share = (endpoint.weight / sum) * length;
    keep[index] = share;
    alias[index] = index; // and stays so for what rounding leaves over
    (share < 1 ? poor : rich).push(index);
  }
  for (let giver = rich.pop(), taker = poor.pop(); giver !== undefined && taker !== undefined; taker = poor.pop()) {
    alias[taker] = giver;
    const left = (keep[giver] ?? 0) - (1 - (keep[taker] ?? 0));
    keep[giver] = left;
    if (left >= 1) continue;
    poor.push(giver);
    giver = rich.pop();
    if (giver === undefined) break;
  }
  return { keep, alias };
}
