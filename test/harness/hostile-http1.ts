// Hostile HTTP/1.1: requests that proxies have been fooled with, what a strict one answers, and a way to send them to any address.
//
// Whatever is refused must be refused before a byte of it reaches the upstream, whose every answer is taken to be 200 with the body `ok`.
import { connect } from "node:net";

/** What may become of a request: one of these statuses, or the connection is closed without a word. Several where standards leave the choice. */
export type Allowed = readonly (number | "closed")[];

export interface HostileCase {
  readonly name: string;
  /** Bytes as Latin-1, sent one after the other. `{host}` stands for the host that is asked for. */
  readonly send: readonly string[];
  readonly allowed: Allowed;
  /** What becomes of a request that stands before it on the connection. Default: there is none. */
  readonly first?: number;
}

const REFUSED: Allowed = [400, "closed"];
const TOO_LARGE: Allowed = [431, 400, "closed"];
const UNKNOWN: Allowed = [501, 400, "closed"];

/** A request with these fields behind Host, and a body. */
const post = (fields: string, body = "", line = "POST /hostile HTTP/1.1"): string[] => [`${line}\r\nHost: {host}\r\n${fields}\r\n${body}`];
const get = (line: string, fields = "Host: {host}\r\n"): string[] => [`${line}\r\n${fields}\r\n`];
const chunked = (body: string): string[] => post("Transfer-Encoding: chunked\r\n", body);
const of = (name: string, send: readonly string[], allowed: Allowed = REFUSED): HostileCase => ({ name, send, allowed });

const SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: {host}\r\n\r\n";

const frames: readonly HostileCase[] = [
  of("Content-Length and Transfer-Encoding", post("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", `0\r\n\r\n${SMUGGLED}`)),
  of("Transfer-Encoding and Content-Length", post("Transfer-Encoding: chunked\r\nContent-Length: 6\r\n", `0\r\n\r\n${SMUGGLED}`)),
  of("two lengths that differ", post("Content-Length: 2\r\nContent-Length: 5\r\n", "hello")),
  of("two lengths that are equal", post("Content-Length: 2\r\nContent-Length: 2\r\n", "ok"), [400, 200, "closed"]),
  of("two lengths in one field", post("Content-Length: 2, 5\r\n", "hello")),
  ...["+2", "-2", "0x2", "2a", "", "1e1", "2 2", "2;", '"2"', "99999999999999999999", "٢"].map((length) =>
    of(`Content-Length ${JSON.stringify(length)}`, post(`Content-Length: ${length}\r\n`, "ok")),
  ),
  ...[
    "xchunked",
    "identity",
    "gzip",
    "gzip, chunked",
    "chunked, identity",
    "chunked;q=1",
    "chunked, chunked",
    "",
    "chunked\x0b",
    '"chunked"',
    "chun ked",
  ].map((coding) =>
    of(`Transfer-Encoding ${JSON.stringify(coding)}`, post(`Transfer-Encoding: ${coding}\r\n`, `0\r\n\r\n${SMUGGLED}`), UNKNOWN),
  ),
  of(
    "two Transfer-Encoding fields",
    post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", `0\r\n\r\n${SMUGGLED}`),
    UNKNOWN,
  ),
  of("Transfer-Encoding in HTTP/1.0", post("Transfer-Encoding: chunked\r\n", "0\r\n\r\n", "POST / HTTP/1.0"), [400, 426, "closed"]),
  of(
    "CONNECT with a length",
    ["CONNECT {host}:80 HTTP/1.1\r\nHost: {host}:80\r\nContent-Length: 5\r\n\r\nhello"],
    [400, 403, 404, 405, "closed"],
  ),
];

const chunks: readonly HostileCase[] = [
  ...["5 ", " 5", "0x5", "+5", "-5", "g", "", "5\t", "5_0", "5\x00", "fffffffffffffffff", "5\r", "5;\x00", "5;a\rb", "5,"].map((size) =>
    of(`a chunk of size ${JSON.stringify(size)}`, chunked(`${size}\r\nhello\r\n0\r\n\r\n`)),
  ),
  of("a chunk's size that ends with LF", chunked("5\nhello\r\n0\r\n\r\n")),
  of("an extension with LF in it", chunked("5;a\nhello\r\n0\r\n\r\n")),
  of("junk behind a chunk", chunked("5\r\nhelloXX\r\n0\r\n\r\n")),
  of("LF behind a chunk", chunked("5\r\nhello\n0\r\n\r\n")),
  of("CR and more behind a chunk", chunked("5\r\nhello\rX0\r\n\r\n")),
  of("a very long extension", chunked(`5;a=${"b".repeat(100_000)}\r\nhello\r\n0\r\n\r\n`), [400, 413, 431, "closed"]),
  of("very many extensions", chunked(`${"1;abcdefghijklmnopqrstuvwxyz\r\na\r\n".repeat(2_000)}0\r\n\r\n`), [400, 413, 431, "closed"]),
  of("a size of very many zeros", chunked(`${"0".repeat(100_000)}5\r\nhello\r\n0\r\n\r\n`), [400, 413, 431, "closed"]),
  ...["Content-Length: 5", "Transfer-Encoding: chunked", "Host: other"].map((field) =>
    of(`${field} in the trailers`, chunked(`0\r\n${field}\r\n\r\n`)),
  ),
  of("folded trailers", chunked("0\r\nA: b\r\n c\r\n\r\n")),
  of("trailers that end with LF", chunked("0\r\nA: b\n\n")),
  of("a trailer without a colon", chunked("0\r\nnothing\r\n\r\n")),
  of("very many trailers", chunked(`0\r\n${"A: b\r\n".repeat(20_000)}\r\n`), [413, ...TOO_LARGE]),
];

