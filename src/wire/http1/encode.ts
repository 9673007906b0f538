// Encode: writes heads of HTTP/1.1, with the frame and the connection's fields as this hop has them.
import { NO_FIELDS, type Fields, type RequestHead, type ResponseHead } from "../wire.ts";
import { CHUNKED, lengthOf, TO_END, type Frame } from "./frame.ts";
import { isToken, isValue, isVisible } from "../syntax.ts";

/** A head as it goes out, and where its body will end. */
export interface Encoded {
  readonly text: string;
  readonly frame: Frame;
}

/** Fields of one hop: this one's are made here, whatever was given. */
function isHop(small: string): boolean {
  switch (small) {
    case "connection":
    case "transfer-encoding":
    case "keep-alive":
    case "proxy-connection":
    case "upgrade":
    case "host":
    case "expect":
    case "te":
      return true;
    default:
      return false;
  }
}

/** Lengths of the names above and of Content-Length as bits, by their first letters: nearly all names are none of them by that. */
const LENGTHS = new Uint32Array(256);
for (const name of [
  "connection",
  "transfer-encoding",
  "keep-alive",
  "proxy-connection",
  "upgrade",
  "host",
  "expect",
  "te",
  "content-length",
]) {
  const first = name.charCodeAt(0);
  LENGTHS[first] = (LENGTHS[first] ?? 0) | (1 << name.length);
}

/** Lines of fields, and what they say of the body's length. */
interface Lines {
  text: string;
  length: number | undefined;
  /** The caller will take trailers (`TE: trailers`). */
  trailers: boolean;
}

/** `undefined`: a name, a value or a length is none, and must not go out. */
function linesOf(fields: Fields): Lines | undefined {
  let text = "";
  let length: number | undefined;
  let trailers = false;
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at] ?? "";
    const value = fields[at + 1] ?? "";
    if (!isToken(name) || !isValue(value)) return undefined;
    if (name.length < 32 && ((LENGTHS[name.charCodeAt(0) | 0x20] ?? 0) & (1 << name.length)) !== 0) {
      const small = name.toLowerCase();
      if (small === "content-length") {
        const number = lengthOf(value);
        if (number === undefined || (length !== undefined && length !== number)) return undefined;
        length = number;
        continue;
      }
      if (small === "te" && value === "trailers") trailers = true;
      if (isHop(small)) continue;
    }
    text += `${name}: ${value}\r\n`;
  }
  return { text, length, trailers };
}

/** Methods whose requests have a body by rule: without one they say so. */
const WITH_BODY = new Set(["POST", "PUT", "PATCH"]);

export function encodeRequest(head: RequestHead, ended: boolean): Encoded | undefined {
  const lines = linesOf(head.fields);
  if (lines === undefined || !isToken(head.method) || !isValue(head.authority) || !isVisible(head.path === "" ? head.authority : head.path))
    return undefined;
  let { text } = lines;
  let frame: Frame = 0;
  if (head.method === "CONNECT") frame = 0;
  else if (!ended) {
    frame = lines.length ?? CHUNKED;
    text += frame === CHUNKED ? "Transfer-Encoding: chunked\r\n" : `Content-Length: ${frame}\r\n`;
  } else if (lines.length === 0 || WITH_BODY.has(head.method)) text += "Content-Length: 0\r\n";
  if (lines.trailers)
    text += head.upgrade === undefined ? "Connection: TE\r\nTE: trailers\r\n" : "Connection: Upgrade, TE\r\nTE: trailers\r\n";
  else if (head.upgrade !== undefined) text += "Connection: Upgrade\r\n";
  if (head.upgrade !== undefined) {
    if (!isValue(head.upgrade)) return undefined;
    text += `Upgrade: ${head.upgrade}\r\n`;
  }
  const target = head.method === "CONNECT" ? head.authority : head.path;
  return { text: `${head.method} ${target} HTTP/1.1\r\nHost: ${head.authority}\r\n${text}\r\n`, frame };
}

const REASONS: Readonly<Record<number, string>> = {
  100: "Continue",
  101: "Switching Protocols",
  103: "Early Hints",
  200: "OK",
  201: "Created",
  202: "Accepted",
  204: "No Content",
  206: "Partial Content",
  301: "Moved Permanently",
  302: "Found",
  303: "See Other",
  304: "Not Modified",
  307: "Temporary Redirect",
  308: "Permanent Redirect",
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  409: "Conflict",
  413: "Content Too Large",
  414: "URI Too Long",
  415: "Unsupported Media Type",
  417: "Expectation Failed",
  421: "Misdirected Request",
  422: "Unprocessable Content",
  425: "Too Early",
  429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
  505: "HTTP Version Not Supported",
};

const statusLine = (status: number): string => `HTTP/1.1 ${status} ${REASONS[status] ?? ""}\r\n`;

/** What of a request decides about its response. */
export interface Asked {
  readonly method: string;
  readonly minor: 0 | 1;
}

/** `close`: the connection ends with this response. A body that ends with its connection makes it so, and is for HTTP/1.0 only. */
export function encodeResponse(head: ResponseHead, ended: boolean, asked: Asked, close: boolean): Encoded | undefined {
  const lines = linesOf(head.fields);
  if (lines === undefined || !Number.isInteger(head.status) || head.status < 200 || head.status > 999) return undefined;
  const { status } = head;
  let { text } = lines;
  let frame: Frame = 0;
  if (asked.method === "CONNECT" && status < 300) return { text: `${statusLine(status)}${text}\r\n`, frame };
  if (status === 204 || status === 304 || asked.method === "HEAD") {
    if (lines.length !== undefined && status !== 204) text += `Content-Length: ${lines.length}\r\n`;
  } else if (ended) text += "Content-Length: 0\r\n";
  else {
    frame = lines.length ?? (asked.minor === 1 ? CHUNKED : TO_END);
    if (frame === CHUNKED) text += "Transfer-Encoding: chunked\r\n";
    else if (frame !== TO_END) text += `Content-Length: ${frame}\r\n`;
  }
  if (close || frame === TO_END) text += "Connection: close\r\n";
  else if (asked.minor === 0) text += "Connection: keep-alive\r\n";
  return { text: `${statusLine(status)}${text}\r\n`, frame };
}

/** An interim response, or the switch to another protocol. */
export function encodeInterim(head: ResponseHead, upgrade: string | undefined): string | undefined {
  const lines = linesOf(head.fields);
  if (lines === undefined || head.status < 100 || head.status > 199) return undefined;
  const protocol = head.status === 101 ? `Connection: Upgrade\r\nUpgrade: ${protocolOf(head.fields) ?? upgrade ?? ""}\r\n` : "";
  return `${statusLine(head.status)}${lines.text}${protocol}\r\n`;
}

/** The answer to what is refused: the connection ends with it. */
export function encodeRefusal(status: number, fields: Fields): string {
  return `${statusLine(status)}${linesOf(fields)?.text ?? ""}Content-Length: 0\r\nConnection: close\r\n\r\n`;
}

/** The protocol that a 101 names. */
function protocolOf(fields: Fields): string | undefined {
  for (let at = 0; at < fields.length; at += 2) if (fields[at]?.toLowerCase() === "upgrade") return fields[at + 1];
  return undefined;
}

/** The trailer section behind the last chunk. Fields that must not be there are left out. */
export function encodeTrailers(trailers: Fields): string {
  return trailers === NO_FIELDS || trailers.length === 0 ? "0\r\n\r\n" : `0\r\n${linesOf(trailers)?.text ?? ""}\r\n`;
}
