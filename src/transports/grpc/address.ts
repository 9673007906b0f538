// Addresses of channels: the host that policies match and that layers keep state for, from grpc-js's names (`dns:///payments.internal:443`).
//
// grpc naming: https://github.com/grpc/grpc/blob/master/doc/naming.md
import type { SidecarAddress } from "../../call/crossing.ts";

/** What a channel calls. */
export interface Called {
  /** For people and state: as it is written, in lower case. */
  readonly target: string;
  /** For matches: always with a port. */
  readonly host: string;
  /** What its server is called in `:authority` and TLS. */
  readonly authority: string;
}

const SCHEME = /^(dns|ipv4|ipv6|unix|unix-abstract|xds|passthrough):(?:\/\/[^/]*\/)?/i;

/** The port that grpc-js takes where there is none. */
const DEFAULT_PORT = 443;

/** The address behind a channel's target, or behind the authority that stands in its place. */
export function calledBy(target: string): Called {
  const scheme = SCHEME.exec(target);
  const kind = scheme?.[1]?.toLowerCase();
  const path = scheme === null ? target : target.slice(scheme[0].length);
  if (kind === "unix" || kind === "unix-abstract") return { target, host: `localhost:${DEFAULT_PORT}`, authority: "localhost" }; // as grpc-js calls it
  const first = path.split(",")[0] ?? path;
  const lower = first.toLowerCase();
  return { target: lower, host: withPort(lower), authority: first };
}

function withPort(host: string): string {
  const bare = host.split(":").length > 2 && !host.startsWith("["); // an IPv6 address without brackets has no port
  if (bare) return `[${host}]:${DEFAULT_PORT}`;
  return /:\d+$/.test(host) ? host : `${host}:${DEFAULT_PORT}`;
}

/** Where a sidecar listens, as an address of grpc-js's. */
export const dialled = ({ url, socketPath }: SidecarAddress): string => (socketPath === undefined ? addressOf(url) : `unix:${socketPath}`);

/** An origin as an address of grpc-js's: always with a port. */
export function addressOf(origin: URL): string {
  return origin.port === "" ? `${origin.hostname}:${origin.protocol === "https:" ? 443 : 80}` : origin.host;
}
