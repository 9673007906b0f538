// Messages over HTTP/2 through the wire: large ones, tunnels, and those that end early.
import assert from "node:assert/strict";
import { once } from "node:events";
import type { ServerHttp2Stream } from "node:http2";
import { suite, test } from "node:test";
import { answerOn, nodeClient, nodeUpstream } from "../../harness/node-h2.ts";
import { gate, turns } from "../../harness/time.ts";
import { eventually, listenFor, wireTo } from "../../harness/wire.ts";

const MB = 1024 * 1024;

suite("over HTTP/2", () => {
  test("a large body goes through in both directions at once", async (t) => {
    const { origin } = await nodeUpstream(t, (stream) => {
      stream.respond({ ":status": 200 });
      stream.pipe(stream);
    });
    const { address } = await wireTo(t, origin, { version: "2" });
    const stream = nodeClient(t, address).request({ ":method": "POST" });
    const chunk = Buffer.alloc(64 * 1024, "abc");
    let left = 512;
    const more = (): void => {
      while (left > 0) {
        left--;
        if (!stream.write(chunk)) return void stream.once("drain", more);
      }
      stream.end();
    };
    more();
    const { body, code } = await answerOn(stream);
    assert.equal(code, 0);
    assert.equal(body.length, 32 * MB);
    assert.ok(body.equals(Buffer.alloc(32 * MB, chunk)));
  });

  test("what a client does not read is not asked of the upstream", async (t) => {
    let sent = 0;
    const { origin } = await nodeUpstream(t, (stream) => {
      stream.respond({ ":status": 200 });
      const chunk = Buffer.alloc(16 * 1024);
      const more = (): void => {
        while (!stream.destroyed && sent < 64 * MB) {
          sent += chunk.length;
          if (!stream.write(chunk)) return void stream.once("drain", more);
        }
      };
      more();
    });
    const { address } = await wireTo(t, origin, { version: "2" });
    const stream = nodeClient(t, address).request();
    await once(stream, "response");
    let before = -1;
    while (before !== sent) {
      before = sent;
      await turns(200);
    }
    assert.ok(sent < 2 * MB, `${sent} bytes`);
    stream.close();
  });

  test("what an upstream does not read is not asked of the client", async (t) => {
    const { origin } = await nodeUpstream(t, () => undefined);
    const { address } = await wireTo(t, origin, { version: "2" });
    const stream = nodeClient(t, address).request({ ":method": "POST" });
    let sent = 0;
    const chunk = Buffer.alloc(16 * 1024);
    const more = (): void => {
      while (sent < 64 * MB) {
        sent += chunk.length;
        if (!stream.write(chunk)) return void stream.once("drain", more);
      }
    };
    more();
    let before = -1;
    while (before !== sent) {
      before = sent;
      await turns(200);
    }
    assert.ok(sent < 2 * MB, `${sent} bytes`);
    stream.close();
  });

  test("CONNECT makes a tunnel, each of whose ends closes by itself", async (t) => {
    const { origin } = await nodeUpstream(t, (stream, headers) => {
      assert.equal(headers[":method"], "CONNECT");
      assert.equal(headers[":authority"], "db.internal:5432");
      stream.respond({ ":status": 200 });
      stream.write("hello");
      stream.on("data", (chunk: Buffer) => stream.write(String(chunk).toUpperCase()));
      stream.on("end", () => stream.end("bye"));
    });
    const { address } = await wireTo(t, origin, { version: "2" });
    const stream = nodeClient(t, address).request({ ":method": "CONNECT", ":authority": "db.internal:5432" });
    stream.write("a");
    const answer = answerOn(stream);
    await once(stream, "data");
    stream.end("b");
    const { body, headers, code } = await answer;
    assert.equal(headers[":status"], 200);
    assert.equal(body.toString(), "helloABbye");
    assert.equal(code, 0);
  });

  test("a tunnel whose server has closed takes bytes still", async (t) => {
    const got = gate<string>();
    const { origin } = await nodeUpstream(t, (stream) => {
      stream.respond({ ":status": 200 });
      stream.end("last");
      let text = "";
      stream.on("data", (chunk: Buffer) => (text += String(chunk)));
      stream.on("end", () => got.open(text));
    });
    const { address } = await wireTo(t, origin, { version: "2" });
    const stream = nodeClient(t, address).request({ ":method": "CONNECT", ":authority": "db.internal:5432" });
    stream.resume();
    await once(stream, "end");
    stream.end("more");
    assert.equal(await got.promise, "more");
  });

  test("an extended CONNECT (RFC 8441) is an Upgrade to the rest of us", async (t) => {
    const { origin } = await nodeUpstream(
      t,
      (stream, headers) => {
        assert.equal(headers[":method"], "CONNECT");
        assert.equal(headers[":protocol"], "websocket");
        assert.equal(headers["sec-websocket-key"], undefined);
        stream.respond({ ":status": 200, "sec-websocket-protocol": "chat" });
        stream.pipe(stream);
      },
      { settings: { enableConnectProtocol: true } },
    );
    const { address } = await wireTo(t, origin, { version: "2" });
    const session = nodeClient(t, address);
    await once(session, "remoteSettings");
    const stream = session.request({ ":method": "CONNECT", ":protocol": "websocket", ":path": "/chat", "sec-websocket-version": "13" });
    stream.end("frames");
    const { headers, body } = await answerOn(stream);
    assert.equal(headers[":status"], 200);
    assert.equal(headers["sec-websocket-protocol"], "chat");
    assert.equal(headers["sec-websocket-accept"], undefined);
    assert.equal(body.toString(), "frames");
  });

  test("a response to HEAD, a 204 and a 304 have no body, whatever they say", async (t) => {
    const { origin } = await nodeUpstream(t, (stream, headers) => {
      const status = Number(headers["x-status"]);
      stream.respond({ ":status": status, ...(status === 204 ? {} : { "content-length": 9 }) }, { endStream: true });
    });
    const { address } = await wireTo(t, origin, { version: "2" });
    const session = nodeClient(t, address);
    for (const [method, status] of [
      ["HEAD", 200],
      ["GET", 204],
      ["GET", 304],
    ] as const) {
      const { headers, body, code } = await answerOn(session.request({ ":method": method, "x-status": status }));
      assert.equal(headers[":status"], status);
      assert.equal(headers["content-length"], status === 204 ? undefined : "9");
      assert.equal(body.length, 0);
      assert.equal(code, 0);
    }
  });

  test("a body that is written to a response that has none is left out", async (t) => {
    const { address } = await listenFor(t, (exchange) => {
      exchange.respond({ status: 204, fields: [] }, false);
      exchange.write(Buffer.from("no"));
      exchange.end(["x-a", "1"]);
    });
    const { headers, body, code } = await answerOn(nodeClient(t, address).request());
    assert.equal(headers[":status"], 204);
    assert.equal(body.length, 0);
    assert.equal(code, 0);
  });

  test("a response before the end of the request is whole, and the request is told to stop", async (t) => {
    const { origin } = await nodeUpstream(t, (stream) => {
      stream.respond({ ":status": 413 });
      stream.end("too large");
    });
    const { address, listener } = await wireTo(t, origin, { version: "2" });
    const stream = nodeClient(t, address).request({ ":method": "POST" });
    stream.write("some");
    const { headers, body, code } = await answerOn(stream);
    assert.equal(headers[":status"], 413);
    assert.equal(body.toString(), "too large");
    assert.equal(code, 0);
    await eventually(() => listener.count().exchanges === 0);
  });

  test("a client that leaves while it is answered cancels at the upstream", async (t) => {
    const cancelled = gate<number>();
    const { origin } = await nodeUpstream(t, (stream: ServerHttp2Stream) => {
      stream.respond({ ":status": 200 });
      stream.write("first");
      stream.on("close", () => cancelled.open(stream.rstCode));
    });
    const { address, listener } = await wireTo(t, origin, { version: "2" });
    const stream = nodeClient(t, address).request();
    await once(stream, "data");
    stream.close(8);
    assert.equal(await cancelled.promise, 8);
    await eventually(() => listener.count().exchanges === 0);
  });

  test("a client whose connection is lost cancels at the upstream", async (t) => {
    const cancelled = gate<number>();
    const { origin } = await nodeUpstream(t, (stream: ServerHttp2Stream) => {
      stream.respond({ ":status": 200 });
      stream.write("first");
      stream.on("close", () => cancelled.open(stream.rstCode));
    });
    const { address, listener } = await wireTo(t, origin, { version: "2" });
    const session = nodeClient(t, address);
    const stream = session.request();
    stream.on("error", () => undefined);
    await once(stream, "data");
    session.destroy();
    assert.equal(await cancelled.promise, 8);
    await eventually(() => listener.count().connections === 0 && listener.count().exchanges === 0);
  });

  test("a request that is received late has lost nothing, its trailers neither", async (t) => {
    const got = gate<string>();
    const { address } = await listenFor(t, (exchange) => {
      let text = "";
      void turns(20).then(() => {
        exchange.receive({
          data: (chunk) => (text += Buffer.from(chunk).toString()),
          end: (trailers) => {
            got.open(`${text} ${trailers.join("=")}`);
            exchange.respond({ status: 200, fields: [] }, true);
          },
          broken: () => undefined,
          drained: () => undefined,
        });
      });
    });
    const stream = nodeClient(t, address).request({ ":method": "POST" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "x-sum": "1" }));
    stream.end("body");
    await answerOn(stream);
    assert.equal(await got.promise, "body x-sum=1");
  });

  test("a request that was reset before it is received says so", async (t) => {
    const got = gate<string>();
    const reset = gate();
    const { address, listener } = await listenFor(t, (exchange) => {
      reset.open();
      void eventually(() => listener.count().exchanges === 0).then(() =>
        exchange.receive({
          data: () => undefined,
          end: () => got.open("end"),
          broken: ({ why }) => got.open(why),
          drained: () => undefined,
        }),
      );
    });
    const stream = nodeClient(t, address).request({ ":method": "POST" });
    stream.on("error", () => undefined);
    stream.write("x");
    await reset.promise;
    stream.close(8);
    assert.equal(await got.promise, "cancelled");
  });

  test("what cannot stand in a field is not sent", async (t) => {
    const { address } = await listenFor(t, (exchange) => {
      if (exchange.head.path === "/head") exchange.respond({ status: 200, fields: ["x-a", "1\0\0x-b\x002\0"] }, true);
      else {
        exchange.respond({ status: 200, fields: [] }, false);
        exchange.end(["x-a", "1\r\nx-b: 2"]);
      }
    });
    const session = nodeClient(t, address);
    for (const path of ["/head", "/trailers"]) {
      const { code, headers, trailers } = await answerOn(session.request({ ":path": path }));
      assert.equal(code, 2, path);
      assert.equal(headers["x-b"], undefined);
      assert.equal(trailers, undefined);
    }
  });

  test("a status beyond 599 is the upstream's fault, and 1xx are passed on before it", async (t) => {
    const { address } = await listenFor(t, (exchange) => {
      exchange.inform({ status: 100, fields: [] });
      exchange.inform({ status: 103, fields: ["link", "</a>", "link", "</b>"] });
      exchange.respond({ status: 999, fields: ["connection", "close", "Transfer-Encoding", "chunked", "X-A", "1"] }, true);
    });
    const { headers, interims } = await answerOn(nodeClient(t, address).request());
    assert.deepEqual(
      interims.map((one) => one[":status"]),
      [100, 103],
    );
    assert.equal(interims[1]?.["link"], "</a>, </b>");
    assert.equal(headers[":status"], 502);
    assert.deepEqual(Object.keys(headers), [":status", "x-a"]);
  });
});
