// Tunnels over HTTP/2: what comes through a CONNECT that was accepted is looked at, as over HTTP/1.1.
import assert from "node:assert/strict";
import { once } from "node:events";
import { type ClientHttp2Session, type ClientHttp2Stream, connect, type IncomingHttpHeaders } from "node:http2";
import { suite, test, type TestContext } from "node:test";
import { Held } from "../../../src/wire/http2/held.ts";
import { defaultLimits } from "../../../src/wire/limits.ts";
import type { ListenOptions } from "../../../src/wire/listen.ts";
import { createUpstreams } from "../../../src/wire/upstreams.ts";
import type { Exchange } from "../../../src/wire/wire.ts";
import { answerOn, nodeClient } from "../../harness/node-h2.ts";
import { relayTo } from "../../harness/pass-on.ts";
import { block, DATA, END_HEADERS, frame, HEADERS, rawClient } from "../../harness/raw-h2.ts";
import { rawServer } from "../../harness/raw.ts";
import { closedPort } from "../../harness/upstream.ts";
import { eventually, listenFor, manualClock, type Wired } from "../../harness/wire.ts";

interface Proxy extends Wired {
  readonly seen: Exchange[];
}

/** A proxy that looks into tunnels: it answers HTTP by itself, and joins the opaque ones to an origin. */
async function proxy(t: TestContext, origin: URL, options: Partial<ListenOptions> = {}): Promise<Proxy> {
  const seen: Exchange[] = [];
  const upstreams = createUpstreams();
  t.after(() => void upstreams.close());
  const join = relayTo(upstreams, { origin, version: "1.1", tunnel: true });
  const wired = await listenFor(
    t,
    (exchange) => {
      seen.push(exchange);
      if (exchange.head.method === "CONNECT") return exchange.accept(["via", "2 p"], () => join(exchange));
      exchange.respond({ status: 200, fields: ["content-length", "2"] }, false);
      exchange.write(Buffer.from("ok"));
      exchange.end();
    },
    options,
  );
  return { ...wired, seen };
}

interface Tunnel {
  readonly session: ClientHttp2Session;
  readonly stream: ClientHttp2Stream;
  /** All that has come through. */
  readonly text: () => string;
}

async function tunnel(t: TestContext, { address }: Wired): Promise<Tunnel> {
  const session = nodeClient(t, address);
  const stream = session.request({ ":method": "CONNECT", ":authority": "shop.internal:80" });
  stream.on("error", () => undefined);
  const [headers] = (await once(stream, "response")) as [IncomingHttpHeaders]; // the cast: what node:http2 gives
  assert.equal(headers[":status"], 200);
  assert.equal(headers["via"], "2 p");
  let text = "";
  stream.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
  return { session, stream, text: () => text };
}

