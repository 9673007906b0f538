// Frames at random, from clients and from upstreams: nothing crashes, everything ends, and nothing is left behind.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { suite, test } from "node:test";
import fc from "fast-check";
import type { Exchange } from "../../../src/wire/wire.ts";
import { createUpstreams } from "../../../src/wire/upstreams.ts";
import {
  asking,
  block,
  DATA,
  END_HEADERS,
  END_STREAM,
  frame,
  HEADERS,
  number,
  PREFACE,
  raw,
  rawServer,
  setting,
  SETTINGS,
} from "../../harness/raw-h2.ts";
import { plainHead, recorded } from "../../harness/recorded.ts";
import { turns } from "../../harness/time.ts";
import { eventually, listenFor } from "../../harness/wire.ts";

const id = fc.constantFrom(0, 1, 1, 1, 3, 3, 5, 2, 7, 0x7fffffff);
const bytes = fc.uint8Array({ maxLength: 40 });

/** Frames that mean something, as often as not at the wrong time, and frames that mean nothing. */
const anyFrame = (heads: readonly Buffer[]): fc.Arbitrary<Buffer> =>
  fc.oneof(
    fc
      .tuple(fc.constantFrom(...heads), id, fc.constantFrom(0, END_STREAM, END_HEADERS, END_HEADERS | END_STREAM))
      .map(([head, on, flags]) => frame(HEADERS, flags, on, head)),
    fc.tuple(bytes, id, fc.constantFrom(0, END_STREAM, 8, 9)).map(([body, on, flags]) => frame(DATA, flags, on, body)),
    fc
      .tuple(fc.constantFrom(3, 8), id, fc.constantFrom(0, 1, 5, 7, 8, 11, 65_535, 0x7fffffff, 0xffffffff))
      .map(([type, on, value]) => frame(type, 0, on, number(value))),
    fc
      .tuple(fc.integer({ min: 0, max: 9 }), fc.constantFrom(0, 1, 4_096, 16_384, 65_535, 0xffffffff))
      .map(([what, value]) => frame(SETTINGS, 0, 0, setting(what, value))),
    fc
      .tuple(fc.integer({ min: 0, max: 12 }), fc.integer({ min: 0, max: 255 }), id, bytes)
      .map(([type, flags, on, body]) => frame(type, flags, on, body)),
  );

/** The frames in a row, some bytes of which may be changed, cut into pieces. */
const anyStream = (heads: readonly Buffer[]): fc.Arbitrary<readonly Buffer[]> =>
  fc
    .tuple(
      fc.array(anyFrame(heads), { maxLength: 30 }),
      fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 3 }),
      fc.array(fc.nat(), { maxLength: 4 }),
      fc.boolean(),
    )
    .map(([frames, changes, cuts, mutated]) => {
      const all = Buffer.concat(frames);
      if (mutated && all.length > 0) for (const [at, value] of changes) all[at % all.length] = value;
      const ends = [...cuts.map((cut) => cut % (all.length + 1)), all.length].toSorted((a, b) => a - b);
      return ends.map((end, n) => all.subarray(ends[n - 1] ?? 0, end));
    });

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

/** Timers and sockets that are at work. */
const atWork = (): number => process.getActiveResourcesInfo().filter((one) => /Timeout|TCP|Http2/.test(one)).length;

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
