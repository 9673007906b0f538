// Floods over HTTP/2: the connection at fault is told to be calm and closed, another lives on, and nothing is left behind.
import assert from "node:assert/strict";
import { suite, test, type TestContext } from "node:test";
import type { Exchange } from "../../../src/wire/wire.ts";
import {
  portOf,
  ALL,
  asking,
  block,
  codeIn,
  CONTINUATION,
  DATA,
  END_HEADERS,
  frame,
  HEADERS,
  isGoaway,
  number,
  PING,
  PRIORITY,
  type Raw,
  rawClient,
  RST_STREAM,
  setting,
  SETTINGS,
  WINDOW_UPDATE,
} from "../../harness/raw-h2.ts";
import { eventually, listenFor } from "../../harness/wire.ts";

const ids = (count: number): number[] => Array.from({ length: count }, (_, n) => 2 * n + 1);
const repeated = (count: number, one: Buffer): Buffer => Buffer.concat(Array.from({ length: count }, () => one));

/** Receives requests and answers those for `/`; the others wait. */
function receive(exchange: Exchange): void {
  exchange.receive({ data: () => undefined, end: () => undefined, broken: () => undefined, drained: () => undefined });
  if (exchange.head.method === "GET") exchange.respond({ status: 200, fields: [] }, true);
}

const isAnswer =
  (id: number) =>
  (one: { type: number; id: number }): boolean =>
    one.type === HEADERS && one.id === id;

const waiting = asking("POST");

const floods: Readonly<Record<string, { readonly codes: readonly number[]; readonly send: (client: Raw) => void }>> = {
  "resets, each at once after its request": {
    codes: [11],
    send: (client) => {
      for (const id of ids(2_000)) client.send(frame(HEADERS, ALL, id, waiting), frame(RST_STREAM, 0, id, number(8)));
    },
  },
  "resets that say that nothing is wrong": {
    codes: [11],
    send: (client) => {
      for (const id of ids(2_000)) client.send(frame(HEADERS, ALL, id, waiting), frame(RST_STREAM, 0, id, number(0)));
    },
  },
  "trailers that are too many": {
    codes: [11],
    send: (client) => {
      const trailers = Buffer.alloc(120, 0x80 | 16); // accept-encoding from the static table
      for (const id of ids(2_000)) client.send(frame(HEADERS, END_HEADERS, id, waiting), frame(HEADERS, ALL, id, trailers));
    },
  },
  "DATA behind the end of a request": {
    codes: [11],
    send: (client) => {
      for (const id of ids(2_000)) client.send(frame(HEADERS, ALL, id, waiting), frame(DATA, 0, id, Buffer.from("x")));
    },
  },
  "windows that grow by nothing": {
    codes: [11],
    send: (client) => {
      for (const id of ids(2_000)) client.send(frame(HEADERS, ALL, id, waiting), frame(WINDOW_UPDATE, 0, id, number(0)));
    },
  },
  "PRIORITYs of a wrong size": {
    codes: [11],
    send: (client) => {
      for (const id of ids(2_000)) client.send(frame(HEADERS, ALL, id, waiting), frame(PRIORITY, 0, id, Buffer.from([0])));
    },
  },
  "bodies of another length than they say": {
    codes: [11],
    send: (client) => {
      const long = asking("POST", ["content-length", "1"]);
      for (const id of ids(2_000)) client.send(frame(HEADERS, END_HEADERS, id, long), frame(DATA, 0, id, Buffer.from("xx")));
    },
  },
  "resets that we are made to send": {
    codes: [1, 3, 11],
    send: (client) => {
      const overflow = number(0x7fffffff);
      for (const id of ids(2_000)) client.send(frame(HEADERS, END_HEADERS, id, waiting), frame(WINDOW_UPDATE, 0, id, overflow));
    },
  },
  SETTINGS: { codes: [11], send: (client) => client.send(repeated(20_000, frame(SETTINGS, 0, 0, setting(4, 65_535)))) },
  PINGs: { codes: [11], send: (client) => client.send(repeated(20_000, frame(PING, 0, 0, Buffer.alloc(8)))) },
  "DATA without data": {
    codes: [11],
    send: (client) => client.send(frame(HEADERS, END_HEADERS, 1, waiting), repeated(20_000, frame(DATA, 0, 1))),
  },
  "DATA of padding alone": {
    codes: [11],
    send: (client) => client.send(frame(HEADERS, END_HEADERS, 1, waiting), repeated(20_000, frame(DATA, 8, 1, Buffer.from([0])))),
  },
  "HEADERS without fields": {
    codes: [11],
    send: (client) => {
      for (const id of ids(5_000)) client.send(frame(HEADERS, ALL, id));
    },
  },
  "requests that are not allowed": {
    codes: [11],
    send: (client) => {
      for (const id of ids(5_000)) client.send(frame(HEADERS, ALL, id, asking("GET", ["connection", "close"])));
    },
  },
  "CONTINUATIONs without fields": {
    // nghttp2 ends it by itself, and its word is not known in all versions of Node
    codes: [2, 11],
    send: (client) => client.send(frame(HEADERS, 0, 1, asking()), repeated(20_000, frame(CONTINUATION, 0, 1))),
  },
  "CONTINUATIONs that never end": {
    codes: [2, 11],
    send: (client) =>
      client.send(frame(HEADERS, 0, 1, asking()), repeated(100, frame(CONTINUATION, 0, 1, block([["x", "y".repeat(10_000)]])))),
  },
  PRIORITYs: {
    codes: [11],
    send: (client) => {
      for (const id of ids(50_000)) client.send(frame(PRIORITY, 0, id, Buffer.from([0, 0, 0, 0, 1])));
    },
  },
  "frames of an unknown type": { codes: [11], send: (client) => client.send(repeated(50_000, frame(0x42, 0, 0, Buffer.alloc(1)))) },
  "a window that is too large": { codes: [1, 3], send: (client) => client.send(frame(WINDOW_UPDATE, 0, 0, number(0x7fffffff))) },
};