suite("a tunnel over HTTP/2", () => {
  test("that carries HTTP/1.1 is served, request after request, to the authority of the CONNECT", async (t) => {
    const server = await rawServer(t);
    const wired = await proxy(t, server.origin);
    const { session, stream, text } = await tunnel(t, wired);
    stream.write("GET /a HTT");
    stream.write("P/1.1\r\nHost: Shop.internal\r\n\r\n");
    await eventually(() => text().endsWith("ok"));
    stream.write("GET /b HTTP/1.1\r\nHost: elsewhere\r\n\r\nGET http://other:81/c HTTP/1.1\r\nHost: elsewhere\r\n\r\n");
    await eventually(() => text().split("ok").length === 4);
    assert.deepEqual(
      wired.seen.map(({ head, version }) => [version, head.method, head.authority, head.path]),
      [
        ["2", "CONNECT", "shop.internal:80", ""],
        ["1.1", "GET", "Shop.internal", "/a"],
        ["1.1", "GET", "shop.internal:80", "/b"],
        ["1.1", "GET", "other:81", "/c"],
      ],
    );
    assert.equal(wired.listener.count().exchanges, 0, "the tunnel itself is none any more");
    const { headers } = await answerOn(session.request({ ":path": "/beside" }));
    assert.equal(headers[":status"], 200);
    stream.end();
    await once(stream, "close");
    assert.deepEqual(wired.listener.count(), { connections: 1, exchanges: 0 });
  });

  test("that carries HTTP/2 is served", async (t) => {
    const server = await rawServer(t);
    const wired = await proxy(t, server.origin);
    const { stream } = await tunnel(t, wired);
    stream.removeAllListeners("data");
    const inner = connect("http://shop.internal", { createConnection: () => stream });
    t.after(() => inner.destroy());
    const { headers, body } = await answerOn(inner.request({ ":path": "/inner" }));
    assert.equal(headers[":status"], 200);
    assert.equal(body.toString(), "ok");
    assert.equal(wired.seen[1]?.head.path, "/inner");
  });

  test("that carries something else passes untouched, both ways, and is joined to where it leads", async (t) => {
    const server = await rawServer(t);
    const wired = await proxy(t, server.origin);
    const { stream, text } = await tunnel(t, wired);
    stream.write(Buffer.from("\x16\x03\x01hello", "latin1"));
    const peer = await server.connection(1);
    await peer.until(/hello$/);
    peer.send("world");
    await eventually(() => text() === "world");
    stream.end("bye");
    assert.equal(await peer.until(/bye$/), "\x16\x03\x01hellobye");
    peer.end();
    await once(stream, "close");
    await eventually(() => wired.listener.count().exchanges === 0);
  });

  test("whose client says nothing is opaque after a while", async (t) => {
    const clock = manualClock();
    const server = await rawServer(t);
    const wired = await proxy(t, server.origin, { clock });
    const { text } = await tunnel(t, wired);
    clock.pass(defaultLimits.sniffMs + 500);
    const peer = await server.connection(1);
    peer.send("220 ready");
    await eventually(() => text() === "220 ready");
  });

  test("to where nobody listens breaks, since its client has been told 200", async (t) => {
    const wired = await proxy(t, new URL(await closedPort()));
    const { stream } = await tunnel(t, wired);
    const closed = new Promise((resolve) => stream.once("close", resolve));
    stream.write(Buffer.from("\x16\x03\x01hello", "latin1"));
    await closed;
    assert.equal(stream.rstCode, 10);
    await eventually(() => wired.listener.count().exchanges === 0);
  });

  test("that carries a line byte by byte is looked at seldom, and served", async (t) => {
    const server = await rawServer(t);
    const looks = t.mock.method(Held.prototype, "peek");
    const wired = await proxy(t, server.origin);
    const client = await rawClient(t, Number(wired.address.split(":").at(-1)));
    const asked = block([
      [":method", "CONNECT"],
      [":authority", "shop.internal:80"],
    ]);
    const line = Buffer.from(`GET /${"a".repeat(5_000)} HTTP/1.1\r\nHost: shop.internal\r\n\r\n`);
    client.send(frame(HEADERS, END_HEADERS, 1, asked), ...Array.from(line, (byte) => frame(DATA, 0, 1, Buffer.from([byte]))));
    assert.match(String((await client.first(({ type }) => type === DATA))?.payload), /200/);
    assert.equal(wired.seen[1]?.head.path.length, 5_001);
    assert.ok(looks.mock.callCount() < 100, `${looks.mock.callCount()} looks`);
  });

  test("whose client ends it before it has said what it is for is opaque", async (t) => {
    const clock = manualClock();
    const server = await rawServer(t);
    const wired = await proxy(t, server.origin, { clock });
    const { stream } = await tunnel(t, wired);
    stream.end("GET");
    const peer = await server.connection(1);
    assert.equal(await peer.until(/GET$/), "GET");
    peer.end();
    await once(stream, "close");
    await eventually(() => clock.waiting() === 1); // the connection's own
  });

  test("within a tunnel is not looked into, as there would be no end to it", async (t) => {
    const server = await rawServer(t);
    const wired = await proxy(t, server.origin);
    const { stream } = await tunnel(t, wired);
    stream.removeAllListeners("data");
    const inner = connect("http://shop.internal", { createConnection: () => stream });
    t.after(() => inner.destroy());
    const second = inner.request({ ":method": "CONNECT", ":authority": "db.internal:80" });
    second.on("error", () => undefined);
    second.write("GET /a HTTP/1.1\r\n");
    const peer = await server.connection(1);
    assert.equal(await peer.until(/1\.1\r\n$/), "GET /a HTTP/1.1\r\n");
  });

  test("whose client leaves before its first byte is over", async (t) => {
    const clock = manualClock();
    const server = await rawServer(t);
    const wired = await proxy(t, server.origin, { clock });
    const { stream } = await tunnel(t, wired);
    stream.close(8);
    await eventually(() => wired.listener.count().exchanges === 0);
    clock.pass(defaultLimits.sniffMs + 500);
    assert.equal(wired.seen.length, 1);
  });

  test("goes when its connection drains", async (t) => {
    const server = await rawServer(t);
    const clock = manualClock();
    const wired = await proxy(t, server.origin, { clock });
    const { stream, text } = await tunnel(t, wired);
    stream.write("GET /a HTTP/1.1\r\nHost: shop.internal\r\n\r\n");
    await eventually(() => text().endsWith("ok"));
    const drained = wired.listener.drain();
    let over = false;
    void drained.then(() => (over = true));
    await eventually(() => {
      clock.pass(500);
      return over;
    });
  });
});
