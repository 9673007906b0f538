// HPACK's laws: what an encoder writes is what its decoder reads; a decoder keeps step with any writer by the book; and no bytes get the better of it.
import assert from "node:assert/strict";
import fc from "fast-check";
import { suite, test } from "node:test";
import { Decoder } from "../../../../src/wire/http2/hpack/decoder.ts";
import { Encoder } from "../../../../src/wire/http2/hpack/encoder.ts";
import { Model } from "../../../harness/hpack.ts";

const BOUNDS = { tableBytes: 4_096, fields: 1_000, bytes: 1_000_000 };

/** Few of each, so that they meet again; some fill a table. */
const names = fc.oneof(
  fc.constantFrom(":path", ":method", ":status", "user-agent", "content-type", "authorization", "x-request-id", "accept-encoding", "x-a"),
  fc.stringMatching(/^[a-z]{1,3}$/),
  fc.integer({ min: 1, max: 300 }).map((length) => "n".repeat(length)),
);
const values = fc.oneof(
  fc.constantFrom("", "GET", "/", "200", "gzip, deflate", "one", "two"),
  fc.stringMatching(/^[!-~\x80-\xff]{0,40}$/),
  fc.integer({ min: 1, max: 1_500 }).map((length) => "v".repeat(length)),
  fc.integer({ min: 0, max: 200 }).map(String),
);
const fields = fc.tuple(names, values);
const lists = fc.array(fields, { maxLength: 30 });
const sizes = fc.constantFrom(0, 33, 64, 100, 300, 1_000, 4_096, 65_536);

suite("an encoder and a decoder", () => {
  test("the one reads what the other writes, over all changes of the table's size", () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(lists, sizes), { maxLength: 40 }), (steps) => {
        const encoder = new Encoder();
        const decoder = new Decoder(BOUNDS);
        for (const step of steps) {
          if (typeof step === "number") encoder.limit(step);
          else {
            const list = step.flat();
            const into = Buffer.alloc(encoder.bound(list));
            assert.deepEqual(decoder.decode(into, 0, encoder.encode(list, into, 0)), list);
            assert.equal(decoder.fault, "");
          }
        }
      }),
    );
  });

  test("they do so for long on one connection", () => {
    fc.assert(
      fc.property(fc.array(lists, { minLength: 20, maxLength: 60 }), (blocks) => {
        const encoder = new Encoder();
        const decoder = new Decoder(BOUNDS);
        for (let round = 0; round < 5; round++)
          for (const block of blocks) {
            const list = [...block.flat(), "x-round", String(round)];
            const into = Buffer.alloc(encoder.bound(list));
            assert.deepEqual(decoder.decode(into, 0, encoder.encode(list, into, 0)), list);
          }
      }),
      { numRuns: 30 },
    );
  });
});

suite("a decoder", () => {
  const written = fc.record({
    field: fields,
    way: fc.constantFrom("indexed", "indexed", "kept", "fleeting", "never"),
    coded: fc.boolean(),
    referred: fc.boolean(),
  });

  test("has the table that the naive one has, whatever way each field is written", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.array(sizes, { maxLength: 2 }), fc.array(written, { maxLength: 30 })), { maxLength: 20 }),
        (blocks) => {
          const model = new Model(BOUNDS.tableBytes);
          const decoder = new Decoder(BOUNDS);
          for (const [resizes, parts] of blocks) {
            const block = Buffer.concat([
              ...resizes.filter((size) => size <= BOUNDS.tableBytes).map((size) => model.resize(size)),
              ...parts.map(({ field: [name, value], ...how }) => model.write({ name, value, ...how })),
            ]);
            assert.deepEqual(
              decoder.decode(block, 0, block.length),
              parts.flatMap(({ field }) => field),
            );
            const all = Buffer.from(model.entries.map((_, nth) => 0x80 + 62 + nth).filter((byte) => byte < 0xff));
            assert.deepEqual(decoder.decode(all, 0, all.length), model.entries.slice(0, all.length).flat());
          }
        },
      ),
    );
  });

  test("reads any bytes to an end, or not at all, within its bounds", () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc
        .array(fc.constantFrom(0x00, 0x01, 0x10, 0x20, 0x3f, 0x40, 0x7e, 0x7f, 0x80, 0x82, 0xbe, 0xff, 0x61), { maxLength: 60 })
        .map((some) => Uint8Array.from(some)),
    );
    fc.assert(
      fc.property(fc.array(bytes, { maxLength: 10 }), (blocks) => {
        const decoder = new Decoder({ tableBytes: 4_096, fields: 20, bytes: 1_000 });
        let readable = true;
        for (const block of blocks) {
          const list = decoder.decode(Buffer.from(block), 0, block.length);
          if (!readable) assert.equal(list, undefined);
          readable &&= list !== undefined;
          if (list === undefined) continue;
          assert.ok(list.length <= 40);
          assert.ok(list.reduce((sum, text) => sum + text.length, list.length * 16) <= 1_000);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  test("what is cut off or altered in a good block is never read beyond its end", () => {
    fc.assert(
      fc.property(fc.array(written, { minLength: 1, maxLength: 10 }), fc.nat(), fc.nat(255), (parts, place, byte) => {
        const model = new Model(BOUNDS.tableBytes);
        const block = Buffer.concat(parts.map(({ field: [name, value], ...how }) => model.write({ name, value, ...how })));
        const at = place % block.length;
        const cut = Buffer.concat([block.subarray(0, at), Buffer.from("\xff\xff\xff behind", "latin1")]);
        const list = new Decoder(BOUNDS).decode(cut, 0, at);
        if (list !== undefined) assert.deepEqual(list, parts.flatMap(({ field }) => field).slice(0, list.length));
        block[at] = byte;
        new Decoder(BOUNDS).decode(block, 0, block.length);
      }),
    );
  });
});
