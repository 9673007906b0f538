// Fields: header lists of HTTP/2 as the wire's heads, and the rules that they have to keep (RFC 9113, 8). What a name and a value may consist of was seen to when the list was read.
import { createHash, randomBytes } from "node:crypto";
import { isPath, isToken } from "../syntax.ts";
import type { Fields, RequestHead, ResponseHead } from "../wire.ts";

/** A head that is not allowed, in words for a log. */
export type Malformed = string;

/** A head, and how long its body is by its own word; -1: it says nothing. */
export interface Read<Head> {
  readonly head: Head;
  readonly length: number;
}

type Kind = "connection" | "te" | "host" | "cookie" | "length";

/** What a field is to HTTP/2 itself. Connection-specific fields are not allowed (RFC 9113, 8.2.2). */
const KINDS = new Map<string, Kind>([
  ["connection", "connection"],
  ["keep-alive", "connection"],
  ["proxy-connection", "connection"],
  ["transfer-encoding", "connection"],
  ["upgrade", "connection"],
  ["te", "te"],
  ["host", "host"],
  ["cookie", "cookie"],
  ["content-length", "length"],
]);

const COLON = 0x3a;

/** Whether it belongs to a connection of HTTP/1.1. Of TE one word may be said. */
const isHopByHop = (kind: Kind, value = ""): boolean => kind === "connection" || (kind === "te" && value.toLowerCase() !== "trailers");

/** The head behind a header list, or what is wrong with it. */
export function requestHead(list: readonly string[]): Read<RequestHead> | Malformed {
  let method: string | undefined;
  let scheme: string | undefined;
  let authority: string | undefined;
  let path: string | undefined;
  let upgrade: string | undefined;
  let host: string | undefined;
  let cookie = -1;
  let length = -1;
  const fields: string[] = [];
  for (let index = 0; index < list.length; index += 2) {
    const name = list[index] ?? "";
    const value = list[index + 1] ?? "";
    if (name.charCodeAt(0) === COLON) {
      if (fields.length > 0 || host !== undefined) return "a pseudo-field behind a field";
      if (name === ":method" && method === undefined) method = value;
      else if (name === ":scheme" && scheme === undefined) scheme = value;
      else if (name === ":authority" && authority === undefined) authority = value;
      else if (name === ":path" && path === undefined) path = value;
      else if (name === ":protocol" && upgrade === undefined) upgrade = value;
      else return `the pseudo-field ${name}`;
      continue;
    }
    const kind = KINDS.get(name);
    if (kind === "host") {
      if (host !== undefined) return "two Host fields";
      host = value;
      continue;
    }
    if (kind === "cookie") {
      if (cookie >= 0) {
        fields[cookie] += `; ${value}`; // RFC 9113, 8.2.3: its crumbs are one field to whatever is not HTTP/2
        continue;
      }
      cookie = fields.length + 1;
    } else if (kind === "length") {
      if (length !== -1) return "two lengths";
      length = lengthIn(value);
      if (length === -1) return "a length that is none";
    } else if (kind !== undefined && isHopByHop(kind, value)) return `the field ${name}`;
    fields.push(name, value);
  }
  if (method === undefined || !isToken(method)) return ":method";
  if (host !== undefined && authority !== undefined && host.toLowerCase() !== authority.toLowerCase()) return "Host is not :authority";
  authority ??= host ?? "";
  if (!AUTHORITY.test(authority)) return ":authority";
  if (method === "CONNECT" && upgrade === undefined) {
    if (scheme !== undefined || path !== undefined) return "CONNECT with a target";
    return { head: { method, scheme: "http", authority, path: "", fields, upgrade }, length: -1 };
  }
  if (scheme !== "http" && scheme !== "https") return ":scheme";
  // what could not stand in a request line of HTTP/1.1
  if (path === undefined || !(path === "*" ? method === "OPTIONS" : isPath(path))) return ":path";
  if (upgrade !== undefined) {
    if (method !== "CONNECT" || !isToken(upgrade)) return ":protocol";
    method = "GET"; // an extended CONNECT (RFC 8441) is the Upgrade of HTTP/1.1, and looks like one to the rest of us
    if (upgrade === "websocket") fields.push("sec-websocket-key", randomBytes(16).toString("base64"));
    length = -1;
  }
  return { head: { method, scheme, authority, path, fields, upgrade }, length };
}

/** The characters of a host and a port, and those of an escaped path: what stands for the host of a unix socket. No user information. */
const AUTHORITY = /^[!$&-.0-;=A-Z_a-z~%[\]]{1,512}$/;

/** -1: it is none. */
const lengthIn = (value: string): number => (/^\d{1,15}$/.test(value) ? Number(value) : -1);

