// The address of a Redis: what a URL says, checked, and how it is shown: never with user and password.
import { PolicyError } from "../../policy/error.ts";

export interface RedisAddress {
  readonly host: string;
  readonly port: number;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly db: number;
  readonly tls: boolean;
  /** The same for people. */
  readonly shown: string;
}

const HOW = 'give a URL such as "redis://localhost:6379", "rediss://user:password@host:6380/1"';

/** Throws `ERR_PREMESH_INVALID_OPTIONS`, without the URL, which may hold a password. */
export function redisAddress(url: unknown): RedisAddress {
  const bad = (what: string): never => {
    throw new PolicyError("ERR_PREMESH_INVALID_OPTIONS", `redisStore: ${what}; ${HOW}`);
  };
  if (typeof url !== "string" || !URL.canParse(url)) return bad("that is no URL");
  const { protocol, hostname, port, username, password, pathname, search, hash } = new URL(url);
  if (protocol !== "redis:" && protocol !== "rediss:") return bad("the URL must begin with redis: or rediss:");
  if (hostname === "") return bad("the URL names no host");
  if (search !== "" || hash !== "") return bad("the URL may have no query and no fragment");
  if (!/^\/?\d{0,5}$/.test(pathname)) return bad("the path of the URL must be the number of a database");
  const decoded = (text: string): string | undefined => {
    try {
      return text === "" ? undefined : decodeURIComponent(text);
    } catch {
      return bad("user or password are not percent-encoded as a URL wants it");
    }
  };
  const host = hostname.replace(/^\[(.*)\]$/, "$1");
  const number = port === "" ? 6379 : Number(port);
  const db = Number(pathname.slice(1));
  return {
    host,
    port: number,
    username: decoded(username),
    password: decoded(password),
    db,
    tls: protocol === "rediss:",
    shown: `${protocol}//${hostname}:${number}${db === 0 ? "" : `/${db}`}`,
  };
}
