// Requests over HTTP/2 that are not allowed (RFC 9113, 8): each is refused by itself, and its connection lives on.
import assert from "node:assert/strict";
import { suite, test, type TestContext } from "node:test";
import {
  portOf,
  asking,
  block,
  codeIn,
  DATA,
  END_HEADERS,
  END_STREAM,
  frame,
  type Frame,
  HEADERS,
  type Raw,
  rawClient,
  RST_STREAM,
} from "../../harness/raw-h2.ts";
import { listenFor } from "../../harness/wire.ts";
import type { Exchange } from "../../../src/wire/wire.ts";

/** A server that answers a request when it has come whole, and what it has seen. */
async function answering(t: TestContext): Promise<{ client: Raw; seen: Exchange[]; ended: string[] }> {
  const seen: Exchange[] = [];
  const ended: string[] = [];
  const { address } = await listenFor(t, (exchange) => {
    seen.push(exchange);
    const answer = (): void => exchange.respond({ status: 200, fields: [] }, true);
    exchange.receive({
      data: () => undefined,
      end: () => {
        ended.push("end");
        answer();
      },
      broken: ({ why }) => ended.push(why),
      drained: () => undefined,
    });
    if (exchange.bodyless) answer();
  });
  return { client: await rawClient(t, portOf(address)), seen, ended };
}

/** `200`, `431`, or the code of a reset, for the stream. */
async function outcome(client: Raw, id: number): Promise<string> {
  const answer = await client.first((one: Frame) => one.id === id && (one.type === HEADERS || one.type === RST_STREAM));
  if (answer === undefined) return "closed";
  if (answer.type === RST_STREAM) return `reset ${codeIn(answer)}`;
  if (answer.payload[0] === 0x88) return "200";
  return /431|400/.exec(answer.payload.toString("latin1"))?.[0] ?? "other";
}

const head = (...list: readonly (readonly [string, string])[]): Buffer => block(list);
const M = [":method", "GET"] as const;
const S = [":scheme", "http"] as const;
const A = [":authority", "a.internal"] as const;
const P = [":path", "/"] as const;

const refused: Readonly<Record<string, Buffer>> = {
  "a name in capitals": head(M, S, A, P, ["X-A", "1"]),
  Connection: head(M, S, A, P, ["connection", "close"]),
  "Transfer-Encoding": head(M, S, A, P, ["transfer-encoding", "chunked"]),
  Upgrade: head(M, S, A, P, ["upgrade", "websocket"]),
  "Keep-Alive": head(M, S, A, P, ["keep-alive", "1"]),
  "Proxy-Connection": head(M, S, A, P, ["proxy-connection", "close"]),
  "TE other than trailers": head(M, S, A, P, ["te", "gzip"]),
  "a pseudo-field behind a field": head(M, S, A, ["x-a", "1"], P),
  "no method": head(S, A, P),
  "no scheme": head(M, A, P),
  "no path": head(M, S, A),
  "an empty path": head(M, S, A, [":path", ""]),
  "two methods": head(M, M, S, A, P),
  "two authorities": head(M, S, A, A, P),
  "two paths": head(M, S, A, P, P),
  "an unknown pseudo-field": head(M, S, A, P, [":status", "200"]),
  "a pseudo-field of nobody's": head(M, S, A, P, [":x", "1"]),
  "a Host that is not its authority": head(M, S, A, P, ["host", "b.internal"]),
  "two Hosts": head(M, S, P, ["host", "a.internal"], ["host", "a.internal"]),
  "user information in its authority": head(M, S, [":authority", "me@a.internal"], P),
  "a blank in its path": head(M, S, A, [":path", "/a b"]),
  "a fragment in its path": head(M, S, A, [":path", "/a#b"]),
  "a path that is a whole URL": head(M, S, A, [":path", "http://b.internal/"]),
  "* as the path of a GET": head(M, S, A, [":path", "*"]),
  "a line break in its path": head(M, S, A, [":path", "/a\r\nx: y"]),
  "a method that is no token": head([":method", "GET / HTTP/1.1"], S, A, P),
  "a scheme that is not HTTP's": head(M, [":scheme", "ftp"], A, P),
  "CONNECT with a path": head([":method", "CONNECT"], A, P),
  "CONNECT with a scheme": head([":method", "CONNECT"], S, A),
  "CONNECT without an authority": head([":method", "CONNECT"]),
  ":protocol without CONNECT": head(M, S, A, P, [":protocol", "websocket"]),
  "two lengths": head(M, S, A, P, ["content-length", "1"], ["content-length", "2"]),
  "a length that is none": head(M, S, A, P, ["content-length", "-1"]),
  "a line break in a value": head(M, S, A, P, ["x-a", "1\r\nx-b: 2"]),
  "a zero in a value": head(M, S, A, P, ["x-a", "1\x002"]),
  "a blank before a value": head(M, S, A, P, ["x-a", " 1"]),
  "a blank in a name": head(M, S, A, P, ["x a", "1"]),
  "an empty name": head(M, S, A, P, ["", "1"]),
  "a blank in its authority": head(M, S, [":authority", "a.internal b"], P),
  "a path with a backslash": head(M, S, A, [":path", "/\\b.internal/"]),
};

