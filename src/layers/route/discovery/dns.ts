// DNS: the addresses behind a name, A and AAAA, for as long as their TTLs say.
import { promises as dns, type RecordWithTtl } from "node:dns";
import { isIP } from "node:net";
import { type Found, foundAt } from "./found.ts";
import type { Look } from "./refreshed.ts";

/** What one family of addresses came to. */
interface Family {
  readonly records: readonly RecordWithTtl[];
  /** Why there is no answer; one that says that there are none is an answer. */
  readonly error: unknown;
}

/** The codes of c-ares that mean: there is a server, and it knows of no such record. */
const NONE = new Set(["ENODATA", "ENOTFOUND"]);

/** Addresses that were looked up. */
export interface Addresses {
  readonly addresses: readonly string[];
  readonly holdsMs: number;
}

/** A port that the URL leaves out. */
const portOf = ({ port, protocol }: URL): number => (port === "" ? (protocol === "https:" ? 443 : 80) : Number(port));

export function dnsLook(url: URL, refreshMs: number): Look {
  const { hostname, protocol } = url;
  const port = portOf(url);
  const host = hostname.replace(/^\[(.*)\]$/, "$1");
  const lookUp = newLookUp(refreshMs);
  return async () => {
    const { addresses, holdsMs } = await lookUp(host);
    return { endpoints: addresses.map((address): Found => foundAt(protocol, address, port)), holdsMs };
  };
}

/**
 * Looks names up, and remembers the last good answer of each family: where one family fails and the other does not, the addresses of the failing one
 * stay. Names that DNS does not know are asked of the system, which knows /etc/hosts and search domains, but no TTLs.
 */
export function newLookUp(refreshMs: number): (host: string) => Promise<Addresses> {
  const last: { 4: readonly RecordWithTtl[]; 6: readonly RecordWithTtl[] } = { 4: [], 6: [] };
  return async (host) => {
    if (isIP(host) !== 0) return { addresses: [host], holdsMs: Number.POSITIVE_INFINITY };
    const [v4, v6] = await Promise.all([family(dns.resolve4(host, { ttl: true })), family(dns.resolve6(host, { ttl: true }))]);
    for (const [key, { records, error }] of [[4, v4] as const, [6, v6] as const]) if (error === undefined) last[key] = records;
    const fresh = [...v4.records, ...v6.records];
    if (fresh.length > 0) {
      const kept = [...last[4], ...last[6]];
      return { addresses: kept.map(({ address }) => address), holdsMs: Math.min(...fresh.map(({ ttl }) => ttl)) * 1_000 };
    }
    try {
      const found = await dns.lookup(host, { all: true });
      if (found.length > 0) return { addresses: found.map(({ address }) => address), holdsMs: refreshMs };
    } catch (error) {
      throw v4.error ?? v6.error ?? error;
    }
    throw v4.error ?? v6.error ?? new Error(`${host} has no addresses`);
  };
}

/** An answer that there are no records is one; everything else that is no answer is an error. */
const family = (asked: Promise<RecordWithTtl[]>): Promise<Family> =>
  asked.then(
    (records) => ({ records, error: undefined }),
    (error: NodeJS.ErrnoException) => ({ records: [], error: NONE.has(error.code ?? "") ? undefined : error }),
  );
