// Relay: a proxy over the wire alone, HTTP/2 in and HTTP/2 out, that does nothing but pass on; and the servers that it stands between.
import { once } from "node:events";
import { createServer as createHttp2, type Http2Server as NodeServer, type ServerHttp2Stream, type IncomingHttpHeaders } from "node:http2";
import { type AddressInfo, createServer, type Server } from "node:net";
import type { TestContext } from "node:test";
import { newDial } from "../../src/wire/dial.ts";
import { newHttp2Client } from "../../src/wire/http2/client.ts";
import { type Http2Server, newHttp2Server } from "../../src/wire/http2/server.ts";
import type { Break, Exchange, Upstreams } from "../../src/wire/wire.ts";

/** What a relay has seen break off. */
export interface Broken {
  readonly side: "client" | "upstream";
  readonly why: Break;
}

/** Passes one exchange on to an origin, as plainly as can be. */
export function passOn(exchange: Exchange, upstreams: Upstreams, origin: URL, broken: (what: Broken) => void = () => undefined): void {
  const up = upstreams.open({ origin, version: "2" }, exchange.head, exchange.bodyless, {
    connected: () => undefined,
    inform: (head) => exchange.inform(head),
    head: (head, ended) => exchange.respond(head, ended),
    data: (chunk) => {
      if (!exchange.write(chunk)) up.pause();
    },
    end: (trailers) => exchange.end(trailers),
    broken: (why) => {
      broken({ side: "upstream", why });
      exchange.reset(why.why);
    },
    drained: () => exchange.resume(),
  });
  exchange.receive({
    data: (chunk) => {
      if (!up.write(chunk)) exchange.pause();
    },
    end: (trailers) => up.end(trailers),
    broken: (why) => {
      broken({ side: "client", why });
      up.reset("cancelled");
    },
    drained: () => up.resume(),
  });
}

/** A port of loopback, closed after the test. */
async function listening(t: TestContext, server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
  });
  return (server.address() as AddressInfo).port; // the cast: a TCP server has such an address
}

export interface Served {
  readonly port: number;
  readonly server: Http2Server;
}

/** The wire's own server of HTTP/2 on a port. */
export async function serve(t: TestContext, received: (exchange: Exchange) => void): Promise<Served> {
  const server = newHttp2Server(received);
  const port = await listening(
    t,
    createServer((socket) => {
      socket.on("error", () => undefined);
      server.take(socket);
    }),
  );
  t.after(() => server.destroy());
  return { port, server };
}

export interface NodeUpstream {
  readonly origin: URL;
  readonly server: NodeServer;
}

/** A server of Node's own. */
export async function nodeUpstream(
  t: TestContext,
  answer: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void,
): Promise<NodeUpstream> {
  const sessions = new Set<{ destroy(): void }>();
  const server = createHttp2();
  server.on("session", (session) => {
    sessions.add(session);
    session.on("error", () => undefined);
  });
  server.on("stream", (stream, headers) => {
    stream.on("error", () => undefined);
    answer(stream, headers);
  });
  const port = await listening(t, server);
  t.after(() => {
    for (const session of sessions) session.destroy();
  });
  return { origin: new URL(`http://127.0.0.1:${port}`), server };
}

export interface Relay extends Served {
  readonly origin: URL;
  readonly upstreams: Upstreams;
  readonly broken: readonly Broken[];
}

/** A relay in front of an origin. */
export async function relay(t: TestContext, origin: URL): Promise<Relay> {
  const upstreams = newHttp2Client({ dial: newDial({ connectMs: 5_000 }), connectMs: 5_000 });
  const broken: Broken[] = [];
  const served = await serve(t, (exchange) => passOn(exchange, upstreams, origin, (what) => broken.push(what)));
  t.after(() => {
    void upstreams.close();
  });
  return { ...served, upstreams, broken, origin: new URL(`http://127.0.0.1:${served.port}`) };
}
