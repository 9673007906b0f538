// Found: what a source says of one endpoint; and what a source is.
import { inspect } from "node:util";
import { type EndpointInit, LOCALITY, MOST_ENDPOINTS, ORIGIN } from "./definition.ts";

export interface Found {
  /** Its origin. */
  readonly key: string;
  readonly url: URL;
  readonly weight: number;
  /** Added to the priority of the entry. */
  readonly priority: number;
  readonly locality: string | undefined;
  /** The zone in the region of the entry's locality. */
  readonly zone?: string;
}

/** Who is told of endpoints. */
export interface Listener {
  /** All endpoints, anew; perhaps the same as before. */
  readonly found: (endpoints: readonly Found[]) => void;
  /** They could not be found; those that were found before stay. */
  readonly failed: (error: unknown) => void;
}

/** Begins to find endpoints, and goes on until the function that it gives is called. A list is found at once. */
export type Source = (listener: Listener) => () => void;

/** An endpoint by its parts. `host` is an address or a name; IPv6 without brackets. */
export function foundAt(
  scheme: string,
  host: string,
  port: number,
  more: Partial<Pick<Found, "weight" | "priority" | "locality">> = {},
): Found {
  const { weight = 1, priority = 0, locality } = more;
  const url = new URL(`${scheme}//${host.includes(":") ? `[${host}]` : host}:${port}`);
  return { key: url.origin, url, weight, priority, locality };
}

/** Of a list that does not end no more is read. */
const MOST_READ = 10 * MOST_ENDPOINTS;

/** Endpoints that are named by nothing but their origin, by that; a list that comes again and again is mostly the same, and parsing takes its time. */
export type Known = Map<string, Found>;

/** The endpoints of a list that was written by hand or by a program. Throws when it is none: then it is wrong as a whole. */
export function foundIn(list: unknown, known?: Known): readonly Found[] {
  if (typeof list !== "object" || list === null || !(Symbol.iterator in list)) throw new TypeError("endpoints must be a list");
  const before = known === undefined ? undefined : new Map(known);
  known?.clear();
  const all: Found[] = [];
  // the cast: it has just been seen
  for (const one of list as Iterable<unknown>) {
    if (all.length >= MOST_READ) break;
    const same = typeof one === "string" ? before?.get(one) : undefined;
    const found = same ?? parsed(one, all.length);
    if (typeof one === "string") known?.set(one, found);
    all.push(found);
  }
  return all;
}

function parsed(one: unknown, index: number): Found {
  const init = (typeof one === "string" ? { url: one } : (one ?? {})) as Partial<Record<keyof EndpointInit, unknown>>; // the cast: looked at below
  const wrong = (what: string): never => {
    throw new TypeError(`endpoints[${index}] ${what}`);
  };
  const url = typeof init.url === "string" && ORIGIN.test(init.url) ? URL.parse(init.url) : null;
  if (url === null) return wrong('must be an origin such as "http://10.0.0.1:8080"');
  const { weight = 1, priority = 0, locality } = init;
  if (typeof weight !== "number" || !(weight >= 0) || !(weight <= 1e6)) return wrong("must have a weight from 0 to 1000000");
  if (typeof priority !== "number" || !Number.isInteger(priority) || priority < 0 || priority > 127)
    return wrong("must have a priority from 0 to 127");
  if (locality !== undefined && (typeof locality !== "string" || !LOCALITY.test(locality)))
    return wrong('must have a locality such as "region/zone/subzone"');
  return { key: url.origin, url, weight, priority, locality };
}

/** An error in words; a function of the user's may throw anything. */
export const wordsOf = (error: unknown): string => (error instanceof Error ? error.message : inspect(error, { depth: 0 }));
