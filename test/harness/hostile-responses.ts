// Hostile responses: what an upstream may say that must not reach a client as it is.

export interface HostileResponse {
  readonly name: string;
  /** Bytes as Latin-1. The upstream ends its side after them unless `stays`. */
  readonly bytes: string;
  readonly stays?: boolean;
  /** `bad`: the client gets an answer of the proxy's, 5xx. `cut`: it gets the head, and a body that visibly breaks off. A text: it gets this body, whole. */
  readonly client: "bad" | "cut" | { readonly body: string };
}

const bad = (name: string, bytes: string): HostileResponse => ({ name, bytes, client: "bad" });
const head = (name: string, fields: string): HostileResponse => bad(name, `HTTP/1.1 200 OK\r\n${fields}\r\nok`);
const chunked = (name: string, body: string): HostileResponse => ({
  name,
  bytes: `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n${body}`,
  client: "cut",
});

export const hostileResponses: readonly HostileResponse[] = [
  ...[
    "HTTP/1.1 abc OK",
    "HTTP/1.1 99 No",
    "HTTP/1.1 099 No",
    "HTTP/1.1 600 No",
    "HTTP/1.1 2000 OK",
    "HTTP/1.1  200 OK",
    "HTTP/1.1\t200\tOK",
    "HTTP/2 200 OK",
    "HTTP/2.0 200 OK",
    "HTTP/1.1200 OK",
    "http/1.1 200 OK",
    "ICY 200 OK",
    "HTTP/1.1 200 O\x00K",
    "HTTP/1.1 200 O\rK",
    "HTTP/1.1",
    "",
  ].map((line) => bad(`the line ${JSON.stringify(line)}`, `${line}\r\nContent-Length: 2\r\n\r\nok`)),
  bad("bytes that are not HTTP", "SSH-2.0-OpenSSH_9.6\r\n"),
  bad("noise", "\x00\x01\xff\xfe\x00"),
  bad("nothing at all", ""),
  bad("half a head", "HTTP/1.1 200 OK\r\nContent-Le"),
  bad("LF at every line's end", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok"),
  head("Content-Length and Transfer-Encoding", "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n"),
  head("two lengths that differ", "Content-Length: 2\r\nContent-Length: 7\r\n"),
  head("two lengths in one field", "Content-Length: 2, 2\r\n"),
  head("a length that is no number", "Content-Length: +2\r\n"),
  head("an unknown coding", "Transfer-Encoding: gzip\r\n"),
  head("two codings", "Transfer-Encoding: gzip, chunked\r\n"),
  head("chunked twice", "Transfer-Encoding: chunked, chunked\r\n"),
  bad("Transfer-Encoding in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
  head("a folded field", "Content-Length: 2\r\nA: b\r\n c\r\n"),
  head("a lone CR in a value", "Content-Length: 2\r\nA: b\rSet-Cookie: c\r\n"),
  head("a lone LF in a value", "Content-Length: 2\r\nA: b\nSet-Cookie: c\r\n"),
  head("NUL in a value", "Content-Length: 2\r\nA: b\x00\r\n"),
  head("a space before the colon", "Content-Length : 2\r\n"),
  head("a field without a colon", "Content-Length: 2\r\nnothing\r\n"),
  head("very many fields", `Content-Length: 2\r\n${"A: b\r\n".repeat(5_000)}`),
  head("a very large field", `Content-Length: 2\r\nA: ${"b".repeat(200_000)}\r\n`),
  bad("a head without an end", `HTTP/1.1 200 OK\r\n${"A: b\r\n".repeat(100_000)}`),
  bad("a switch of protocols that nobody asked for", "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nbytes"),
  bad("interim responses without end", "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(1_000)),
  bad(
    "an interim response with a body",
    "HTTP/1.1 103 Early Hints\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
  ),
  bad("204 with a body", "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok"),
  chunked("a chunk's size that is no number", "x\r\nbytes"),
  chunked("a chunk's size with a sign", "+2\r\nok\r\n0\r\n\r\n"),
  chunked("a chunk that is larger than numbers go", "ffffffffffffffff\r\nok"),
  chunked("junk behind a chunk", "2\r\nokX\r\n0\r\n\r\n"),
  chunked("a chunked body that is cut", "5\r\nhe"),
  chunked("a chunked body without its last chunk", ""),
  chunked("a very long extension", `2;${"a".repeat(100_000)}\r\nok\r\n0\r\n\r\n`),
  chunked("framing in the trailers", "0\r\nContent-Length: 2\r\n\r\n"),
  chunked("very many trailers", `0\r\n${"A: b\r\n".repeat(20_000)}\r\n`),
  { name: "a body that is shorter than its length", bytes: "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok", client: "cut" },
  { name: "junk behind the response", bytes: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokjunk", stays: true, client: { body: "ok" } },
  {
    name: "a second response behind the first",
    bytes: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
    stays: true,
    client: { body: "ok" },
  },
  { name: "a line without a reason", bytes: "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", stays: true, client: { body: "ok" } },
];
