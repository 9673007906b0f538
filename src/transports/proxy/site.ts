// Site: whom a request names, as policies and layers know it: the same words for it as in the process.
import type { Destination } from "../../wire/wire.ts";

export interface Site {
  /** What layers keep state for: as in a URL, the scheme's own port left out. */
  readonly target: string;
  /** What policies match: always with a port. */
  readonly host: string;
  /** How it is reached, for HTTP/1.1 and for HTTP/2; made once. */
  readonly to: { readonly "1.1": Destination; readonly "2": Destination };
}

/** Authorities are a client's to choose, so that only so many are remembered. */
const MOST_SITES = 4_096;

const sites = { http: new Map<string, Site | undefined>(), https: new Map<string, Site | undefined>() };

/** An authority that is none (RFC 9110, 7.2), or has a name and a password in it. */
const MALFORMED = /[\s/?#@\\]|^$/;

/** `undefined`: the authority is none. */
export function siteOf(scheme: "http" | "https", authority: string): Site | undefined {
  const known = sites[scheme];
  const found = known.get(authority);
  if (found !== undefined || known.has(authority)) return found;
  const origin = MALFORMED.test(authority) ? null : URL.parse(`${scheme}://${authority}`);
  const site = origin === null ? undefined : newSite(origin);
  if (known.size >= MOST_SITES) known.clear();
  known.set(authority, site);
  return site;
}

function newSite(origin: URL): Site {
  const { host, hostname, protocol } = origin;
  const port = protocol === "https:" ? 443 : 80;
  return {
    target: host,
    host: origin.port === "" ? `${hostname}:${port}` : host,
    to: { "1.1": { origin, version: "1.1" }, "2": { origin, version: "2" } },
  };
}

/** The path for matches, without its query and with no dots to climb by, as fetch has it. */
export function matchedPath(path: string): string {
  const mark = path.indexOf("?");
  const bare = mark === -1 ? path : path.slice(0, mark);
  if (!DOTTED.test(bare)) return bare;
  return URL.parse(bare, "http://a")?.pathname ?? bare;
}

const DOTTED = /\/(?:\.|%2e)|[\\\t]/i;
