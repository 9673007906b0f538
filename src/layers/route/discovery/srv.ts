// SRV: the endpoints of a service with their ports, weights and priorities (RFC 2782), and the addresses of their names.
import { promises as dns } from "node:dns";
import { type Addresses, newLookUp } from "./dns.ts";
import { type Found, foundAt } from "./found.ts";
import type { Look } from "./refreshed.ts";

/** How many names of one answer are looked up. */
const MOST_NAMES = 1_000;

export function srvLook(srv: string, refreshMs: number): Look {
  const [, scheme = "http:", name = srv] = /^(?:(https?:)\/\/)?(.*)$/.exec(srv) ?? [];
  /** One for each name, and what it found last: a name that fails keeps that. */
  let lookUps = new Map<string, ReturnType<typeof newLookUp>>();
  let last = new Map<string, Addresses>();
  return async () => {
    const records = (await dns.resolveSrv(name)).slice(0, MOST_NAMES);
    if (records.length === 0 || (records.length === 1 && records[0]?.name === "")) throw new Error(`${name} has no endpoints`);
    const names = new Set(records.map((record) => record.name));
    lookUps = new Map([...names].map((one) => [one, lookUps.get(one) ?? newLookUp(refreshMs)]));
    const looked = await Promise.allSettled([...lookUps].map(async ([one, lookUp]) => [one, await lookUp(one)] as const));
    const fresh = new Map(looked.flatMap((one) => (one.status === "fulfilled" ? [one.value] : [])));
    const known = new Map([...last, ...fresh].filter(([one]) => names.has(one)));
    last = known;
    if (fresh.size === 0) throw looked.find((one) => one.status === "rejected")?.reason ?? new Error(`${name} has no addresses`);
    // Priorities are any numbers from 0 to 65,535; ours are ranks.
    const ranks = [...new Set(records.map(({ priority }) => priority))].toSorted((a, b) => a - b);
    const endpoints = records.flatMap(({ name: host, port, weight, priority }): Found[] => {
      const addresses = known.get(host)?.addresses ?? [];
      // a name with two addresses has its weight once; weight 0 is for "hardly ever", not for never
      const more = { weight: Math.max(weight, 0.01) / Math.max(1, addresses.length), priority: Math.min(127, ranks.indexOf(priority)) };
      return addresses.map((address) => foundAt(scheme, address, port, more));
    });
    return { endpoints, holdsMs: Math.min(refreshMs, ...[...known.values()].map(({ holdsMs }) => holdsMs)) };
  };
}
