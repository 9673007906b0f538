// Guard: which requests the admin listener takes. Whoever can open a page in a browser on this machine can send requests to loopback, and must not be heeded.
import { isIP } from "node:net";

export interface Asked {
  readonly method: string;
  /** Host, as it came. */
  readonly host: string | undefined;
  readonly origin: string | undefined;
  /** Over a unix socket, which no browser reaches. */
  readonly unix: boolean;
}

/** Why the request is refused; `undefined`: it is not. */
export function refusal({ method, host, origin, unix }: Asked): string | undefined {
  if (unix) return undefined;
  // A name that somebody else's DNS points here (DNS rebinding) would make their page ours; an address cannot be pointed anywhere.
  if (host === undefined || !isAddress(host)) return "Host must be an IP address or localhost";
  if (method !== "GET" && method !== "HEAD" && origin !== undefined && origin !== `http://${host}`)
    return "this Origin may not change anything here";
  return undefined;
}

function isAddress(host: string): boolean {
  const [, bracketed, plain] = /^(?:\[([^[\]]+)\]|([^:]+))(?::\d{1,5})?$/.exec(host) ?? [];
  if (bracketed !== undefined) return isIP(bracketed) === 6;
  return plain !== undefined && (plain.toLowerCase() === "localhost" || isIP(plain) === 4);
}
