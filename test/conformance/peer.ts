// Peer: the server of the differential tests; its path says what it does, and it writes down all that came over the wire.
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { TestContext } from "node:test";
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from "node:zlib";
import { ADDED_FIELDS } from "./healthy.ts";
import { steady } from "./observe.ts";

/** One request as the peer saw it, without what premesh may add. */
export interface Logged {
  readonly method: string;
  readonly url: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  body: string;
  trailers: Readonly<Record<string, unknown>>;
  /** Whether all of it came. */
  complete: boolean;
}

export interface Peer {
  readonly origin: string;
  /** What was seen since the last call, once every request in it is over. */
  seen(): Promise<readonly Logged[]>;
  /** Settles when the n-th request since the last `seen` has begun. */
  readonly begun: (n: number) => Promise<void>;
}

type Handle = (
  request: IncomingMessage,
  response: ServerResponse,
  argument: string,
  query: URLSearchParams,
  body: Promise<Buffer>,
) => unknown;

const TEXT = "premesh ".repeat(512);

const raw =
  (...parts: string[]): Handle =>
  async (request, _response, _argument, _query, body) => {
    await body;
    for (const part of parts) request.socket.write(part);
    request.socket.end();
  };

const encoded =
  (coding: string, bytes: Buffer): Handle =>
  (_request, response) =>
    response.writeHead(200, { "content-type": "text/plain", "content-encoding": coding }).end(bytes);

const handlers: Readonly<Record<string, Handle>> = {
  echo: async (request, response, _argument, _query, body) => {
    const bytes = await body;
    response.writeHead(200, {
      "content-type": request.headers["content-type"] ?? "application/octet-stream",
      "x-method": request.method ?? "",
    });
    response.end(bytes);
  },
  status: (_request, response, argument, query) => {
    response.statusMessage = query.get("text") ?? "";
    response.writeHead(Number(argument), { "x-kind": "status" });
    response.end(argument === "204" || argument === "205" || argument === "304" ? undefined : `status ${argument}`);
  },
  redirect: async (_request, response, argument, query, body) => {
    await body;
    const to = query.get("to");
    response.writeHead(Number(argument), to === null ? {} : { location: to }).end("moved");
  },
  chain: (_request, response, argument) => {
    const left = Number(argument);
    response.writeHead(left > 0 ? 302 : 200, left > 0 ? { location: `/chain/${left - 1}` } : {}).end(`left ${left}`);
  },
  gzip: encoded("gzip", gzipSync(TEXT)),
  br: encoded("br", brotliCompressSync(TEXT)),
  deflate: encoded("deflate", deflateSync(TEXT)),
  "deflate-raw": encoded("deflate", deflateRawSync(TEXT)),
  "gzip-twice": encoded("gzip, gzip", gzipSync(gzipSync(TEXT))),
  "bad-gzip": encoded("gzip", Buffer.from("this is no gzip")),
  "cut-gzip": encoded("gzip", gzipSync(TEXT).subarray(0, 40)),
  "unknown-coding": encoded("snail", Buffer.from("as it is")),
  chunks: async (_request, response, argument) => {
    response.writeHead(200, { "content-type": "text/plain", trailer: "x-sum" });
    for (let index = 0; index < Number(argument); index++) {
      await new Promise<void>((resolve) => response.write(`chunk ${index};`, () => resolve()));
    }
    response.addTrailers({ "x-sum": argument });
    response.end();
  },
  large: (_request, response, argument) => response.end(Buffer.alloc(Number(argument), "abcdefghij")),
  cookies: (_request, response) => response.writeHead(200, { "set-cookie": ["a=1; Path=/", "b=2, c", "d=3"], vary: "cookie" }).end("ok"),
  headers: (_request, response, argument) =>
    response
      .writeHead(200, { "x-large": "v".repeat(Number(argument)), "X-Case": "Kept", "x-twice": ["1", "2"], "x-latin": "caf\u00e9" })
      .end("ok"),
  hints: (_request, response) => {
    response.writeEarlyHints({ link: "</style.css>; rel=preload" });
    response.writeProcessing();
    response.writeHead(200, { "x-final": "yes" }).end("after hints");
  },
  type: (_request, response, argument, query) =>
    response.writeHead(200, { "content-type": query.get("is") ?? "" }).end(decodeURIComponent(argument)),
  hang: () => undefined,
  "hang-body": (_request, response) => response.writeHead(200, { "content-type": "text/plain" }).write("first part;"),
  reset: (request) => request.socket.destroy(),
  "reset-body": (request, response) =>
    response.writeHead(200, { "content-length": "100" }).write("first part;", () => void request.socket.destroy()),
  short: raw("HTTP/1.1 200 OK\r\ncontent-length: 10\r\nconnection: close\r\n\r\n", "abc"),
  garbage: raw("this is no HTTP\r\n\r\n"),
  "bad-chunk": raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n", "zz\r\nbroken"),
  "until-close": raw("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", "no length, no chunks"),
  http10: raw("HTTP/1.0 200 Fine\r\nx-old: yes\r\n\r\n", "old"),
};

function described(bytes: Buffer): string {
  if (bytes.length > 4_096) return `${bytes.length} bytes, sha256 ${createHash("sha256").update(bytes).digest("hex")}`;
  return steady(bytes.toString("latin1"));
}

export async function openPeer(t: TestContext): Promise<Peer> {
  let log: { readonly logged: Logged; readonly over: Promise<unknown> }[] = [];
  let waiting: { readonly n: number; readonly resolve: () => void }[] = [];
  const server = createServer((request, response) => {
    response.sendDate = false;
    const { pathname, searchParams } = new URL(request.url ?? "", "http://peer");
    const [, kind = "", argument = ""] = pathname.split("/");
    const { rawHeaders } = request;
    const headers: [string, string][] = [];
    for (let index = 0; index < rawHeaders.length; index += 2) {
      const [name = "", value = ""] = rawHeaders.slice(index, index + 2);
      if (!ADDED_FIELDS.has(name.toLowerCase())) headers.push([name, steady(value)]);
    }
    const logged: Logged = { method: request.method ?? "", url: request.url ?? "", headers, body: "", trailers: {}, complete: false };
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part)).on("error", () => undefined);
    const body = new Promise<Buffer>((resolve) => {
      const ended = (): void => {
        const bytes = Buffer.concat(parts);
        logged.complete = request.complete;
        // how much of a broken upload came is chance
        logged.body = request.complete ? described(bytes) : "broken off";
        logged.trailers = { ...request.trailers };
        resolve(bytes);
      };
      request.once("end", ended).once("close", ended);
    });
    response.on("error", () => undefined);
    log.push({ logged, over: body });
    for (const { n, resolve } of waiting) if (n === log.length) resolve();
    const handle = handlers[kind];
    if (handle === undefined) response.writeHead(404).end(`no such path: ${kind}`);
    else void handle(request, response, argument, searchParams, body);
  });
  const sockets = new Set<Socket>();
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined).once("close", () => sockets.delete(socket));
  });
  server.on("clientError", (_error, socket) => void socket.destroy());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, // the cast: a TCP server has such an address
    seen: async () => {
      const taken = log;
      log = [];
      waiting = [];
      await Promise.all(taken.map(({ over }) => over));
      return taken.map(({ logged }) => logged);
    },
    begun: (n) => (log.length >= n ? Promise.resolve() : new Promise((resolve) => waiting.push({ n, resolve }))),
  };
}
