// Ring-hash: each endpoint stands at many points of a circle, and a key goes to the next point clockwise (Karger's consistent hashing, "ketama"). Of n
// endpoints one that comes or goes moves 1/n of the keys and no more, which is the least there can be; maglev spreads more evenly, and moves some more.
// That holds only if nobody's points depend on who else is there. Envoy's do: it deals out a ring of 1,024 points, so that of ten endpoints the nine
// that stay get more of them, and as many keys again move. Here each has 128 for its weight, as long as the ring does not grow too large.
// Endpoints that are not usable are passed over, so that their keys come back when they do.
import type { Balancer, Choice, Endpoint } from "../endpoint.ts";
import { hash32 } from "./hash.ts";
import { byKey, isOpen, noneOpen } from "./members.ts";
import { randomBalancer } from "./random.ts";
import type { Shares } from "./slow-start.ts";

export interface RingRule {
  readonly minimumRingSize: number;
  readonly maximumRingSize: number;
}

interface Ring {
  /** Where the points are, in ascending order. */
  readonly points: Uint32Array;
  /** Whose each of them is. */
  readonly owners: readonly Endpoint[];
}

const empty: Ring = { points: new Uint32Array(0), owners: [] };

/** Above any number of endpoints; a hash times this and a number below it is still exact. */
const PACK = 2 ** 20;

export function ringHashBalancer(random: () => number, shares: Shares, rule: RingRule): Balancer {
  const withoutKey = randomBalancer(random, shares);
  let built: readonly Endpoint[] | undefined;
  let ring = empty;
  let usable: readonly Endpoint[] = [];

  /** The place of the first point at or after a hash; behind the last one comes the first. */
  function placeOf(hash: number): number {
    const { points } = ring;
    let low = 0;
    let high = points.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((points[middle] as number) < hash) low = middle + 1; // the cast: low <= middle < high
      else high = middle;
    }
    return low === points.length ? 0 : low;
  }

  function around(hash: number, choice: Choice): Endpoint | undefined {
    const { owners } = ring;
    const start = placeOf(hash);
    for (let step = 0; step < owners.length; step++) {
      const at = start + step;
      const endpoint = owners[at < owners.length ? at : at - owners.length];
      if (endpoint !== undefined && isOpen(endpoint, choice)) return endpoint;
    }
    return undefined;
  }

  return {
    update: (members, now) => {
      usable = now;
      withoutKey.update(members, now);
      if (members !== built) ring = members.length === 0 ? empty : newRing(members, rule);
      built = members;
    },
    pick: (choice) => {
      if (choice.hash === undefined) return withoutKey.pick(choice);
      return noneOpen(usable, choice) ? undefined : around(choice.hash, choice);
    },
  };
}

/** How many points an endpoint of usual weight has: shares are then off by 9 % (one standard deviation). */
const POINTS = 128;

function newRing(members: readonly Endpoint[], rule: RingRule): Ring {
  const sorted = byKey(members);
  const pointsOf = pointsByWeight(sorted, rule);
  const packed = new Float64Array(sorted.reduce((sum, { weight }) => sum + pointsOf(weight), 0));
  let size = 0;
  for (const [index, { key, weight }] of sorted.entries())
    for (let nth = pointsOf(weight) - 1; nth >= 0; nth--) packed[size++] = hash32(key, nth) * PACK + index;
  packed.sort();
  const points = new Uint32Array(size);
  const owners = Array.from<Endpoint>({ length: size });
  for (const [place, one] of packed.entries()) {
    const hash = Math.floor(one / PACK);
    points[place] = hash;
    owners[place] = sorted[one - hash * PACK] as Endpoint; // the cast: the index was packed above
  }
  return { points, owners };
}

function pointsByWeight(members: readonly Endpoint[], { minimumRingSize, maximumRingSize }: RingRule): (weight: number) => number {
  const sum = members.reduce((all, { weight }) => all + weight, 0);
  // the mean to the next power of two, so that a weight here or there does not change what is usual
  const usual = 2 ** Math.round(Math.log2(sum / members.length));
  const units = sum / usual;
  const each = Math.min(Math.max(POINTS, Math.ceil(minimumRingSize / units)), Math.max(1, Math.floor(maximumRingSize / units)));
  return (weight) => Math.max(1, Math.round((each * weight) / usual));
}
