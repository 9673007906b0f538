// Maglev: a table of 65,537 places that the endpoints fill in turns, each by its own permutation; a key is one look-up
// (https://research.google/pubs/maglev-a-fast-and-reliable-software-network-load-balancer/, section 3.4). It spreads keys more evenly than a ring of
// that size and is faster to ask; when endpoints come or go, it moves more keys than the ring's 1/n: of 300 endpoints three times as many. Endpoints
// that are not usable are passed over, so the table is made anew only when members or weights change.
import type { Balancer, Choice, Endpoint } from "../endpoint.ts";
import { hash32 } from "./hash.ts";
import { byKey, isOpen, noneOpen } from "./members.ts";
import { randomBalancer } from "./random.ts";
import { newSchedule } from "./schedule.ts";
import type { Shares } from "./slow-start.ts";

/** A prime, so that every permutation reaches every place. Of more endpoints than that some get no keys. */
const TABLE = 65_537;

export function maglevBalancer(random: () => number, shares: Shares): Balancer {
  const withoutKey = randomBalancer(random, shares);
  let built: readonly Endpoint[] | undefined;
  let sorted: readonly Endpoint[] = [];
  let table = new Int32Array(TABLE);
  let usable: readonly Endpoint[] = [];

  function probe(hash: number, choice: Choice): Endpoint | undefined {
    const start = hash % TABLE;
    for (let step = 0; step < TABLE; step++) {
      const at = start + step;
      const endpoint = sorted[table[at < TABLE ? at : at - TABLE] as number]; // the cast: the table is as long
      if (endpoint !== undefined && isOpen(endpoint, choice)) return endpoint;
    }
    return usable.find((endpoint) => isOpen(endpoint, choice)); // those that got no place, where there are too many
  }

  return {
    update: (members, now) => {
      usable = now;
      withoutKey.update(members, now);
      if (members === built) return;
      built = members;
      sorted = byKey(members);
      table = newTable(sorted);
    },
    pick: (choice) => {
      if (choice.hash === undefined) return withoutKey.pick(choice);
      return noneOpen(usable, choice) ? undefined : probe(choice.hash, choice);
    },
  };
}

/** For each place the number of its member. Whose turn it is goes by weight; each member has one place before any has two. */
function newTable(members: readonly Endpoint[]): Int32Array<ArrayBuffer> {
  const table = new Int32Array(TABLE).fill(-1);
  const places = Int32Array.from(members, ({ key }) => hash32(key) % TABLE);
  const skips = Int32Array.from(members, ({ key }) => (hash32(key, 1) % (TABLE - 1)) + 1);
  const turns = newSchedule(new Float64Array(members.length));
  const steps = Float64Array.from(members, ({ weight }) => 1 / weight);
  const even = steps.every((step) => step === steps[0]);
  for (let filled = 0; filled < TABLE && members.length > 0; filled++) {
    const member = even ? filled % members.length : turns.first();
    let place = places[member] as number; // the casts: a member's number is within all arrays
    const skip = skips[member] as number;
    while (table[place] !== -1) place = (place + skip) % TABLE;
    table[place] = member;
    places[member] = place;
    if (!even) turns.postpone(member, steps[member] as number);
  }
  return table;
}
