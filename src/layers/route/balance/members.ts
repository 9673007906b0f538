// What consistent balancers ask about the members of a level.
import type { Choice, Endpoint } from "../endpoint.ts";

/** Members in the order of their keys, so that every process makes the same table of them. */
export const byKey = (members: readonly Endpoint[]): readonly Endpoint[] =>
  members.toSorted((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));

/** May be picked for this call. */
export const isOpen = (endpoint: Endpoint, { tried }: Choice): boolean => endpoint.usable && tried?.has(endpoint) !== true;

/** Nobody may be picked for this call, so there is nothing to look for. */
export const noneOpen = (usable: readonly Endpoint[], { tried }: Choice): boolean =>
  tried === undefined || tried.size < usable.length ? usable.length === 0 : usable.every((endpoint) => tried.has(endpoint));
