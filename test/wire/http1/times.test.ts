// Times of HTTP/1.1: whoever trickles, falls silent or takes nothing is cut off, never early, and others are served on.
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { defaultLimits } from "../../../src/wire/limits.ts";
import type { Exchange } from "../../../src/wire/wire.ts";
import { answering, rawClient, rawServer } from "../../harness/raw.ts";
import { eventually, listenFor, manualClock, passUntil, wireTo } from "../../harness/wire.ts";

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const SLOW = /^HTTP\/1\.1 408 Request Timeout\r\n/;
const { headMs, bodyMs, idleMs, stallMs, keepMs } = defaultLimits;

suite("a client", () => {
  test("whose head trickles gets 408, and nothing is passed on", async (t) => {
    const clock = manualClock();
    const upstream = await rawServer(t);
    const { address, listener, refused } = await wireTo(t, upstream.origin, { listening: { clock } });
    const client = await rawClient(t, address);
    client.send("GET / HTTP/1.1\r\nHost: a\r\nX: ");
    const tookMs = await passUntil(clock, client.over, () => client.send("x"));
    assert.ok(tookMs >= headMs, String(tookMs));
    assert.match(client.text(), SLOW);
    assert.deepEqual(refused, [408]);
    assert.equal(upstream.connections.length, 0);
    client.end();
    await eventually(() => listener.count().connections === 0);
  });

  test("whose second head trickles on a kept connection gets 408", async (t) => {
    const clock = manualClock();
    const upstream = await rawServer(t, answering(OK));
    const { address } = await wireTo(t, upstream.origin, { listening: { clock } });
    const client = await rawClient(t, address);
    client.send(GET);
    await client.until(/ok$/);
    client.send("GE");
    await passUntil(clock, client.over, () => client.send("T"));
    assert.match(client.text(), /okHTTP\/1\.1 408 /);
  });

  test("that says nothing is let go without a word, as is one that says no more", async (t) => {
    const clock = manualClock();
    const upstream = await rawServer(t, answering(OK));
    const { address } = await wireTo(t, upstream.origin, { listening: { clock } });
    const silent = await rawClient(t, address);
    assert.ok((await passUntil(clock, silent.over)) >= headMs);
    assert.equal(silent.text(), "");
    const idle = await rawClient(t, address);
    idle.send(GET);
    await idle.until(/ok$/);
    assert.ok((await passUntil(clock, idle.over)) >= idleMs);
    assert.match(idle.text(), /\r\n\r\nok$/);
  });

  test("whose body falls silent gets 408, and its request is broken off", async (t) => {
    const clock = manualClock();
    const upstream = await rawServer(t);
    const { address, listener } = await wireTo(t, upstream.origin, { listening: { clock } });
    const client = await rawClient(t, address);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel");
    const server = await upstream.connection(1);
    await server.until(/hel\r\n$/);
    assert.ok((await passUntil(clock, client.over)) >= bodyMs);
    assert.match(client.text(), SLOW);
    await server.over;
    assert.equal(listener.count().exchanges, 0);
  });

  test("whose body of known length trickles gets 408; one that is made as it goes may take its time", async (t) => {
    const clock = manualClock();
    const upstream = await rawServer(t);
    const { address } = await wireTo(t, upstream.origin, { listening: { clock } });
    const streaming = await rawClient(t, address);
    streaming.send("POST /stream HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    await (await upstream.connection(1)).until(/\r\n\r\n/);
    const known = await rawClient(t, address);
    known.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
    await (await upstream.connection(2)).until(/\r\n\r\n/);
    const tookMs = await passUntil(clock, known.over, () => {
      known.send("x");
      streaming.send("1\r\nx\r\n");
    });
    assert.ok(tookMs >= bodyMs && tookMs < bodyMs * 2, String(tookMs));
    assert.match(known.text(), SLOW);
    assert.equal(streaming.text(), "");
  });

  test("whose body is not wanted for long is not at fault", async (t) => {
    const clock = manualClock();
    let exchange: Exchange | undefined;
    let text = "";
    const { address } = await listenFor(t, (one) => (exchange = one), { clock });
    const client = await rawClient(t, address);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
    await eventually(() => exchange !== undefined);
    clock.pass(bodyMs * 10);
    exchange?.receive({
      data: (chunk) => (text += Buffer.from(chunk).toString()),
      end: () => exchange?.respond({ status: 204, fields: [] }, true),
      broken: ({ why }) => assert.fail(why),
      drained: () => undefined,
    });
    exchange?.pause();
    clock.pass(bodyMs * 10);
    exchange?.resume();
    client.send("hello");
    await client.until(/204/);
    assert.equal(text, "hello");
  });

  test("that takes nothing of its response is cut off, and its upstream with it", async (t) => {
    const clock = manualClock();
    const upstream = await rawServer(t, (end) => {
      end.socket.once("data", () => {
        end.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
        const more = (): void => {
          while (end.socket.write(Buffer.alloc(64 * 1024)));
        };
        end.socket.on("drain", more);
        more();
      });
    });
    const { address, listener } = await wireTo(t, upstream.origin, { listening: { clock } });
    const client = await rawClient(t, address);
    client.socket.pause();
    client.send(GET);
    const server = await upstream.connection(1);
    const gone = new Promise<void>((resolve) => server.socket.once("close", () => resolve()));
    assert.ok((await passUntil(clock, gone)) >= stallMs);
    assert.deepEqual(listener.count(), { connections: 0, exchanges: 0 });
    assert.ok(process.memoryUsage.rss() < 1_000_000_000);
  });
});

suite("an upstream", () => {
  test("whose head trickles is given up; one that says nothing is left to the policies", async (t) => {
    const clock = manualClock();
    const upstream = await rawServer(t);
    const { address } = await wireTo(t, upstream.origin, { sending: { clock } });
    const client = await rawClient(t, address);
    client.send(GET);
    const server = await upstream.connection(1);
    await server.until(/\r\n\r\n/);
    clock.pass(headMs * 100);
    server.send("HTTP/1.1 200 OK\r\nX: ");
    const tookMs = await passUntil(clock, client.until(/504/), () => server.send("x"));
    assert.ok(tookMs >= headMs, String(tookMs));
  });

  test("has its connection closed when it was idle for a while, or a second before it says that it will close it", async (t) => {
    const clock = manualClock();
    const upstream = await rawServer(t, answering(OK, OK.replace("\r\n\r\n", "\r\nKeep-Alive: timeout=3, max=100\r\n\r\n")));
    const { address } = await wireTo(t, upstream.origin, { sending: { clock } });
    const client = await rawClient(t, address);
    client.send(GET);
    await client.until(/ok$/);
    const first = await upstream.connection(1);
    assert.ok((await passUntil(clock, first.over)) >= keepMs);
    client.send(GET);
    await client.until(/ok[^]*ok$/);
    const second = await upstream.connection(2);
    client.send(GET);
    await client.until(/ok[^]*ok[^]*ok$/);
    const tookMs = await passUntil(clock, second.over);
    assert.ok(tookMs >= 2_000 && tookMs <= 3_000, String(tookMs));
  });
});
