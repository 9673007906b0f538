// Fields: header lists of HTTP/2 as the wire's heads, and heads as what node:http2 sends.
import { createHash, randomBytes } from "node:crypto";
import type { OutgoingHttpHeaders } from "node:http2";
import type { Fields, RequestHead, ResponseHead } from "../wire.ts";

/** A request that is not allowed, in words for a log. */
export type Malformed = string;

/** The head behind a header list, or what is wrong with it. What nghttp2 refuses never comes here: unknown or late pseudo-fields, names in capitals, connection-specific fields. */
export function requestHead(list: readonly string[], maxBytes: number): RequestHead | Malformed {
  if (sizeOf(list) > maxBytes) return "too large";
  let method = "";
  let scheme = "";
  let authority: string | undefined;
  let path = "";
  let upgrade: string | undefined;
  let host: string | undefined;
  let cookie = -1;
  const fields: string[] = [];
  for (let index = 0; index < list.length; index += 2) {
    const name = list[index] ?? "";
    const value = list[index + 1] ?? "";
    if (name.startsWith(":")) {
      if (name === ":method") method = value;
      else if (name === ":scheme") scheme = value;
      else if (name === ":authority") authority = value;
      else if (name === ":path") path = value;
      else if (name === ":protocol") upgrade = value;
    } else if (name === "host") {
      if (host !== undefined) return "two Host fields";
      host = value;
    } else if (name === "cookie" && cookie >= 0) {
      fields[cookie] += `; ${value}`; // RFC 9113, 8.2.3: its crumbs are one field to whatever is not HTTP/2
    } else {
      if (name === "cookie") cookie = fields.length + 1;
      fields.push(name, value);
    }
  }
  if (host !== undefined && authority !== undefined && host.toLowerCase() !== authority.toLowerCase()) return "Host is not :authority";
  authority ??= host ?? "";
  if (authority.includes("@")) return ":authority with user information";
  const tunnel = method === "CONNECT" && upgrade === undefined;
  if (!tunnel && scheme !== "http" && scheme !== "https") return `:scheme ${scheme}`;
  // what could not stand in a request line of HTTP/1.1
  if (!tunnel && !PATH.test(path)) return ":path";
  if (path === "*" && method !== "OPTIONS") return ":path * of a method that is not OPTIONS";
  if (upgrade !== undefined) {
    if (method !== "CONNECT") return ":protocol of a method that is not CONNECT";
    method = "GET"; // an extended CONNECT (RFC 8441) is the Upgrade of HTTP/1.1, and looks like one to the rest of us
    if (upgrade === "websocket") fields.push("sec-websocket-key", randomBytes(16).toString("base64"));
  }
  return { method, scheme: scheme === "https" ? scheme : "http", authority, path: tunnel ? "" : path, fields, upgrade };
}

const PATH = /^(?:\/[!"$-~\u0080-\u00ff]*|\*)$/;

/** The head behind a response's header list. nghttp2 has seen to it that there is one `:status`, of three digits. */
export function responseHead(list: readonly string[]): ResponseHead {
  let status = 0;
  const fields: string[] = [];
  for (let index = 0; index < list.length; index += 2) {
    const name = list[index] ?? "";
    const value = list[index + 1] ?? "";
    if (name === ":status") status = Number(value);
    else fields.push(name, value);
  }
  return { status, fields };
}

/** By RFC 9113's measure (6.5.2). */
export function sizeOf(list: readonly string[]): number {
  let size = 0;
  for (let index = 0; index < list.length; index++) size += (list[index]?.length ?? 0) + 16;
  return size;
}

/**
 * Adds fields to a header list that goes out. Names become lower case; what belongs to a connection of HTTP/1.1 is left out (RFC 9113, 8.2.2). Throws where a value
 * has what no field can have: node:http2 would take a zero for the end of the value, and what follows for another field.
 */
export function addFields(list: string[], fields: Fields): string[] {
  for (let index = 0; index < fields.length; index += 2) {
    const name = (fields[index] ?? "").toLowerCase();
    const value = fields[index + 1] ?? "";
    if (CONNECTION_SPECIFIC.has(name) || name.startsWith(":") || (name === "te" && value.toLowerCase() !== "trailers")) continue;
    if (UNSENDABLE.test(value)) throw new TypeError(`The field ${name} has a value that cannot be sent`);
    list.push(name, value);
  }
  return list;
}

// oxlint-disable-next-line no-control-regex -- they are what is looked for
const UNSENDABLE = /[\0\r\n]/;

const CONNECTION_SPECIFIC = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
  "http2-settings",
  "host",
]);

/** A header list as an object, where node:http2 takes no other. */
export function headersOf(list: readonly string[]): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = {};
  for (let index = 0; index < list.length; index += 2) {
    const name = list[index] ?? "";
    const value = list[index + 1] ?? "";
    const there = headers[name];
    if (there === undefined) headers[name] = value;
    else if (Array.isArray(there)) there.push(value);
    else headers[name] = [String(there), value];
  }
  return headers;
}

export function requestList({ method, scheme, authority, path, fields, upgrade }: RequestHead): readonly string[] {
  if (method === "CONNECT") return addFields([":method", method, ":authority", authority], fields);
  const list = [":method", upgrade === undefined ? method : "CONNECT", ":scheme", scheme, ":path", path];
  if (authority !== "") list.push(":authority", authority);
  if (upgrade === undefined) return addFields(list, fields);
  list.push(":protocol", upgrade);
  // RFC 8441, 5: HTTP/2 needs no proof that it was understood
  return addFields(list, without(fields, "sec-websocket-key"));
}

export function responseList(status: number, fields: Fields): string[] {
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

/** What is looked up in a head: the first value of a field. */
export function fieldOf(fields: Fields, name: string): string | undefined {
  for (let index = 0; index < fields.length; index += 2)
    if (fields[index] === name || fields[index]?.toLowerCase() === name) return fields[index + 1];
  return undefined;
}
