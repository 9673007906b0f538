// Tunnels: what comes through a CONNECT that was accepted is looked at; HTTP is served, and all else passes untouched.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { suite, test, type TestContext } from "node:test";
import { defaultLimits } from "../../../src/wire/limits.ts";
import type { ListenOptions } from "../../../src/wire/listen.ts";
import { tunnelProtocol } from "../../../src/wire/tunnel.ts";
import { createUpstreams } from "../../../src/wire/upstreams.ts";
import type { Exchange } from "../../../src/wire/wire.ts";
import { relayTo } from "../../harness/pass-on.ts";
import { rawClient, type RawEnd, rawServer } from "../../harness/raw.ts";
import { eventually, listenFor, manualClock, type Wired } from "../../harness/wire.ts";

interface Proxy extends Wired {
  readonly seen: Exchange[];
}

/** A proxy that looks into tunnels: it answers HTTP by itself, and joins the opaque ones to an origin. */
async function proxy(t: TestContext, origin: URL, options: Partial<ListenOptions> = {}): Promise<Proxy> {
  const seen: Exchange[] = [];
  const upstreams = createUpstreams();
  t.after(() => void upstreams.close()); // the client, closed later, holds its tunnel until then
  const join = relayTo(upstreams, { origin, version: "1.1", tunnel: true });
  const wired = await listenFor(
    t,
    (exchange) => {
      seen.push(exchange);
      if (exchange.head.method === "CONNECT") exchange.accept(["via", "1.1 p"], () => join(exchange));
      else exchange.respond({ status: 200, fields: ["content-length", "2"] }, false);
      exchange.write(Buffer.from("ok"));
      exchange.end();
    },
    options,
  );
  return { ...wired, seen };
}

const CONNECT = "CONNECT shop.internal:80 HTTP/1.1\r\nHost: shop.internal:80\r\n\r\n";
const ACCEPTED = "HTTP/1.1 200 OK\r\nvia: 1.1 p\r\n\r\n";

async function accepted(t: TestContext, { address }: Proxy): Promise<RawEnd> {
  const client = await rawClient(t, address);
  client.send(CONNECT);
  assert.equal(await client.until(/\r\n\r\n$/), ACCEPTED);
  return client;
}

suite("a tunnel", () => {
  test("that carries HTTP/1.1 is served, request after request, to the authority of the CONNECT", async (t) => {
    const server = await rawServer(t);
    const { seen, listener, ...rest } = await proxy(t, server.origin);
    const client = await accepted(t, { seen, listener, ...rest });
    client.send("GET /a HTTP/1.1\r\nHost: Shop.internal\r\n\r\n");
    await client.until(/ok$/);
    client.send("GET /b HTTP/1.1\r\nHost: elsewhere\r\n\r\nGET http://other:81/c HTTP/1.1\r\nHost: elsewhere\r\n\r\n");
    await client.until(/(?:ok[^]*){3}$/);
    assert.deepEqual(
      seen.map(({ head, absolute }) => [head.method, head.scheme, head.authority, head.path, absolute]),
      [
        ["CONNECT", "http", "shop.internal:80", "", false],
        ["GET", "http", "Shop.internal", "/a", false],
        ["GET", "http", "shop.internal:80", "/b", false],
        ["GET", "http", "other:81", "/c", true],
      ],
    );
    assert.deepEqual(listener.count(), { connections: 1, exchanges: 0 });
    assert.equal(server.connections.length, 0);
  });

  test("is known for HTTP when its first line comes in pieces", async (t) => {
    const server = await rawServer(t);
    const client = await accepted(t, await proxy(t, server.origin, { clock: manualClock() }));
    for (const part of ["G", "ET", " ", "/a HT", "TP/1.1", "\r", "\nHost: shop.internal\r\n\r\n"]) {
      client.send(part);
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    await client.until(/ok$/);
  });

  test("that carries HTTP/2 is served", async (t) => {
    const server = await rawServer(t);
    const made = await proxy(t, server.origin);
    const client = await accepted(t, made);
    client.socket.removeAllListeners("data");
    const session = connectHttp2("http://shop.internal", { createConnection: () => client.socket });
    t.after(() => session.destroy());
    const stream = session.request({ ":path": "/h2" });
    await once(stream, "response");
    assert.deepEqual(made.seen.at(-1)?.head.path, "/h2");
    assert.equal(made.seen.at(-1)?.version, "2");
    session.destroy();
    await eventually(() => made.listener.count().connections === 0);
  });

  test("that carries TLS passes untouched, both ways, and is joined to where it leads", async (t) => {
    const server = await rawServer(t);
    const made = await proxy(t, server.origin);
    const client = await accepted(t, made);
    client.send("\x16\x03\x01\x02\x00hello");
    const end = await server.connection(1);
    assert.equal(await end.until(/hello$/), "\x16\x03\x01\x02\x00hello");
    end.send("\x16\x03\x03back");
    assert.equal(await client.until(/back$/), `${ACCEPTED}\x16\x03\x03back`);
    client.end();
    await end.over;
    end.end();
    await client.over;
    await eventually(() => made.listener.count().connections === 0);
    assert.equal(made.listener.count().exchanges, 0);
    await made.upstreams.close();
  });

  test("whose client says nothing is opaque after a while: some protocols let the server begin", async (t) => {
    const server = await rawServer(t, (end) => end.send("220 ready\r\n"));
    const clock = manualClock();
    const client = await accepted(t, await proxy(t, server.origin, { clock }));
    clock.pass(defaultLimits.sniffMs + 500);
    await client.until(/220 ready\r\n$/);
  });

  test("to where nobody listens breaks, since its client has been told 200", async (t) => {
    const client = await accepted(t, await proxy(t, new URL("http://127.0.0.1:1")));
    client.send("\x16\x03\x01");
    assert.equal(await client.over, ACCEPTED);
  });

  test("whose client leaves before its first byte is over", async (t) => {
    const server = await rawServer(t);
    const made = await proxy(t, server.origin);
    const client = await accepted(t, made);
    client.socket.destroy();
    await eventually(() => made.listener.count().connections === 0);
    assert.equal(made.listener.count().exchanges, 0);
  });
});

test("first bytes are HTTP only with the whole first line of it", () => {
  const of = (text: string): string => tunnelProtocol(Buffer.from(text, "latin1"), 64);
  assert.equal(of("GET / HTTP/1.1\r\n"), "http1");
  assert.equal(of("GET / HTTP/1.1\r"), "more");
  assert.equal(of("GE"), "more");
  assert.equal(of("PRI * HTTP/2.0\r\n"), "http2");
  assert.equal(of("PRI * HTTP"), "more");
  for (const other of [
    "\x16\x03\x01",
    "SSH-2.0-OpenSSH\r\n",
    "EHLO a\r\n",
    "PING\r\n",
    "*1\r\n$4\r\n",
    "GET / HTTP/1.1\n",
    "GET  / ",
    `GET /${"a".repeat(99)}`,
  ])
    assert.equal(of(other), "opaque", JSON.stringify(other));
});
