// HTTP/1.1 passed on from a listener to an upstream: every kind of message, in both directions.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, request as httpRequest, type IncomingMessage, type RequestListener } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { suite, test, type TestContext } from "node:test";
import { answering, rawClient, rawServer } from "../../harness/raw.ts";
import { eventually, wireTo } from "../../harness/wire.ts";

async function nodeServer(t: TestContext, answer: RequestListener): Promise<URL> {
  const server = createServer(answer).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  return new URL(`http://127.0.0.1:${address.port}`);
}

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GET = "GET /a?b HTTP/1.1\r\nHost: shop.internal\r\n\r\n";

suite("HTTP/1.1 passed on", () => {
  test("a request keeps its target, its host, and its fields in their order and spelling", async (t) => {
    const upstream = await rawServer(t, answering(OK));
    const { address } = await wireTo(t, upstream.origin);
    const client = await rawClient(t, address);
    client.send("GET /a?b=%20c HTTP/1.1\r\nX-B: 1\r\nHost: Shop.internal:81\r\nx-a:\t 2 \r\nX-B: \xe9\r\n\r\n");
    await client.until(/ok$/);
    assert.equal(
      upstream.connections[0]?.text(),
      "GET /a?b=%20c HTTP/1.1\r\nHost: Shop.internal:81\r\nX-B: 1\r\nx-a: 2\r\nX-B: \xe9\r\n\r\n",
    );
  });

  test("connections are kept on both sides, and pipelined requests are answered in their order", async (t) => {
    let answers = 0;
    const origin = await nodeServer(t, (_request, response) => response.end(String(++answers)));
    const { address, listener } = await wireTo(t, origin);
    const client = await rawClient(t, address);
    client.send(GET + GET + GET);
    const text = await client.until(/\r\n\r\n3$|3\r\n0\r\n\r\n$/);
    assert.deepEqual(text.match(/HTTP\/1\.1 200 OK/g)?.length, 3);
    assert.deepEqual(listener.count(), { connections: 1, exchanges: 0 });
  });

  test("a chunked response that is its connection's last ends once", async (t) => {
    const upstream = await rawServer(t, answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"));
    const { address } = await wireTo(t, upstream.origin);
    const client = await rawClient(t, address);
    client.send("GET / HTTP/1.1\r\nHost: shop.internal\r\nConnection: close\r\n\r\n");
    assert.match(await client.over, /\r\n\r\n2\r\nok\r\n0\r\n\r\n$/);
  });

  test("a large body goes both ways unchanged, by length and by chunks", async (t) => {
    const origin = await nodeServer(t, (request, response) => request.pipe(response));
    const { address } = await wireTo(t, origin);
    const body = randomBytes(3_000_000);
    const sum = createHash("sha256").update(body).digest("hex");
    for (const chunked of [false, true]) {
      const response = await fetch(`http://${address}/`, {
        method: "POST",
        ...(chunked ? { body: new Blob([body]).stream(), duplex: "half" } : { body }),
      });
      assert.equal(
        createHash("sha256")
          .update(Buffer.from(await response.arrayBuffer()))
          .digest("hex"),
        sum,
      );
    }
  });

  test("trailers go both ways", async (t) => {
    let seen: IncomingMessage["trailers"] = {};
    const origin = await nodeServer(t, (request, response) => {
      request.resume().once("end", () => {
        seen = request.trailers;
        response.writeHead(200, { trailer: "x-sum" });
        response.write("body");
        response.addTrailers({ "x-sum": "7" });
        response.end();
      });
    });
    const { address } = await wireTo(t, origin);
    const client = await rawClient(t, address);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTrailer: x-up\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Up: 5\r\n\r\n");
    const text = await client.until(/\r\n0\r\n(?:.+\r\n)*\r\n$/);
    assert.match(text, /4\r\nbody\r\n0\r\nx-sum: 7\r\n\r\n$/);
    assert.deepEqual({ ...seen }, { "x-up": "5" });
  });

  test("interim responses are passed on, but for 100", async (t) => {
    const upstream = await rawServer(t, answering(`HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${OK}`));
    const { address } = await wireTo(t, upstream.origin);
    const client = await rawClient(t, address);
    client.send(GET);
    assert.equal(await client.until(/ok$/), `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${OK}`);
  });

  test("responses without a body: HEAD, 204 and 304", async (t) => {
    const upstream = await rawServer(
      t,
      answering(
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        'HTTP/1.1 304 Not Modified\r\nContent-Length: 12\r\nETag: "a"\r\n\r\n',
      ),
    );
    const { address } = await wireTo(t, upstream.origin);
    const client = await rawClient(t, address);
    client.send(GET.replace("GET", "HEAD") + GET + GET);
    const text = await client.until(/"a"\r\n(?:.+\r\n)*\r\n$/);
    assert.equal(
      text,
      'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nHTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 304 Not Modified\r\nETag: "a"\r\nContent-Length: 12\r\n\r\n',
    );
    assert.equal(upstream.connections.length, 1);
  });

  test("a response that ends with its connection goes in chunks to HTTP/1.1, and to the end to HTTP/1.0", async (t) => {
    const upstream = await rawServer(t, (end) => {
      end.socket.once("data", () => {
        end.send("HTTP/1.0 200 OK\r\n\r\nall of it");
        end.end();
      });
    });
    const { address } = await wireTo(t, upstream.origin);
    const one = await rawClient(t, address);
    one.send(GET);
    assert.match(await one.until(/\r\n0\r\n\r\n$/), /Transfer-Encoding: chunked\r\n\r\n9\r\nall of it\r\n0/);
    const old = await rawClient(t, address);
    old.send("GET / HTTP/1.0\r\n\r\n");
    assert.equal(await old.over, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall of it");
  });

  test("HTTP/1.0 with keep-alive keeps its connection", async (t) => {
    const upstream = await rawServer(t, answering(OK));
    const { address } = await wireTo(t, upstream.origin);
    const client = await rawClient(t, address);
    client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert.match(await client.until(/ok$/), /Connection: keep-alive/);
    client.send("GET / HTTP/1.0\r\n\r\n");
    assert.match(await client.over, /Connection: close\r\n\r\nok$/);
  });

  test("a body that is expected to be asked for is asked for", async (t) => {
    const origin = await nodeServer(t, (request, response) => request.pipe(response));
    const { address } = await wireTo(t, origin);
    const client = await rawClient(t, address);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    assert.equal(await client.until(/\r\n\r\n$/), "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("hello");
    await client.until(/hello/);
  });

  test("Connection: close is answered with it, and what comes behind it is nothing", async (t) => {
    const upstream = await rawServer(t, answering(OK));
    const { address } = await wireTo(t, upstream.origin);
    const client = await rawClient(t, address);
    client.send(`GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n${GET}garbage`);
    assert.match(await client.over, /^HTTP\/1\.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok$/);
    assert.equal(upstream.connections[0]?.text().match(/GET/g)?.length, 1);
  });

  test("a switch of protocols carries bytes both ways, and each end by itself", async (t) => {
    const upstream = await rawServer(t, (end) => {
      end.socket.once("data", () => end.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhi;"));
    });
    const { address, listener } = await wireTo(t, upstream.origin);
    const client = await rawClient(t, address);
    client.send("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
    await client.until(/hi;$/);
    client.send("\x00\x01from the client");
    const server = await upstream.connection(1);
    await server.until(/from the client$/);
    assert.match(server.text(), /\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n/);
    client.end();
    await server.over;
    server.send("the last word");
    server.end();
    assert.match(await client.over, /hi;the last word$/);
    await eventually(() => listener.count().connections === 0);
    assert.equal(listener.count().exchanges, 0);
  });

  test("an upgrade that is not taken is a response", async (t) => {
    const upstream = await rawServer(t, answering(OK));
    const { address } = await wireTo(t, upstream.origin);
    const client = await rawClient(t, address);
    client.send(`GET /ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n`);
    await client.until(/ok$/);
    client.send(GET);
    await client.until(/ok[^]*ok$/);
  });

  test("CONNECT that is taken carries bytes both ways", async (t) => {
    const upstream = await rawServer(t, (end) => {
      end.socket.once("data", () => end.send("HTTP/1.1 200 Connected\r\n\r\n"));
    });
    const { address } = await wireTo(t, upstream.origin);
    const client = await rawClient(t, address);
    client.send("CONNECT db.internal:5432 HTTP/1.1\r\nHost: db.internal:5432\r\n\r\n");
    await client.until(/^HTTP\/1\.1 200 OK\r\n\r\n$/);
    const server = await upstream.connection(1);
    client.send("query");
    await server.until(/^CONNECT db\.internal:5432 HTTP\/1\.1\r\nHost: db\.internal:5432\r\n\r\nquery$/);
    server.send("rows");
    await client.until(/rows$/);
  });

  test("a client that leaves takes its request along at once", async (t) => {
    const upstream = await rawServer(t);
    const { address, listener } = await wireTo(t, upstream.origin);
    const client = await rawClient(t, address);
    client.send(GET);
    const server = await upstream.connection(1);
    await server.until(/\r\n\r\n$/);
    client.socket.destroy();
    await server.over;
    await eventually(() => listener.count().connections === 0);
    assert.deepEqual(listener.count(), { connections: 0, exchanges: 0 });
  });

  test("an upstream that breaks off in its body breaks the client's response off", async (t) => {
    const upstream = await rawServer(t, (end) => {
      end.socket.once("data", () => {
        end.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n");
        end.end();
      });
    });
    const { address } = await wireTo(t, upstream.origin);
    const client = await rawClient(t, address);
    client.send(GET);
    assert.match(await client.over, /\r\n\r\n4\r\npart\r\n$/);
  });

  test("a kept connection that the upstream has closed is not used again", async (t) => {
    const upstream = await rawServer(t, answering(OK));
    const { address } = await wireTo(t, upstream.origin);
    const client = await rawClient(t, address);
    client.send(GET);
    await client.until(/ok$/);
    const first = await upstream.connection(1);
    first.end();
    await once(first.socket, "close");
    client.send(GET);
    await client.until(/ok[^]*ok$/);
    assert.equal(upstream.connections.length, 2);
  });

  test("HTTP/2 with prior knowledge is served on the same port, in one piece or byte by byte", async (t) => {
    const upstream = await rawServer(t, answering(OK));
    const { address, listener } = await wireTo(t, upstream.origin);
    const session = connectHttp2(`http://${address}`);
    t.after(() => session.destroy());
    const stream = session.request({ ":path": "/" });
    const [headers] = (await once(stream, "response")) as [Record<string, unknown>]; // the cast: http2's event
    assert.equal(headers[":status"], 200);
    assert.deepEqual(listener.count().connections, 1);
    const client = await rawClient(t, address);
    for (const byte of "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") {
      client.send(byte);
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    client.send(new Uint8Array([0, 0, 0, 4, 0, 0, 0, 0, 0]));
    await client.until(/^[^H]{9}/); // its own SETTINGS
  });

  test("an answer before the body is in closes the connection, and arrives", async (t) => {
    const upstream = await rawServer(t, answering("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n"));
    const { address } = await wireTo(t, upstream.origin);
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const request = httpRequest(`http://${address}/`, { method: "POST", headers: { "content-length": 100_000 } }, resolve);
      request.on("error", reject);
      request.write("a");
    });
    assert.equal(response.statusCode, 413);
  });
});