async function flooded(t: TestContext): Promise<{ port: number; exchanges: () => number; connections: () => number }> {
  const { listener, address } = await listenFor(t, receive);
  return { port: portOf(address), exchanges: () => listener.count().exchanges, connections: () => listener.count().connections };
}

suite("a flood over HTTP/2 of", () => {
  for (const [name, { codes, send }] of Object.entries(floods)) {
    test(name, async (t) => {
      const { port, exchanges, connections } = await flooded(t);
      const innocent = await rawClient(t, port);
      innocent.send(frame(HEADERS, ALL, 1, asking()));
      await innocent.first(isAnswer(1));
      const client = await rawClient(t, port);
      send(client);
      const goaway = await client.first(isGoaway);
      await client.closed;
      // where so much is under way that the kernel has thrown the GOAWAY away, only the end is seen
      if (goaway !== undefined) assert.ok(codes.includes(codeIn(goaway) ?? -1), `code ${codeIn(goaway)}`);
      innocent.send(frame(HEADERS, ALL, 3, asking()));
      assert.notEqual(await innocent.first(isAnswer(3)), undefined);
      await eventually(() => connections() === 1 && exchanges() === 0);
    });
  }

  test("streams beyond those that are allowed refuses these alone", async (t) => {
    const { listener, address } = await listenFor(t, receive, { limits: { streams: 10 } });
    const client = await rawClient(t, portOf(address));
    for (const id of ids(30)) client.send(frame(HEADERS, ALL, id, waiting));
    const last = await client.first(({ type, id }) => type === RST_STREAM && id === 59);
    assert.equal(codeIn(last), 7);
    assert.equal(client.frames.filter(({ type }) => type === RST_STREAM).length, 20);
    assert.equal(listener.count().exchanges, 10);
  });

  test("resets by a client that has its answers is none", async (t) => {
    const { port } = await flooded(t);
    const client = await rawClient(t, port);
    for (const id of ids(1_000)) {
      client.send(frame(HEADERS, ALL, id, asking()));
      if (id % 100 === 1) await client.first(isAnswer(id));
    }
    await client.first(isAnswer(1_999));
    assert.equal(client.frames.some(isGoaway), false);
  });
});
