// Messages over HTTP/2 that end in an order that is seldom: each is told its own end, and nobody is told one that is none.
import assert from "node:assert/strict";
import { suite, test, type TestContext } from "node:test";
import type { Exchange } from "../../../src/wire/wire.ts";
import {
  portOf,
  ALL,
  OK,
  ACK,
  asking,
  block,
  codeIn,
  DATA,
  END_HEADERS,
  END_STREAM,
  frame,
  type Frame,
  GOAWAY,
  HEADERS,
  isGoaway,
  number,
  PING,
  type Raw,
  rawClient,
  rawServer,
  RST_STREAM,
  setting,
  SETTINGS,
  WINDOW_UPDATE,
} from "../../harness/raw-h2.ts";
import { plainHead, recorded } from "../../harness/recorded.ts";
import { turns } from "../../harness/time.ts";
import { eventually, listenFor, upstreamsFor } from "../../harness/wire.ts";

const ended = ({ flags, type }: Frame): boolean => (type === DATA || type === HEADERS) && (flags & END_STREAM) !== 0;

/** A server that says its SETTINGS and leaves the rest to the test. */
async function silent(t: TestContext, settings: Uint8Array = Buffer.alloc(0)): Promise<{ readonly origin: URL; readonly peers: Raw[] }> {
  const peers: Raw[] = [];
  const { origin } = await rawServer(t, (peer) => {
    peers.push(peer);
    peer.send(frame(SETTINGS, 0, 0, settings));
  });
  return { origin, peers };
}

/** Everything that was sent to the peer before has been read by it. */
async function settled(peer: Raw | undefined, n = 1): Promise<void> {
  const mark = Buffer.alloc(8, n);
  peer?.send(frame(PING, 0, 0, mark));
  await peer?.first(({ type, flags, payload }) => type === PING && flags === ACK && payload.equals(mark));
}

suite("an upstream that hears of a request that was given up only later", () => {
  const limits = { upstreamResets: { burst: 0, perSecond: 0 } };

  test("is not told that the part of the body that it got is all of it", async (t) => {
    const { origin, peers } = await silent(t, setting(4, 5));
    const upstreams = upstreamsFor(t, { limits });
    const request = recorded(upstreams, origin, plainHead({ method: "POST" }), false);
    const other = recorded(upstreams, origin);
    await other.until("connected");
    request.stream.write(Buffer.from("half of it"));
    await peers[0]?.first(({ type }) => type === DATA);
    request.stream.reset("cancelled");
    peers[0]?.send(frame(WINDOW_UPDATE, 0, 1, number(100)), frame(WINDOW_UPDATE, 0, 0, number(100)));
    await settled(peers[0]);
    assert.equal(
      peers[0]?.frames.some((one) => one.id === 1 && ended(one)),
      false,
    );
  });

  test("and is the last that its connection was for sees that close", async (t) => {
    const { origin, peers } = await silent(t);
    const upstreams = upstreamsFor(t, { limits });
    const stream = upstreams.open({ origin, version: "2" }, plainHead({ method: "POST" }), false, {
      connected: () => undefined,
      inform: () => undefined,
      head: () => undefined,
      data: () => undefined,
      end: () => undefined,
      broken: () => undefined,
      drained: () => stream.reset("cancelled"), // within the moment at which it is sent
    });
    stream.write(Buffer.from("x"));
    await eventually(() => peers.length === 1);
    await peers[0]?.closed;
    assert.equal(peers[0]?.frames.some(ended), false);
  });

  test("and has answered before the body was there is not told so either", async (t) => {
    const { origin, peers } = await silent(t, setting(4, 5));
    const upstreams = upstreamsFor(t, { limits });
    const request = recorded(upstreams, origin, plainHead({ method: "POST" }), false);
    const other = recorded(upstreams, origin);
    await other.until("connected");
    request.stream.write(Buffer.from("half of it"));
    await peers[0]?.first(({ type }) => type === DATA);
    peers[0]?.send(frame(HEADERS, ALL, 1, OK));
    assert.equal(await request.over, undefined);
    peers[0]?.send(frame(WINDOW_UPDATE, 0, 1, number(100)), frame(WINDOW_UPDATE, 0, 0, number(100)));
    await settled(peers[0]);
    assert.equal(
      peers[0]?.frames.some((one) => one.id === 1 && ended(one)),
      false,
    );
  });
});

suite("an upstream that answers before it has all of the request", () => {
  test("and resets it by itself is not told to stop", async (t) => {
    const { origin, peers } = await silent(t);
    const upstreams = upstreamsFor(t);
    for (let nth = 0; nth < 3; nth++) {
      const request = recorded(upstreams, origin, plainHead({ method: "POST" }), false);
      const id = 2 * nth + 1;
      await eventually(() => peers[0]?.frames.some((one) => one.type === HEADERS && one.id === id) === true);
      peers[0]?.send(Buffer.concat([frame(HEADERS, ALL, id, OK), frame(RST_STREAM, 0, id, number(0))]));
      assert.equal(await request.over, undefined);
    }
    await settled(peers[0]);
    assert.equal(
      peers[0]?.frames.some(({ type }) => type === RST_STREAM),
      false,
    );
  });

  test("and resets it a moment later, again and again, keeps its connection", async (t) => {
    const { origin, peers } = await silent(t);
    const limits = { upstreamResets: { burst: 10_000, perSecond: 1 }, idleFrames: { burst: 5, perSecond: 0 } };
    const upstreams = upstreamsFor(t, { limits });
    for (let nth = 0; nth < 20; nth++) {
      const request = recorded(upstreams, origin, plainHead({ method: "POST" }), false);
      const id = 2 * nth + 1;
      await eventually(() => peers[0]?.frames.some((one) => one.type === HEADERS && one.id === id) === true);
      peers[0]?.send(frame(HEADERS, ALL, id, OK));
      assert.equal(await request.over, undefined);
      assert.equal(codeIn(await peers[0]?.first((one) => one.type === RST_STREAM && one.id === id)), 0);
      peers[0]?.send(frame(RST_STREAM, 0, id, number(0)));
    }
    await settled(peers[0]);
    assert.equal(peers.length, 1);
    assert.equal(peers[0]?.frames.some(isGoaway), false);
  });
});

