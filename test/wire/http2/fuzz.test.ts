// Frames at random from clients: nothing crashes, everything ends, and nothing is left behind. From upstreams: test/tools/http2-upstream-fuzz.ts.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { suite, test } from "node:test";
import fc from "fast-check";
import type { Exchange } from "../../../src/wire/wire.ts";
import { anyStream, atWork } from "../../harness/any-frames.ts";
import { asking, block, frame, PREFACE, raw, SETTINGS } from "../../harness/raw-h2.ts";
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
});
