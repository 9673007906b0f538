// Ring-hash: each endpoint stands at many points of a circle, and a key goes to the next point clockwise (Karger's consistent hashing, "ketama";
// sized by weight as Envoy does). Of n endpoints one that comes or goes moves 1/n of the keys and no more, which is the least there can be; maglev
// spreads more evenly, and moves some more. Endpoints that are not usable are passed over, so that their keys come back when they do.
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

/** Above any number of endpoints; a hash times this and a number below it is still exact. */
const PACK = 2 ** 20;

export function ringHashBalancer(random: () => number, shares: Shares, rule: RingRule): Balancer {
  const withoutKey = randomBalancer(random, shares);
  let built: readonly Endpoint[] | undefined;
  let ring: Ring = { points: new Uint32Array(0), owners: [] };
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
      if (members !== built) ring = newRing(members, rule);
      built = members;
    },
    pick: (choice) => {
      if (choice.hash === undefined) return withoutKey.pick(choice);
      return noneOpen(usable, choice) ? undefined : around(choice.hash, choice);
    },
  };
}

/** Envoy's sizing: the smallest ring of at least `minimumRingSize` on which the lightest endpoint has a whole number of points. */
function newRing(members: readonly Endpoint[], { minimumRingSize, maximumRingSize }: RingRule): Ring {
  const sorted = byKey(members);
  let sum = 0;
  let least = Number.POSITIVE_INFINITY;
  for (const { weight } of sorted) {
    sum += weight;
    if (weight < least) least = weight;
  }
  const smallest = least / sum;
  const scale = Math.min(Math.ceil(smallest * minimumRingSize) / smallest, maximumRingSize);
  const packed = new Float64Array(Math.ceil(scale) + 1); // one more than needed, where sums are rounded up
  let points = 0;
  let target = 0;
  for (const [index, { key, weight }] of sorted.entries()) {
    target += (scale * weight) / sum;
    for (let nth = 0; points < target - 1e-6 && points < packed.length; nth++) packed[points++] = hash32(key, nth) * PACK + index;
  }
  const found = packed.subarray(0, points).toSorted();
  return {
    points: Uint32Array.from(found, (one) => Math.floor(one / PACK)),
    owners: Array.from(found, (one) => sorted[one % PACK] as Endpoint), // the cast: the index was packed above
  };
}
