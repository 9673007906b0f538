// Visited endpoints as they stand in a field: `("http://10.0.0.1:8080";n=1)`; an attempt prefers one that the call has not tried, across the seam too.
import type { Visit } from "../call/call.ts";
import { isInnerList, type InnerList, type Item } from "./structured.ts";

/** So many cross; a call that was sent more often has tried everything. */
const MOST_VISITS = 32;

/** The visits that came after `before`, oldest first; `undefined`: there are none. */
export function writeVisits(visits: Visit | undefined, before?: Visit): readonly Item[] | undefined {
  const all: Item[] = [];
  for (let visit = visits; visit !== undefined && visit !== before && all.length < MOST_VISITS; visit = visit.before)
    all.push({ value: visit.address.key, parameters: new Map([["n", visit.nth]]) });
  return all.length === 0 ? undefined : all.toReversed();
}

/** The list put before what there is; what is no origin is left out. */
export function readVisits(member: Item | InnerList | undefined, before: Visit | undefined): Visit | undefined {
  if (!isInnerList(member)) return before;
  let visits = before;
  for (const { value, parameters } of member.items.slice(-MOST_VISITS)) {
    const url = typeof value === "string" ? URL.parse(value) : null;
    const nth = parameters.get("n");
    if (url === null || typeof value !== "string" || (url.protocol !== "http:" && url.protocol !== "https:")) continue;
    visits = { address: { key: value, url, leaving: undefined }, nth: typeof nth === "number" ? nth : 1, before: visits };
  }
  return visits;
}
