// Upstreams over HTTP/2 that flood: the connection at fault is closed, what waited on it is told, the next request goes over another, and nothing is left behind.
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { createUpstreams } from "../../../src/wire/upstreams.ts";
import {
  ALL,
  OK,
  block,
  codeIn,
  CONTINUATION,
  DATA,
  END_HEADERS,
  frame,
  GOAWAY,
  HEADERS,
  isGoaway,
  number,
  PING,
  PRIORITY,
  type Raw,
  rawServer,
  RST_STREAM,
  setting,
  SETTINGS,
  WINDOW_UPDATE,
} from "../../harness/raw-h2.ts";
import { plainHead, recorded } from "../../harness/recorded.ts";
import { eventually, manualClock } from "../../harness/wire.ts";

const EARLY = block([[":status", "103"]]);
const repeated = (count: number, one: Buffer): Buffer => Buffer.concat(Array.from({ length: count }, () => one));

interface Flood {
  /** What the request is told, each of them one that may be. */
  readonly why: readonly string[];
  /** What the upstream is told by GOAWAY; `undefined`: its connection lives on. */
  readonly code: number | undefined;
  readonly send: (peer: Raw, id: number) => void;
}

const floods: Readonly<Record<string, Flood>> = {
  PINGs: { why: ["reset"], code: 11, send: (peer) => peer.send(repeated(20_000, frame(PING, 0, 0, Buffer.alloc(8)))) },
  SETTINGS: { why: ["reset"], code: 11, send: (peer) => peer.send(repeated(5_000, frame(SETTINGS, 0, 0, setting(1, 0)))) },
  "DATA without data": {
    why: ["reset"],
    code: 11,
    send: (peer, id) => peer.send(frame(HEADERS, END_HEADERS, id, OK), repeated(20_000, frame(DATA, 0, id))),
  },
  PRIORITYs: { why: ["reset"], code: 11, send: (peer, id) => peer.send(repeated(20_000, frame(PRIORITY, 0, id, Buffer.alloc(5)))) },
  "frames of an unknown type": { why: ["reset"], code: 11, send: (peer) => peer.send(repeated(20_000, frame(0x42, 0, 0))) },
  "resets of streams that are over": {
    why: ["reset"],
    code: 11,
    send: (peer, id) => peer.send(frame(HEADERS, END_HEADERS, id, OK), repeated(20_000, frame(RST_STREAM, 0, 1, number(8)))),
  },
  "CONTINUATIONs without fields": {
    why: ["reset"],
    code: 11,
    send: (peer, id) => peer.send(frame(HEADERS, 0, id, OK), repeated(20_000, frame(CONTINUATION, 0, id))),
  },
  "CONTINUATIONs that never end": {
    why: ["reset"],
    code: 11,
    send: (peer, id) => peer.send(frame(HEADERS, 0, id, OK), repeated(100, frame(CONTINUATION, 0, id, block([["x", "y".repeat(10_000)]])))),
  },
  "interim responses": {
    why: ["too-large"],
    code: undefined,
    send: (peer, id) => peer.send(repeated(20_000, frame(HEADERS, END_HEADERS, id, EARLY))),
  },
  "a head that is too large": {
    why: ["too-large"],
    code: undefined,
    send: (peer, id) => {
      const block1 = block([[":status", "200"], ...Array.from({ length: 7 }, () => ["x", "y".repeat(10_000)] as const)]);
      const parts = Array.from({ length: 5 }, (_, n) => block1.subarray(n * 16_000, (n + 1) * 16_000));
      peer.send(...parts.map((part, n) => frame(n === 0 ? HEADERS : CONTINUATION, n === 4 ? END_HEADERS : 0, id, part)));
    },
  },
  "trailers, twice": {
    why: ["none"],
    code: 5,
    send: (peer, id) => peer.send(frame(HEADERS, END_HEADERS, id, OK), repeated(2, frame(HEADERS, ALL, id, block([["x", "y"]])))),
  },
  "heads, twice": {
    why: ["protocol"],
    code: undefined,
    send: (peer, id) => peer.send(repeated(2, frame(HEADERS, END_HEADERS, id, OK))),
  },
  "more than its window": {
    why: ["protocol"],
    code: undefined,
    send: (peer, id) => peer.send(frame(HEADERS, END_HEADERS, id, OK), repeated(9, frame(DATA, 0, id, Buffer.alloc(16_384)))),
  },
  "streams of its own": { why: ["protocol"], code: 1, send: (peer) => peer.send(frame(HEADERS, ALL, 2, OK)) },
  pushes: { why: ["protocol"], code: 1, send: (peer, id) => peer.send(frame(5, END_HEADERS, id, Buffer.concat([number(2), OK]))) },
  "a window that is too large": { why: ["protocol"], code: 3, send: (peer) => peer.send(frame(WINDOW_UPDATE, 0, 0, number(0x7fffffff))) },
  GOAWAYs: {
    why: ["refused"],
    code: 0,
    send: (peer) => peer.send(repeated(5_000, frame(GOAWAY, 0, 0, Buffer.concat([number(0), number(0), Buffer.alloc(50)])))),
  },
};

suite("an upstream over HTTP/2 that sends", () => {
  for (const [name, { why, code, send }] of Object.entries(floods)) {
    test(name, async (t) => {
      const clock = manualClock();
      const peers: Raw[] = [];
      let good = true; // at first, and after the flood
      const { origin } = await rawServer(t, (peer) => {
        peers.push(peer);
        peer.send(frame(SETTINGS, 0, 0));
        peer.each(HEADERS, ({ id }) => {
          if (good) peer.send(frame(HEADERS, ALL, id, OK));
          else send(peer, id);
        });
      });
      const upstreams = createUpstreams({ clock });
      assert.equal(await recorded(upstreams, origin).over, undefined);
      good = false;
      const request = recorded(upstreams, origin);
      request.stream.pause();
      const over = request.over;
      if (why.includes("none")) request.stream.resume();
      assert.ok(why.includes((await over)?.why ?? "none"), (await over)?.why);
      good = true;
      if (code !== undefined) {
        const goaway = await peers[0]?.first(isGoaway);
        if (goaway !== undefined) assert.equal(codeIn(goaway), code);
        await peers[0]?.closed;
      }
      assert.equal(await recorded(upstreams, origin).over, undefined);
      assert.equal(peers.length, code === undefined ? 1 : 2);
      await upstreams.close();
      await eventually(() => clock.waiting() === 0);
      assert.ok(request.told.filter((what) => what === "broken" || what === "end").length === 1, request.told.join(" "));
    });
  }

  test("resets, request after request, tells each of them", async (t) => {
    const { origin } = await rawServer(t, (peer) => {
      peer.send(frame(SETTINGS, 0, 0));
      peer.each(HEADERS, ({ id }) => peer.send(frame(RST_STREAM, 0, id, number(2))));
    });
    const upstreams = createUpstreams();
    const all = Array.from({ length: 1_000 }, () => recorded(upstreams, origin, plainHead({ method: "POST" }), false));
    for (const { over } of all) assert.equal((await over)?.why, "reset");
    await upstreams.close();
  });
});
