// Frames at random, from clients and from upstreams: nothing crashes, everything ends, and nothing is left behind.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { suite, test } from "node:test";
import fc from "fast-check";
import { createUpstreams } from "../../../src/wire/upstreams.ts";
import type { Exchange } from "../../../src/wire/wire.ts";
import { anyStream, atWork } from "../../harness/any-frames.ts";
import { asking, block, frame, HEADERS, PREFACE, raw, rawServer, SETTINGS } from "../../harness/raw-h2.ts";
import { plainHead, recorded } from "../../harness/recorded.ts";
import { turns } from "../../harness/time.ts";
import { eventually, listenFor } from "../../harness/wire.ts";

const requests = [
  asking(),
  asking("POST", ["content-length", "5"]),
  block([
    [":method", "CONNECT"],
    [":authority", "a:1"],
  ]),
  block([["x-trailer", "1"]]),
  block([[":status", "200"]]),
];
const responses = [
  block([[":status", "200"]]),
  block([[":status", "103"]]),
  block([["x-trailer", "1"]]),
  block([
    [":status", "204"],
    ["content-length", "5"],
  ]),
  asking(),
];

suite("frames at random", () => {
  test("from a client", async (t) => {
    let open = 0;
    /** Answers in one of several ways, by the number of the exchange. */
    const { address, listener } = await listenFor(t, (exchange: Exchange) => {
      const way = open++ % 5;
      exchange.receive({
        data: (chunk) => {
          if (way === 1) exchange.write(chunk);
        },
        end: () => exchange.end(),
        broken: () => undefined,
        drained: () => undefined,
      });
      if (way === 0) exchange.respond({ status: 200, fields: [] }, true);
      if (way === 1) exchange.respond({ status: 200, fields: ["x-a", "1"] }, false);
      if (way === 2) exchange.reset("refused");
      if (way === 3) {
        exchange.pause();
        exchange.inform({ status: 103, fields: [] });
        exchange.respond({ status: 200, fields: [] }, false);
        exchange.write(Buffer.alloc(100_000));
        exchange.end(["x-b", "2"]);
      }
    });
    const before = atWork();
    await fc.assert(
      fc.asyncProperty(anyStream(requests), fc.boolean(), async (pieces, abrupt) => {
        const socket = connect(Number(address.split(":").at(-1)), "127.0.0.1");
        const client = raw(socket);
        await once(socket, "connect");
        client.send(PREFACE, frame(SETTINGS, 0, 0));
        for (const piece of pieces) {
          client.send(piece);
          await turns(1);
        }
        if (abrupt) socket.resetAndDestroy();
        else socket.end();
        await client.closed;
        await eventually(() => listener.count().connections === 0 && listener.count().exchanges === 0);
      }),
      { numRuns: 150 },
    );
    assert.ok(open > 0);
    await eventually(() => atWork() <= before);
  });

  test("from an upstream", async (t) => {
    let pieces: readonly Buffer[] = [];
    const { origin } = await rawServer(t, (peer) => {
      peer.send(frame(SETTINGS, 0, 0));
      peer.each(HEADERS, () => {
        void (async () => {
          for (const piece of pieces) {
            peer.send(piece);
            await turns(1);
          }
          peer.socket.end();
        })();
      });
    });
    const before = atWork();
    await fc.assert(
      fc.asyncProperty(anyStream(responses), async (some) => {
        pieces = some;
        const upstreams = createUpstreams();
        const all = [
          recorded(upstreams, origin),
          recorded(upstreams, origin, plainHead({ method: "POST" }), false),
          recorded(upstreams, origin, plainHead({ method: "CONNECT", path: "" }), false),
        ];
        all[1]?.stream.write(Buffer.from("hello"));
        all[1]?.stream.end();
        for (const { over, told } of all) {
          await over;
          assert.ok(told.filter((what) => ["end", "broken"].includes(what) || what.endsWith("!")).length >= 1, told.join(" "));
        }
        all[2]?.stream.reset("cancelled"); // a tunnel that was closed on one side stays open on the other
        await upstreams.close();
      }),
      { numRuns: 150 },
    );
    await eventually(() => atWork() <= before);
  });
});
