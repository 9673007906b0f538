// Requests over HTTP/2 that break off: each says exactly why.
import assert from "node:assert/strict";
import { suite, test, type TestContext } from "node:test";
import { answering, rawServer as rawTcp } from "../../harness/raw.ts";
import {
  OK,
  ACK,
  block,
  codeIn,
  DATA,
  END_HEADERS,
  END_STREAM,
  frame,
  type Frame,
  GOAWAY,
  HEADERS,
  number,
  PING,
  type Raw,
  rawServer,
  RST_STREAM,
  SETTINGS,
  setting,
} from "../../harness/raw-h2.ts";
import { nodeUpstream } from "../../harness/node-h2.ts";
import { plainHead, recorded } from "../../harness/recorded.ts";
import { gate, turns } from "../../harness/time.ts";
import { closedPort } from "../../harness/upstream.ts";
import { upstreamsFor } from "../../harness/wire.ts";

const isHeaders = ({ type }: Frame): boolean => type === HEADERS;
const isReset = ({ type }: Frame): boolean => type === RST_STREAM;

/** A server that says its SETTINGS, and does something with each request. */
async function answered(
  t: TestContext,
  answer: (peer: Raw, request: Frame, nth: number) => void,
  settings: Uint8Array = Buffer.alloc(0),
): Promise<{ origin: URL; readonly count: () => number; peers: Raw[] }> {
  const peers: Raw[] = [];
  let nth = 0;
  const { origin, count } = await rawServer(t, (peer) => {
    peers.push(peer);
    peer.send(frame(SETTINGS, 0, 0, settings));
    peer.each(HEADERS, (request) => answer(peer, request, ++nth));
  });
  return { origin, count, peers };
}