/** The head behind a response's header list, or what is wrong with it. */
export function responseHead(list: readonly string[]): Read<ResponseHead> | Malformed {
  const status = list[1] ?? "";
  if (list[0] !== ":status" || !STATUS.test(status)) return "no :status";
  let length = -1;
  for (let index = 2; index < list.length; index += 2) {
    const name = list[index] ?? "";
    if (name.charCodeAt(0) === COLON) return `the pseudo-field ${name}`;
    const kind = KINDS.get(name);
    if (kind !== undefined && isHopByHop(kind, list[index + 1])) return `the field ${name}`;
    if (kind !== "length") continue;
    const value = lengthIn(list[index + 1] ?? "");
    if (value === -1 || length !== -1) return "a length that is none";
    length = value;
  }
  return { head: { status: Number(status), fields: list.slice(2) }, length };
}

const STATUS = /^[1-5]\d\d$/;

/** Whether a list may stand behind a body (RFC 9113, 8.1). */
export function areTrailers(list: readonly string[]): boolean {
  for (let index = 0; index < list.length; index += 2) {
    const name = list[index] ?? "";
    if (name.charCodeAt(0) === COLON) return false;
    const kind = KINDS.get(name);
    if (kind !== undefined && isHopByHop(kind, list[index + 1])) return false;
  }
  return true;
}

/** Names as they are sent; undefined: not at all. What belongs to a connection of HTTP/1.1 is left out (RFC 9113, 8.2.2). */
const sent = new Map<string, string | undefined>();
const MOST_NAMES = 1_024;
const UNSENT = new Set(["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "http2-settings", "host"]);

function sentName(name: string): string | undefined {
  const known = sent.get(name);
  if (known !== undefined || sent.has(name)) return known;
  if (!isToken(name)) throw new TypeError(`A field cannot be called ${JSON.stringify(name)}`);
  const small = name.toLowerCase();
  const as = UNSENT.has(small) ? undefined : small;
  if (sent.size >= MOST_NAMES) sent.clear();
  sent.set(name, as);
  return as;
}

/** Adds fields to a header list that goes out. Throws where a name or a value has what no field can have: what reads it by another protocol would take it for two. */
export function addFields(list: string[], fields: Fields): string[] {
  for (let index = 0; index < fields.length; index += 2) {
    const name = sentName(fields[index] ?? "");
    const value = fields[index + 1] ?? "";
    if (name === undefined || (name === "te" && value.toLowerCase() !== "trailers")) continue;
    if (UNSENDABLE.test(value)) throw new TypeError(`The field ${name} has a value that cannot be sent`);
    list.push(name, value);
  }
  return list;
}

const UNSENDABLE = /[^\t -~\u0080-\u00ff]/;

export function requestList({ method, scheme, authority, path, fields, upgrade }: RequestHead): readonly string[] {
  for (const part of [method, authority, path, upgrade])
    if (part !== undefined && UNSENDABLE.test(part)) throw new TypeError("The request has a target that cannot be sent");
  if (method === "CONNECT") return addFields([":method", method, ":authority", authority], fields);
  const list = [":method", upgrade === undefined ? method : "CONNECT", ":scheme", scheme, ":path", path];
  if (authority !== "") list.push(":authority", authority);
  if (upgrade === undefined) return addFields(list, fields);
  list.push(":protocol", upgrade);
  // RFC 8441, 5: HTTP/2 needs no proof that it was understood
  return addFields(list, without(fields, "sec-websocket-key"));
}

export function responseList(status: number, fields: Fields): readonly string[] {
  return addFields([":status", String(status)], fields);
}

export function without(fields: Fields, name: string): Fields {
  const kept: string[] = [];
  for (let index = 0; index < fields.length; index += 2)
    if (fields[index]?.toLowerCase() !== name) kept.push(fields[index] ?? "", fields[index + 1] ?? "");
  return kept;
}

/** What HTTP/1.1's side of an Upgrade to a websocket expects, where HTTP/2's has said nothing of it (RFC 6455, 4.2.2). */
export function switched(request: RequestHead, { fields }: ResponseHead): ResponseHead {
  const key = fieldOf(request.fields, "sec-websocket-key");
  if (key === undefined) return { status: 101, fields };
  const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
  return { status: 101, fields: [...fields, "sec-websocket-accept", accept] };
}

/** The first value of a field. */
function fieldOf(fields: Fields, name: string): string | undefined {
  for (let index = 0; index < fields.length; index += 2)
    if (fields[index] === name || fields[index]?.toLowerCase() === name) return fields[index + 1];
  return undefined;
}