suite("a tunnel whose server has closed its half", () => {
  async function half(t: TestContext, paused: boolean): Promise<{ peer: Raw | undefined; request: ReturnType<typeof recorded> }> {
    const { origin, peers } = await silent(t, setting(4, 4));
    const request = recorded(upstreamsFor(t), origin, plainHead({ method: "CONNECT", path: "", authority: "a:1" }), false);
    if (paused) request.stream.pause();
    await eventually(() => peers[0]?.frames.some(({ type }) => type === HEADERS) === true);
    peers[0]?.send(frame(HEADERS, END_HEADERS, 1, OK), frame(DATA, END_STREAM, 1, Buffer.from("last")));
    await request.until("200");
    await settled(peers[0]);
    assert.equal(request.stream.write(Buffer.from("more than it takes")), false);
    return { peer: peers[0], request };
  }

  test("and is lost then says so to who still writes", async (t) => {
    const { peer, request } = await half(t, false);
    peer?.socket.resetAndDestroy();
    await eventually(() => request.told.includes("broken"));
    assert.deepEqual(request.told, ["connected", "200", "data", "end", "broken"]);
  });

  test("and resets it then is sent nothing more", async (t) => {
    const { peer, request } = await half(t, false);
    peer?.send(frame(RST_STREAM, 0, 1, number(8)), frame(WINDOW_UPDATE, 0, 0, number(1_000)));
    await settled(peer, 2);
    assert.deepEqual(request.told, ["connected", "200", "data", "end", "broken"]);
    request.stream.write(Buffer.from("more"));
    request.stream.end();
    await settled(peer, 3);
    assert.equal(Buffer.concat(peer?.frames.filter(({ type }) => type === DATA).map(({ payload }) => payload) ?? []).toString(), "more");
    assert.equal(peer?.frames.some(ended), false);
  });

  test("and is lost while nothing is read gives what has come first", async (t) => {
    const { peer, request } = await half(t, true);
    peer?.socket.resetAndDestroy();
    await peer?.closed;
    await turns();
    assert.deepEqual(request.told, ["connected", "200"]);
    request.stream.resume();
    assert.deepEqual(request.told, ["connected", "200", "data", "end", "broken"]);
    assert.equal(request.body(), "last");
  });
});

suite("a request that comes in", () => {
  test("and has broken off is told of no more, once it is reset", async (t) => {
    const told: string[] = [];
    let one: Exchange | undefined;
    const { address, listener } = await listenFor(t, (exchange) => {
      one = exchange;
    });
    const client = await rawClient(t, portOf(address));
    client.send(frame(HEADERS, END_HEADERS, 1, asking("POST")));
    await eventually(() => one !== undefined);
    client.send(frame(RST_STREAM, 0, 1, number(8)));
    await eventually(() => listener.count().exchanges === 0);
    one?.receive({
      data: () => told.push("data"),
      end: () => told.push("end"),
      broken: () => told.push("broken"),
      drained: () => told.push("drained"),
    });
    one?.reset("cancelled");
    await turns();
    assert.deepEqual(told, []);
  });

  test("to CONNECT is a tunnel with any 2xx", async (t) => {
    const { address } = await listenFor(t, (exchange) => {
      exchange.respond({ status: 204, fields: [] }, false);
      exchange.write(Buffer.from("bytes"));
      exchange.end();
    });
    const client = await rawClient(t, portOf(address));
    client.send(
      frame(
        HEADERS,
        END_HEADERS,
        1,
        block([
          [":method", "CONNECT"],
          [":authority", "a:1"],
        ]),
      ),
    );
    const data = await client.first(({ type }) => type === DATA);
    assert.equal(data?.payload.toString(), "bytes");
  });
});

test("who says two sizes of a table of HPACK at once is told of the lower one", async (t) => {
  const { address } = await listenFor(t, (exchange) => exchange.respond({ status: 200, fields: [] }, true));
  const client = await rawClient(t, portOf(address), Buffer.concat([setting(1, 0), setting(1, 4_096)]));
  client.send(frame(HEADERS, ALL, 1, asking()));
  const answer = await client.first(({ type }) => type === HEADERS);
  assert.deepEqual([...(answer?.payload.subarray(0, 5) ?? [])], [0x20, 0x3f, 0xe1, 0x1f, 0x88]);
});

test("an Upgrade is not sent to an upstream over HTTP/2 that has not said that it takes one", async (t) => {
  const { origin, peers } = await silent(t);
  const request = recorded(upstreamsFor(t), origin, plainHead({ upgrade: "websocket" }), false);
  assert.equal((await request.over)?.why, "protocol");
  await settled(peers[0]);
  assert.equal(
    peers[0]?.frames.some(({ type }) => type === HEADERS),
    false,
  );
  assert.equal(
    peers[0]?.frames.some(({ type }) => type === GOAWAY),
    false,
  );
});