const lines: readonly HostileCase[] = [
  of("a folded field", get("GET / HTTP/1.1", "Host: {host}\r\nA: b\r\n c\r\n")),
  of("a fold before the first field", get("GET / HTTP/1.1", " Host: {host}\r\nHost: {host}\r\n")),
  of("LF at every line's end", ["GET / HTTP/1.1\nHost: {host}\n\n"]),
  of("LF at one line's end", get("GET / HTTP/1.1", "Host: {host}\r\nA: b\nC: d\r\n")),
  of("LF behind the first line", ["GET / HTTP/1.1\nHost: {host}\r\n\r\n"]),
  of("LF as the empty line", ["GET / HTTP/1.1\r\nHost: {host}\r\n\n"]),
  of("a lone CR in a value", get("GET / HTTP/1.1", "Host: {host}\r\nA: b\rC: d\r\n")),
  of("CR CR LF", get("GET / HTTP/1.1", "Host: {host}\r\nA: b\r\r\n")),
  ...["\x00", "\x01", "\x08", "\x0b", "\x0c", "\x1b", "\x7f"].map((control) =>
    of(`${JSON.stringify(control)} in a value`, get("GET / HTTP/1.1", `Host: {host}\r\nA: b${control}c\r\n`)),
  ),
  ...["A : b", "A\t: b", "A", ": b", "A b: c", "A\x00: b", "A(: b", "\xe4: b", "A\x7f: b", "\x00", "[A]: b", "A;: b"].map((field) =>
    of(`the field ${JSON.stringify(field)}`, get("GET / HTTP/1.1", `Host: {host}\r\n${field}\r\n`)),
  ),
  of("Transfer-Encoding with a space before its colon", post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n")),
  of("very many fields", get("GET / HTTP/1.1", `Host: {host}\r\n${"A: b\r\n".repeat(1_000)}`), TOO_LARGE),
  of("a very large field", get("GET / HTTP/1.1", `Host: {host}\r\nA: ${"b".repeat(200_000)}\r\n`), TOO_LARGE),
  of("a field's very long name", get("GET / HTTP/1.1", `Host: {host}\r\n${"a".repeat(200_000)}: b\r\n`), TOO_LARGE),
  of("a head without an end", [`GET / HTTP/1.1\r\n${"A: b\r\n".repeat(100_000)}`], TOO_LARGE),
];

const hosts: readonly HostileCase[] = [
  of("no Host", get("GET / HTTP/1.1", "A: b\r\n")),
  of("two Host fields", get("GET / HTTP/1.1", "Host: {host}\r\nHost: other\r\n")),
  of("two equal Host fields", get("GET / HTTP/1.1", "Host: {host}\r\nHost: {host}\r\n")),
  ...[
    "a, b",
    "a/b",
    "a b",
    "user@a",
    "user:secret@a",
    "a:99999",
    "a:x",
    "a:-1",
    "a:80:80",
    "[::1",
    "::1",
    "",
    "a#b",
    "a?b",
    "a..b",
    "\xe4",
    "http://a",
    "a%00",
    "[v1",
    "a\\b",
  ].map((host) => of(`Host ${JSON.stringify(host)}`, get("GET / HTTP/1.1", `Host: ${host}\r\n`))),
  ...[
    "http://",
    "http:///a",
    "http://user@a/",
    "http://a:99999/",
    "http://a b/",
    "http://a,b/",
    "ftp://a/",
    "//",
    "http:/a",
    "http://a\\b/",
  ].map((target) =>
    of(`the target ${target}`, get(`GET ${target} HTTP/1.1`), target === "//" ? [200, 400, "closed"] : [400, 403, 404, "closed"]),
  ),
];

const requestLines: readonly HostileCase[] = [
  ...[
    "GET  / HTTP/1.1",
    "GET /  HTTP/1.1",
    "GET\t/\tHTTP/1.1",
    "GET / HTTP/1.1 ",
    " GET / HTTP/1.1",
    "GET /",
    "GET / http/1.1",
    "GET / HTTP/1.10",
    "GET / HTTP/11",
    "GET / HTTP/1,1",
    "GET / HTTP/x",
    "GET / HTTP /1.1",
    "GET / HTTP/1.1\x00",
    "G@T / HTTP/1.1",
    "GET\x00 / HTTP/1.1",
    "\xc4 / HTTP/1.1",
    "GET /\xe4 HTTP/1.1",
    "GET /\x00 HTTP/1.1",
    "GET /\x7f HTTP/1.1",
    "GET /a b HTTP/1.1",
    "GET /a#b HTTP/1.1",
    "GET /a<b HTTP/1.1",
    "GET /a\\..\\b HTTP/1.1",
    "GET a HTTP/1.1",
    "GET * HTTP/1.1",
    "GET ?a HTTP/1.1",
    "CONNECT shop.internal HTTP/1.1",
    "CONNECT / HTTP/1.1",
    "CONNECT http://{host}/ HTTP/1.1",
    "HTTP/1.1 200 OK",
    "",
  ].map((line) => of(`the line ${JSON.stringify(line)}`, get(line), [400, 404, 405, 426, "closed"])),
  ...["HTTP/0.9", "HTTP/1.2", "HTTP/2.0", "HTTP/3.0", "HTTP/9.9"].map((version) =>
    of(version, get(`GET / ${version}`), [505, 400, 426, "closed"]),
  ),
  of("a very long target", get(`GET /${"a".repeat(200_000)} HTTP/1.1`), [414, 431, 400, "closed"]),
  of("a very long method", get(`${"A".repeat(200_000)} / HTTP/1.1`), [400, 414, 431, 501, "closed"]),
  of("two empty lines before the request", [`\r\n\r\n${get("GET / HTTP/1.1").join("")}`], [400, 200, "closed"]),
  of("a TLS ClientHello", ["\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03aaaaaaaaaaaaaaaaaaaaaaaa\r\n\r\n"]),
  of("noise", ["\x00\x01\x02\x03\xff\xfe\r\n\r\n"]),
  of("a preface of HTTP/2 that goes wrong", ["PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"]),
  of("an expectation that nobody knows", post("Content-Length: 2\r\nExpect: a-miracle\r\n", "ok"), [417, 400, "closed"]),
];

const sequences: readonly HostileCase[] = [
  { ...of("a bad request behind a good one", [`GET / HTTP/1.1\r\nHost: {host}\r\n\r\nGET / HTTP/1.1\r\n\r\n`]), first: 200 },
  { ...of("noise behind a good request", ["GET / HTTP/1.1\r\nHost: {host}\r\n\r\n", "\x00\x00\r\n\r\n"]), first: 200 },
  {
    ...of("noise behind Connection: close", ["GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n\x00\x00"], ["closed"]),
    first: 200,
  },
  {
    ...of("a request behind Connection: close", [`GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n${SMUGGLED}`], ["closed"]),
    first: 200,
  },
];

export const hostileRequests: readonly HostileCase[] = [...frames, ...chunks, ...lines, ...hosts, ...requestLines, ...sequences];

export interface HostileOutcome {
  /** The final statuses that came, in order. */
  readonly statuses: readonly number[];
  readonly closed: boolean;
  readonly text: string;
}

/** Sends a case to an address (`127.0.0.1:15001`), and waits until the connection is closed, or for `patienceMs`. */
export function sendHostile(address: string, { send }: HostileCase, host: string, patienceMs = 5_000): Promise<HostileOutcome> {
  const { hostname, port } = new URL(`http://${address}`);
  return new Promise((resolve) => {
    const socket = connect({ host: hostname.replaceAll(/[[\]]/g, ""), port: Number(port), noDelay: true });
    let text = "";
    const done = (closed: boolean): void => {
      clearTimeout(late);
      socket.destroy();
      const statuses = [...text.matchAll(/HTTP\/1\.[01] ([2-5]\d\d)/g)].map(([, status]) => Number(status));
      resolve({ statuses, closed, text });
    };
    const late = setTimeout(() => done(false), patienceMs);
    const next = (at: number): void => {
      const part = send[at];
      if (part === undefined || socket.destroyed) return;
      socket.write(Buffer.from(part.replaceAll("{host}", host), "latin1"), () => setImmediate(() => next(at + 1)));
    };
    socket.on("connect", () => next(0));
    socket.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
    socket.on("error", () => undefined);
    socket.on("close", () => done(true));
  });
}

/** Whether an outcome is one of those that a case allows. */
export function isAllowed({ allowed, first }: HostileCase, { statuses, closed }: HostileOutcome): boolean {
  const [one, ...rest] = statuses;
  const own = first === undefined ? statuses : rest;
  if (first !== undefined && one !== first) return false;
  const [status] = own;
  if (own.length > 1) return false; // what was hidden in it was answered
  if (status === undefined) return closed && allowed.includes("closed");
  return allowed.includes(status) && (closed || status < 300);
}
