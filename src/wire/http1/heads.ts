// Heads: the strict parsers of a request's and a response's head.
import type { Limits } from "../limits.ts";
import type { RequestHead, ResponseHead } from "../wire.ts";
import { facts, readFields } from "./fields.ts";
import { CONFLICT, frameOf, TO_END, UNKNOWN_CODING, UNTOLD, type Frame } from "./frame.ts";
import { tunnelAuthority } from "../tunnel.ts";
import { isAuthority, isPath, listHas, TOKEN, VALUE } from "../syntax.ts";

/** A request's head, and what its connection has to know of it. */
export interface ParsedRequest {
  readonly head: RequestHead;
  readonly minor: 0 | 1;
  readonly absolute: boolean;
  /** 0: there is no body. */
  readonly frame: Frame;
  /** The client waits for 100 before it sends the body. */
  readonly expects: boolean;
  /** No further request will come over the connection. */
  readonly last: boolean;
}

/** The status of the answer to a head that is refused. */
export type Refused = 400 | 414 | 417 | 431 | 501 | 505;

const VERSION = /^HTTP\/\d\.\d$/;
const ABSOLUTE = /^(https?):\/\/([^/?]*)(.*)$/i;

const targets = (scheme: string, authority: string, path: string) => ({ scheme, authority, path });

/** Where a request goes: the parts of its target; `undefined`: it has no such form. */
function targetOf(method: string, target: string): { scheme: string; authority: string; path: string } | undefined {
  if (method === "CONNECT") return /:\d+$/.test(target) && isAuthority(target) ? targets("", target, "") : undefined;
  if (target === "*") return method === "OPTIONS" ? targets("", "", "*") : undefined;
  const [, scheme = "", authority = "", rest = ""] = ABSOLUTE.exec(target) ?? [];
  if (scheme === "" || !isAuthority(authority)) return undefined;
  const path = rest === "" && method === "OPTIONS" ? "*" : rest.startsWith("/") ? rest : `/${rest}`;
  return path === "*" || isPath(path) ? targets(scheme.toLowerCase(), authority, path) : undefined;
}

/** Reads the head of a request: its lines, each with its CRLF. `tunnel`: the authority of the CONNECT that the request came through. */
export function parseRequest(text: string, limits: Limits, tunnel: string | undefined): ParsedRequest | Refused {
  let at = 0;
  while (TOKEN[text.charCodeAt(at)] === 1) at++;
  if (at === 0 || text.charCodeAt(at) !== 32) return 400;
  const end = text.indexOf("\r");
  if (end > limits.lineBytes) return 414;
  if (text.charCodeAt(end + 1) !== 10) return 400;
  const method = text.slice(0, at);
  const space = text.indexOf(" ", at + 1);
  if (space === -1 || space > end) return 400;
  const target = text.slice(at + 1, space);
  const minor = text.charCodeAt(end - 1) - 0x30;
  if (end - space !== 9 || !text.startsWith("HTTP/1.", space + 1) || (minor !== 0 && minor !== 1))
    return VERSION.test(text.slice(space + 1, end)) ? 505 : 400;

  const fields: string[] = [];
  const fault = readFields(text, end + 2, fields, limits);
  if (fault !== undefined) return fault === "syntax" ? 400 : 431;
  if (facts.hosts > 1 || (facts.hosts === 1 ? !isAuthority(facts.host) : minor === 1)) return 400;

  let authority = tunnel === undefined ? facts.host : tunnelAuthority(facts.host, tunnel);
  let path = target;
  let scheme = "http";
  let absolute = false;
  if (!isPath(target)) {
    const parts = targetOf(method, target);
    if (parts === undefined) return 400;
    absolute = parts.scheme !== "";
    if (absolute) ({ scheme } = parts);
    if (parts.authority !== "") ({ authority } = parts);
    ({ path } = parts);
  } else if (method === "CONNECT") return 400;

  let frame = frameOf(facts, minor);
  if (frame === UNKNOWN_CODING) return 501;
  if (frame === CONFLICT) return 400;
  if (frame === UNTOLD) frame = 0;
  else if (method === "CONNECT") return 400; // what follows it is the tunnel's
  const expects = facts.expect !== "" && minor === 1;
  if (expects && facts.expect.toLowerCase() !== "100-continue") return 417;
  const upgrades =
    facts.upgrade !== "" && minor === 1 && frame === 0 && listHas(facts.connection, "upgrade") && !listHas(facts.upgrade, "h2c");
  return {
    // the cast: the pattern of an absolute target allows no other scheme
    head: { method, scheme: scheme as "http" | "https", authority, path, fields, upgrade: upgrades ? facts.upgrade : undefined },
    minor,
    absolute,
    frame,
    expects: expects && frame !== 0,
    last:
      facts.connection === "" ? minor === 0 : minor === 0 ? !listHas(facts.connection, "keep-alive") : listHas(facts.connection, "close"),
  };
}

/** What an upstream's connection has to know of a response's head. */
export interface ParsedResponse {
  readonly head: ResponseHead;
  readonly frame: Frame;
  /** The connection cannot be used again. */
  readonly last: boolean;
  /** What it says itself of how long it stays, in seconds. */
  readonly keepSeconds: number | undefined;
}

/** The status of a status line, which ends at `end`; -1: it is none. What stands behind the status is a space and characters of a value. */
function statusIn(text: string, end: number): number {
  const minor = text.charCodeAt(7);
  if (!text.startsWith("HTTP/1.") || (minor !== 0x30 && minor !== 0x31) || text.charCodeAt(8) !== 32 || end < 12) return -1;
  let status = 0;
  for (let at = 9; at < 12; at++) {
    const digit = text.charCodeAt(at) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    status = status * 10 + digit;
  }
  if (status < 100 || status > 599 || (end > 12 && text.charCodeAt(12) !== 32)) return -1;
  for (let at = 13; at < end; at++) if (VALUE[text.charCodeAt(at)] !== 1) return -1;
  return status;
}

/** Reads the head of a response to a request of this method; `undefined`: it is none that is allowed. */
export function parseResponse(text: string, method: string, limits: Limits): ParsedResponse | undefined {
  const end = text.indexOf("\r");
  const status = statusIn(text, end);
  if (status === -1 || text.charCodeAt(end + 1) !== 10) return undefined;
  const minor = text.charCodeAt(7) - 0x30;
  const fields: string[] = [];
  if (readFields(text, end + 2, fields, limits) !== undefined) return undefined;
  let frame = frameOf(facts, minor);
  if (frame === UNKNOWN_CODING || frame === CONFLICT) return undefined;
  if (status < 200 || status === 204 || status === 304 || method === "HEAD") {
    if ((status < 200 || status === 204) && frame !== UNTOLD && frame !== 0) return undefined; // RFC 9110 6.4.1: a body that some would read, and some not
    frame = 0;
  } else if (frame === UNTOLD) frame = TO_END;
  const keep = facts.keepAlive === "" ? undefined : /(?:^|[ ,])timeout=(\d{1,6})(?:$|[ ,;])/.exec(facts.keepAlive)?.[1];
  return {
    head: { status, fields },
    frame,
    last:
      frame === TO_END ||
      (facts.connection === "" ? minor === 0 : minor === 0 ? !listHas(facts.connection, "keep-alive") : listHas(facts.connection, "close")),
    keepSeconds: keep === undefined ? undefined : Number(keep),
  };
}