suite("a request over HTTP/2", () => {
  test("that no connection was made for was not sent", async (t) => {
    const request = recorded(upstreamsFor(t), new URL(await closedPort()));
    assert.equal((await request.over)?.why, "connect");
    assert.deepEqual(request.told, ["broken"]);
  });

  test("to a server of HTTP/1.1 was not sent", async (t) => {
    const { origin } = await rawTcp(t, answering("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"));
    const request = recorded(upstreamsFor(t), origin);
    assert.equal((await request.over)?.why, "connect");
    assert.deepEqual(request.told, ["broken"]);
  });

  test("that the server refuses had not begun", async (t) => {
    const { origin } = await answered(t, (peer, { id }) => peer.send(frame(RST_STREAM, 0, id, number(7))));
    const request = recorded(upstreamsFor(t), origin);
    const why = await request.over;
    assert.equal(why?.why, "refused");
    assert.equal(why?.code, 7);
    assert.deepEqual(request.told, ["connected", "broken"]);
  });

  for (const [name, code] of [
    ["without an error", 0],
    ["with an error", 11],
  ] as const) {
    test(`above the last stream of a GOAWAY ${name} had not begun`, async (t) => {
      const { origin, count } = await answered(t, (peer, { id }, nth) => {
        if (nth === 1) return;
        if (nth === 2) peer.send(frame(GOAWAY, 0, 0, Buffer.concat([number(1), number(code)])));
        else peer.send(frame(HEADERS, END_HEADERS | END_STREAM, id, OK));
        if (nth === 2 && code === 0) peer.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, OK));
        if (nth === 2 && code !== 0) peer.socket.end();
      });
      const upstreams = upstreamsFor(t);
      const first = recorded(upstreams, origin);
      const second = recorded(upstreams, origin);
      assert.equal((await second.over)?.why, "refused");
      assert.equal((await first.over)?.why, code === 0 ? undefined : "reset");
      assert.equal(await recorded(upstreams, origin).over, undefined, "another connection takes what follows");
      assert.equal(count(), 2);
    });
  }

  test("that the server resets says with which code", async (t) => {
    const { origin } = await answered(t, (peer, { id }) =>
      peer.send(frame(HEADERS, END_HEADERS, id, OK), frame(RST_STREAM, 0, id, number(11))),
    );
    const request = recorded(upstreamsFor(t), origin);
    const why = await request.over;
    assert.equal(why?.why, "reset");
    assert.equal(why?.code, 11);
    assert.deepEqual(request.told, ["connected", "200", "broken"]);
  });

  test("whose connection is lost is reset", async (t) => {
    const { origin } = await answered(t, (peer, { id }) => {
      peer.send(frame(HEADERS, END_HEADERS, id, OK), frame(DATA, 0, id, Buffer.from("half")));
      void peer.first(({ type, flags }) => type === SETTINGS && flags === ACK).then(() => peer.socket.resetAndDestroy());
    });
    const request = recorded(upstreamsFor(t), origin);
    assert.equal((await request.over)?.why, "reset");
  });

  test("whose response is reset without an error before its end is cut, not complete", async (t) => {
    const { origin } = await answered(t, (peer, { id }) =>
      peer.send(frame(HEADERS, END_HEADERS, id, OK), frame(DATA, 0, id, Buffer.from("half")), frame(RST_STREAM, 0, id, number(0))),
    );
    const request = recorded(upstreamsFor(t), origin);
    assert.equal((await request.over)?.why, "reset");
    assert.equal(request.told.includes("end"), false);
  });

  test("whose response is reset without an error once it is as long as it says is complete", async (t) => {
    const { origin } = await answered(t, (peer, { id }) =>
      peer.send(
        frame(
          HEADERS,
          END_HEADERS,
          id,
          block([
            [":status", "200"],
            ["content-length", "5"],
          ]),
        ),
        frame(DATA, 0, id, Buffer.from("whole")),
        frame(RST_STREAM, 0, id, number(0)),
      ),
    );
    const request = recorded(upstreamsFor(t), origin);
    assert.equal(await request.over, undefined);
    assert.equal(request.body(), "whole");
  });

  test("that is answered before its body has ended is complete, and the rest of the body is of no use", async (t) => {
    const { origin, peers } = await answered(t, (peer, { id }) =>
      peer.send(
        frame(HEADERS, END_HEADERS, id, OK),
        frame(DATA, END_STREAM, id, Buffer.from("whole")),
        frame(RST_STREAM, 0, id, number(0)),
      ),
    );
    const request = recorded(upstreamsFor(t), origin, plainHead({ method: "POST" }), false);
    assert.equal(await request.over, undefined);
    assert.equal(request.body(), "whole");
    assert.equal(request.stream.write(Buffer.from("more")), true);
    request.stream.end();
    peers[0]?.send(frame(PING, 0, 0, Buffer.alloc(8)));
    await peers[0]?.first(({ type }) => type === PING);
    assert.equal(
      peers[0]?.frames.some(({ type }) => type === DATA),
      false,
    );
  });

  for (const [name, head] of [
    [
      "has a name in capitals",
      block([
        [":status", "200"],
        ["X-A", "1"],
      ]),
    ],
    ["has no status", block([["x-a", "1"]])],
    [
      "has a field of a connection",
      block([
        [":status", "200"],
        ["connection", "close"],
      ]),
    ],
    [
      "has a pseudo-field behind a field",
      block([
        ["x-a", "1"],
        [":status", "200"],
      ]),
    ],
  ] as const) {
    test(`whose response ${name} is broken off as no HTTP`, async (t) => {
      const { origin, peers } = await answered(t, (peer, { id }) => peer.send(frame(HEADERS, END_HEADERS, id, head)));
      const request = recorded(upstreamsFor(t), origin);
      assert.equal((await request.over)?.why, "protocol");
      assert.equal(codeIn(await peers[0]?.first(isReset)), 1);
    });
  }

  test("whose response has another length than it says is broken off as no HTTP", async (t) => {
    const { origin } = await answered(t, (peer, { id }) =>
      peer.send(
        frame(
          HEADERS,
          END_HEADERS,
          id,
          block([
            [":status", "200"],
            ["content-length", "9"],
          ]),
        ),
        frame(DATA, END_STREAM, id, Buffer.from("short")),
      ),
    );
    const request = recorded(upstreamsFor(t), origin);
    assert.equal((await request.over)?.why, "protocol");
    assert.equal(request.told.includes("end"), false);
  });

  test("whose connection turns to garbage is broken off as no HTTP", async (t) => {
    const { origin } = await answered(t, (peer, { id }) =>
      peer.send(frame(HEADERS, END_HEADERS, id, OK), frame(DATA, 0, 0, Buffer.from("x"))),
    );
    assert.equal((await recorded(upstreamsFor(t), origin).over)?.why, "protocol");
  });

  test("that is given up is cancelled at the server, and nothing more is told", async (t) => {
    const { origin, peers } = await answered(t, () => undefined);
    const request = recorded(upstreamsFor(t), origin, plainHead({ method: "POST" }), false);
    await request.until("connected");
    request.stream.write(Buffer.from("x"));
    await Promise.resolve();
    request.stream.reset("cancelled");
    assert.equal(codeIn(await peers[0]?.first(isReset)), 8);
    assert.deepEqual(request.told, ["connected"]);
  });

  test("that was given up while it waited for a connection is never sent", async (t) => {
    const { origin, peers } = await answered(t, (peer, { id }) => peer.send(frame(HEADERS, END_HEADERS | END_STREAM, id, OK)));
    const upstreams = upstreamsFor(t);
    const given = recorded(upstreams, origin, plainHead({ method: "POST" }), false);
    given.stream.write(Buffer.from("x"));
    given.stream.reset("cancelled");
    assert.equal(await recorded(upstreams, origin).over, undefined);
    assert.deepEqual(given.told, []);
    assert.equal(peers[0]?.frames.filter(isHeaders).length, 1);
  });

  test("beyond what a connection takes goes over another", async (t) => {
    const { origin, count, peers } = await answered(t, () => undefined, setting(3, 2));
    const upstreams = upstreamsFor(t);
    const requests = [1, 2, 3, 4, 5].map(() => recorded(upstreams, origin));
    await Promise.all(requests.map((request) => request.until("connected")));
    assert.equal(count(), 3);
    await peers[2]?.first(isHeaders);
    assert.deepEqual(
      peers.map(({ frames }) => frames.filter(isHeaders).length),
      [2, 2, 1],
    );
  });

  test("is read to its end though its connection was closed behind it", async (t) => {
    const body = Buffer.alloc(60_000, "x");
    const lost = gate();
    const { origin, sessions } = await nodeUpstream(t, (stream) => {
      stream.respond({ ":status": 200 });
      stream.end(body);
      stream.on("close", () => {
        sessions[0]?.once("close", lost.open);
        sessions[0]?.destroy();
      });
    });
    const request = recorded(upstreamsFor(t), origin);
    await request.until("200");
    request.stream.pause();
    await lost.promise;
    await turns();
    request.stream.resume();
    assert.equal(await request.over, undefined);
    assert.equal(request.body().length, body.length);
  });
});
