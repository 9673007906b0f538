// An exchange over HTTP/1.1: what whoever answers it may rely on.
import assert from "node:assert/strict";
import { suite, test, type TestContext } from "node:test";
import type { Exchange } from "../../../src/wire/wire.ts";
import { rawClient, type RawEnd } from "../../harness/raw.ts";
import { recorder } from "../../harness/recorder.ts";
import { eventually, listenFor } from "../../harness/wire.ts";

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const bytes = (text: string): Buffer => Buffer.from(text, "latin1");
const text = (status: number, ...fields: string[]) => ({ status, fields });

/** Sends bytes to a listener whose exchanges are answered so. */
async function send(t: TestContext, request: string, answer: (exchange: Exchange) => void): Promise<RawEnd> {
  const { address } = await listenFor(t, answer);
  const client = await rawClient(t, address);
  client.send(request);
  return client;
}

suite("an exchange", () => {
  test("whose body came along and is not wanted leaves its connection to the next one", async (t) => {
    const client = await send(t, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", (one) => one.respond(text(429), true));
    await client.until(/^HTTP\/1\.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n$/);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    await client.until(/(?:429 [^]*){2}$/);
    client.send(GET);
    await client.until(/(?:429 [^]*){3}$/);
  });

  test("whose body is still to come and is not wanted is answered, and its connection closed", async (t) => {
    const client = await send(t, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\nhello", (one) => one.respond(text(429), true));
    assert.equal(await client.over, "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  });

  for (const [what, fields] of Object.entries({
    "CR LF in a value": ["x", "a\r\nSet-Cookie: b"],
    "LF in a value": ["x", "a\nb"],
    "NUL in a value": ["x", "a\0"],
    "more than Latin-1 in a value": ["x", "\u{10d}"],
    "CR LF in a name": ["x: y\r\nSet-Cookie", "b"],
    "a space in a name": ["x ", "b"],
    "an empty name": ["", "b"],
    "two lengths that differ": ["content-length", "2", "Content-Length", "3"],
    "a length that is none": ["content-length", "2, 2"],
  })) {
    test(`sends no head with ${what}`, async (t) => {
      const client = await send(t, GET, (one) => {
        one.inform({ status: 103, fields });
        one.respond({ status: 200, fields }, false);
        one.write(bytes("ok"));
        one.end();
      });
      assert.doesNotMatch(await client.over, /200|Set-Cookie|ok/);
    });
  }

  test("leaves out what is the connection's own, and frames the body itself", async (t) => {
    const fields = [
      "Connection",
      "keep-alive, x",
      "Transfer-Encoding",
      "gzip",
      "Keep-Alive",
      "timeout=5",
      "Proxy-Connection",
      "close",
      "Upgrade",
      "h2c",
      "X",
      "1",
    ];
    const client = await send(t, GET, (one) => {
      one.respond({ status: 200, fields }, false);
      one.write(bytes("ok"));
      one.end(["X-Sum", "1"]);
    });
    assert.equal(
      await client.until(/\r\n0\r\n(?:.+\r\n)*\r\n$/),
      "HTTP/1.1 200 OK\r\nX: 1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n",
    );
  });

  test("breaks its connection off when its body is not as long as its head has told", async (t) => {
    for (const [body, seen] of [
      ["four", ""],
      ["a", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na"],
    ] as const) {
      const client = await send(t, GET, (one) => {
        one.respond(text(200, "content-length", "2"), false);
        one.write(bytes(body));
        one.end();
      });
      assert.equal(await client.over, seen, body);
    }
  });

  test("writes nothing for HEAD, 204 and 304, whatever it is given", async (t) => {
    const { address } = await listenFor(t, (one) => {
      one.respond(text(Number(one.head.path.slice(1)), "content-length", "2"), false);
      one.write(bytes("ok"));
      one.end();
    });
    const client = await rawClient(t, address);
    client.send("HEAD /200 HTTP/1.1\r\nHost: a\r\n\r\nGET /204 HTTP/1.1\r\nHost: a\r\n\r\nGET /304 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert.equal(
      await client.until(/304[^]*\r\n\r\n$/),
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nHTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n",
    );
  });

  test("that is over does nothing more, to itself or to the one behind it", async (t) => {
    let first: Exchange | undefined;
    const client = await send(t, GET, (one) => {
      if (first === undefined) {
        first = one;
        one.respond(text(204), true);
        return;
      }
      first.write(bytes("poison"));
      first.end(["x", "y"]);
      first.respond(text(500), true);
      first.pause();
      first.reset("cancelled");
      one.respond(text(201), true);
    });
    await client.until(/204/);
    client.send(GET);
    assert.equal(
      await client.until(/201[^]*\r\n\r\n$/),
      "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n",
    );
  });

  test("informs before it responds, and never a client of HTTP/1.0", async (t) => {
    const answer = (one: Exchange): void => {
      one.inform(text(103, "link", "</a>"));
      one.respond(text(204), true);
      one.inform(text(103));
    };
    const client = await send(t, GET, answer);
    assert.equal(await client.until(/204[^]*\r\n\r\n$/), "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n");
    const old = await send(t, "GET / HTTP/1.0\r\n\r\n", answer);
    assert.equal(await old.over, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
  });

  test("that is reset before its response closes the connection without a word; within its body, HTTP/1.0 sees a reset", async (t) => {
    const client = await send(t, GET, (one) => one.reset("cancelled"));
    assert.equal(await client.over, "");
    let exchange: Exchange | undefined;
    const old = await send(t, "GET / HTTP/1.0\r\n\r\n", (one) => {
      exchange = one;
      one.respond(text(200), false);
      one.write(bytes("part"));
    });
    await old.until(/part$/);
    const failed = new Promise<NodeJS.ErrnoException>((resolve) => old.socket.once("error", resolve));
    exchange?.reset("reset");
    assert.equal((await failed).code, "ECONNRESET");
  });

  test("tells of a client that left before anyone asked for the body", async (t) => {
    let exchange: Exchange | undefined;
    const { address, listener } = await listenFor(t, (one) => (exchange = one));
    const client = await rawClient(t, address);
    client.send(GET);
    await eventually(() => exchange !== undefined);
    client.socket.destroy();
    await eventually(() => listener.count().exchanges === 0);
    const receiver = recorder();
    exchange?.receive(receiver);
    assert.equal((await receiver.over)?.why, "reset");
  });

  test("whose body is not taken slows its client down, and loses nothing", async (t) => {
    let exchange: Exchange | undefined;
    let received = 0;
    const { address } = await listenFor(t, (one) => {
      exchange = one;
      one.receive({
        data(chunk) {
          received += chunk.length;
          if (received < 1_000_000) one.pause();
        },
        end: () => one.respond(text(204), true),
        broken: ({ why }) => assert.fail(why),
        drained: () => undefined,
      });
    });
    const size = 64 * 1_048_576;
    const client = await rawClient(t, address);
    client.send(`PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n`);
    client.send(Buffer.alloc(size));
    await eventually(() => received > 0);
    for (let wait = 0; wait < 200; wait++) await new Promise<void>((resolve) => setImmediate(resolve));
    assert.ok(received < 1_000_000, String(received));
    assert.ok(client.socket.writableLength > size / 2, String(client.socket.writableLength));
    while (received < 1_000_000) {
      exchange?.resume();
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    await client.until(/204/);
    assert.equal(received, size);
  });
});