suite("a request over HTTP/2 is refused that has", () => {
  for (const [name, list] of Object.entries(refused)) {
    test(name, async (t) => {
      const { client, seen } = await answering(t);
      client.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, list), frame(HEADERS, END_HEADERS | END_STREAM, 3, asking()));
      assert.equal(await outcome(client, 3), "200", "the connection lives on");
      assert.equal(await outcome(client, 1), "reset 1");
      assert.equal(seen.length, 1);
    });
  }

  test("a body longer than it says", async (t) => {
    const { client, ended } = await answering(t);
    client.send(frame(HEADERS, END_HEADERS, 1, asking("POST", ["content-length", "1"])), frame(DATA, END_STREAM, 1, Buffer.from("more")));
    assert.equal(await outcome(client, 1), "reset 1");
    client.send(frame(HEADERS, END_HEADERS | END_STREAM, 3, asking()));
    assert.equal(await outcome(client, 3), "200");
    assert.deepEqual(ended, ["protocol"]);
  });

  test("a body shorter than it says", async (t) => {
    const { client, ended } = await answering(t);
    client.send(frame(HEADERS, END_HEADERS, 1, asking("POST", ["content-length", "9"])), frame(DATA, END_STREAM, 1, Buffer.from("less")));
    assert.equal(await outcome(client, 1), "reset 1");
    client.send(frame(HEADERS, END_HEADERS | END_STREAM, 3, asking()));
    assert.equal(await outcome(client, 3), "200");
    assert.deepEqual(ended, ["protocol"]);
  });

  test("trailers with a pseudo-field", async (t) => {
    const { client, ended } = await answering(t);
    client.send(frame(HEADERS, END_HEADERS, 1, asking("POST")), frame(HEADERS, END_HEADERS | END_STREAM, 1, block([[":path", "/b"]])));
    assert.equal(await outcome(client, 1), "reset 1");
    client.send(frame(HEADERS, END_HEADERS | END_STREAM, 3, asking()));
    assert.equal(await outcome(client, 3), "200");
    assert.deepEqual(ended, ["protocol"]);
  });

  test("a head that is too large, with 431", async (t) => {
    const { client, seen } = await answering(t);
    const large = block(Array.from({ length: 5 }, (_, n) => [`x-${n}`, "y".repeat(3_000)] as const));
    const { address } = await listenFor(t, () => assert.fail(), { limits: { headBytes: 4_096 } });
    const strict = await rawClient(t, portOf(address));
    strict.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, Buffer.concat([asking(), large])));
    assert.equal(await outcome(strict, 1), "431");
    client.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, Buffer.concat([asking(), large])));
    assert.equal(await outcome(client, 1), "200");
    assert.equal(seen.length, 1);
  });

  test("more fields than are read", async (t) => {
    const { client } = await answering(t);
    const many = block(Array.from({ length: 200 }, (_, n) => [`x-${n}`, "y"] as const));
    client.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, Buffer.concat([asking(), many])));
    assert.equal(await outcome(client, 1), "reset 11");
    client.send(frame(HEADERS, END_HEADERS | END_STREAM, 3, asking()));
    assert.equal(await outcome(client, 3), "200");
  });

  test("a small block that is large once it is read (HPACK)", async (t) => {
    const { client } = await answering(t);
    // one field goes into the table, and 16,000 bytes refer to it
    const indexed = Buffer.concat([Buffer.from([0x40]), block([["x", "y".repeat(4_000)]]).subarray(1)]);
    client.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, Buffer.concat([asking(), indexed])));
    assert.equal(await outcome(client, 1), "200");
    client.send(frame(HEADERS, END_HEADERS | END_STREAM, 3, Buffer.concat([asking(), Buffer.alloc(16_000, 0x80 | 62)])));
    assert.match(await outcome(client, 3), /^(?:431|reset 11)$/);
    client.send(frame(HEADERS, END_HEADERS | END_STREAM, 5, asking()));
    assert.equal(await outcome(client, 5), "200");
  });
});

suite("a request over HTTP/2 is taken", () => {
  test("whose Host stands for its authority", async (t) => {
    const { client, seen } = await answering(t);
    client.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, head(M, S, P, ["host", "a.internal"])));
    assert.equal(await outcome(client, 1), "200");
    assert.equal(seen[0]?.head.authority, "a.internal");
    assert.deepEqual(seen[0]?.head.fields, []);
  });

  test("with OPTIONS *, te: trailers and crumbs of a cookie", async (t) => {
    const { client, seen } = await answering(t);
    const list = head([":method", "OPTIONS"], S, A, [":path", "*"], ["te", "trailers"], ["cookie", "a=1"], ["x", "1"], ["cookie", "b=2"]);
    client.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, list));
    assert.equal(await outcome(client, 1), "200");
    assert.equal(seen[0]?.head.path, "*");
    assert.deepEqual(seen[0]?.head.fields, ["te", "trailers", "cookie", "a=1; b=2", "x", "1"]);
  });
});
