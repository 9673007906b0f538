// Choosing: a part of the rule by weight, then an endpoint of it; one whose breaker is open is passed over while another is there.
import type { Branches } from "../../call/build.ts";
import type { Visit } from "../../call/call.ts";
import type { Env } from "../../call/env.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Part } from "./part.ts";

export interface Chosen {
  readonly part: Part;
  readonly endpoint: Endpoint;
}

/** How many shut endpoints one pick may come upon, or look at again. */
const MOST_LOOKS = 8;

export type Choose = (parts: readonly Part[], hash: number | undefined, visits: Visit | undefined, now: number) => Chosen | undefined;

/** `branches`: whose breakers are asked. */
export function newChooser(branches: Branches, { random }: Pick<Env, "random">): Choose {
  /** Those that were found shut; in turn each is looked at again, since a breaker may close before its time. */
  const shut: Chosen[] = [];

  const shutUntil = ({ key }: Endpoint, now: number): number => branches.to(key).shutUntil?.(now) ?? 0;

  function lookAgain(now: number): void {
    for (let looks = Math.min(MOST_LOOKS, shut.length); looks > 0; looks--) {
      const one = shut.shift() as Chosen; // the cast: there are as many
      const until = shutUntil(one.endpoint, now);
      if (until > now) shut.push(one);
      if (until === one.endpoint.shutUntil) continue;
      one.endpoint.shutUntil = until > now ? until : 0;
      one.part.pool.changed(one.endpoint);
    }
  }

  /** An endpoint of the part; one that is shut only where there is no other. */
  function pick(part: Part, hash: number | undefined, tried: ReadonlySet<Endpoint> | undefined, now: number): Chosen | undefined {
    let last: Chosen | undefined;
    let avoided: Set<Endpoint> | undefined;
    for (let looks = 0; looks < MOST_LOOKS; looks++) {
      const endpoint = part.pool.pick({ now, hash, tried: avoided ?? tried });
      if (endpoint === undefined) return last;
      const chosen = { part, endpoint };
      const until = shutUntil(endpoint, now);
      if (until <= now) return chosen;
      if (endpoint.shutUntil !== until) {
        if (!shut.some((one) => one.endpoint === endpoint)) shut.push(chosen);
        endpoint.shutUntil = until;
        part.pool.changed(endpoint);
      }
      if (avoided?.has(endpoint) === true) return last;
      (avoided ??= new Set(tried)).add(endpoint);
      last ??= chosen;
    }
    return last;
  }

  return (parts, hash, visits, now) => {
    if (shut.length > 0) lookAgain(now);
    const tried = visits === undefined ? undefined : triedIn(visits, parts);
    const [only] = parts;
    if (only !== undefined && parts.length === 1) return only.weight > 0 ? pick(only, hash, tried, now) : undefined;
    const first = partAt(parts, hash === undefined ? random() : hash / 2 ** 32);
    for (let index = 0; first !== -1 && index < parts.length; index++) {
      const part = parts[(first + index) % parts.length];
      const chosen = part !== undefined && part.weight > 0 ? pick(part, hash, tried, now) : undefined;
      if (chosen !== undefined) return chosen; // else its share goes to the next that can take it
    }
    return undefined;
  };
}

/** Which part a point from 0 to 1 falls on; -1: all weights are 0. */
function partAt(parts: readonly Part[], point: number): number {
  const total = parts.reduce((sum, { weight }) => sum + weight, 0);
  let left = point * total;
  for (const [index, { weight }] of parts.entries()) {
    if (weight <= 0) continue;
    left -= weight;
    if (left < 0) return index;
  }
  return parts.findLastIndex(({ weight }) => weight > 0);
}

/** By their keys: a visit may be one on the other side of a seam, or under another target. */
function triedIn(visits: Visit, parts: readonly Part[]): ReadonlySet<Endpoint> {
  const tried = new Set<Endpoint>();
  for (let visit: Visit | undefined = visits; visit !== undefined; visit = visit.before) {
    for (const { members } of parts) {
      const known = members.get(visit.address.key);
      if (known !== undefined) tried.add(known);
    }
  }
  return tried;
}
