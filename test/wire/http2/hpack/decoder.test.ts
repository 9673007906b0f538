// The decoder: what it refuses, what it finds wrong, what it bounds, and its table.
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { decode, hex, integer, list, newDecoder, string } from "../../../harness/hpack.ts";

suite("a block that cannot be read", () => {
  const cases: readonly (readonly [name: string, ...parts: Buffer[]])[] = [
    ["the index 0", hex("80")],
    ["an index beyond the table", hex("be")],
    ["the name of an index beyond the table", hex("7e"), string("a", false)],
    ["a string that goes on behind the block", hex("0003 6162")],
    ["a literal without a value", hex("00"), string("a", false)],
    ["a literal without a name", hex("40")],
    ["an integer that has no end", hex("ff")],
    ["an integer that goes on behind the block", hex("ff80")],
    ["an integer that is too long", hex("007f 8080 8080 8000"), Buffer.from(`${"a".repeat(127)}\0`)],
    ["an integer that is too large", integer(0x80, 0x7f, 2 ** 28 + 1)],
    ["the length of a string that is too large", hex("00"), integer(0, 0x7f, 2 ** 31)],
    ["Huffman's code with the end in it", hex("00"), string("a", false), hex("84ffffffff")],
    ["a change of the table's size in its midst", hex("82"), integer(0x20, 0x1f, 0)],
    ["a table that is larger than it may be", integer(0x20, 0x1f, 4_097)],
  ];
  for (const [name, ...parts] of cases) {
    test(`has ${name}; no later one is read either`, () => {
      const decoder = newDecoder();
      assert.equal(decode(decoder, ...parts), undefined);
      assert.equal(decode(decoder, hex("82")), undefined);
    });
  }
});

suite("what is wrong with a list", () => {
  const literal = (name: string, value: string): Buffer => Buffer.concat([hex("40"), string(name, false), string(value, true)]);

  test("names in capitals, empty ones, and those with what is not of a token", () => {
    for (const name of ["A", "aB", "", ":", "a b", "a:", "a\0", "\xe4", "a\t", "::a", "a\x7f", "a(b)"]) {
      const decoder = newDecoder();
      assert.deepEqual(decode(decoder, literal(name, "x")), [name, "x"]);
      assert.equal(decoder.fault, "malformed", JSON.stringify(name));
      decode(decoder, hex("7e"), string("y", false));
      assert.equal(decoder.fault, "malformed", "its name is referred to");
    }
    for (const name of ["a", ":a", "!#$%&'*+-.^_`|~09az"]) {
      const decoder = newDecoder();
      decode(decoder, literal(name, "x"));
      assert.equal(decoder.fault, "", name);
    }
  });

  test("values with controls, or with space around them", () => {
    for (const value of ["\0", "a\r", "\n", "a\x1fb", "\x7f", " a", "a ", "\ta", "a\t", " "]) {
      const decoder = newDecoder();
      assert.deepEqual(decode(decoder, literal("a", value)), ["a", value]);
      assert.equal(decoder.fault, "malformed", JSON.stringify(value));
      decode(decoder, hex("82"));
      assert.equal(decoder.fault, "");
      decode(decoder, hex("be"));
      assert.equal(decoder.fault, "malformed", "the same by its index");
      decode(decoder, hex("7e"), string("fine", false));
      assert.equal(decoder.fault, "", "its name alone");
    }
    for (const value of ["", "a", "a b\tc", "\x80\xff"]) {
      const decoder = newDecoder();
      assert.deepEqual(decode(decoder, literal("a", value)), ["a", value]);
      assert.equal(decoder.fault, "", JSON.stringify(value));
    }
  });

  test("more bytes than are allowed: the rest is not kept, and the table is in step", () => {
    const decoder = newDecoder({ bytes: 100 });
    const first = literal("a", "1".repeat(67));
    assert.deepEqual(decode(decoder, first), ["a", "1".repeat(67)]);
    assert.equal(decoder.fault, "");
    assert.deepEqual(decode(decoder, hex("be"), literal("b", "2"), hex("bf")), ["a", "1".repeat(67)]);
    assert.equal(decoder.fault, "too-large");
    assert.deepEqual(decode(decoder, hex("be")), ["b", "2"]);
    assert.equal(decoder.fault, "");
  });

  test("more fields than are allowed", () => {
    const decoder = newDecoder({ fields: 2 });
    assert.deepEqual(decode(decoder, hex("8284")), list(":method: GET\n:path: /"));
    assert.equal(decoder.fault, "");
    assert.deepEqual(decode(decoder, hex("8284"), literal("b", "2")), list(":method: GET\n:path: /"));
    assert.equal(decoder.fault, "too-many");
    assert.deepEqual(decode(decoder, hex("be")), ["b", "2"]);
  });

  test("a bomb of 16,000 bytes that stand for 4,000 each is not kept", () => {
    const decoder = newDecoder({ bytes: 65_536, fields: 1_000 });
    decode(decoder, literal("a", "1".repeat(4_000)));
    const fields = decode(decoder, Buffer.alloc(16_000, 0xbe)) ?? [];
    assert.equal(decoder.fault, "too-large");
    assert.equal(fields.length / 2, Math.floor(65_536 / 4_033));
  });
});

suite("a decoder's table", () => {
  const kept = (name: string, value = ""): Buffer => Buffer.concat([hex("40"), string(name, false), string(value, false)]);

  test("is emptied by an entry that is larger than it", () => {
    const decoder = newDecoder({ tableBytes: 64 });
    assert.deepEqual(decode(decoder, kept("a"), hex("be")), ["a", "", "a", ""]);
    assert.deepEqual(decode(decoder, kept("b", "1".repeat(32))), ["b", "1".repeat(32)]);
    assert.equal(decode(decoder, hex("be")), undefined);
  });

  test("drops the oldest, whose name may be referred to by what drives it out", () => {
    const decoder = newDecoder({ tableBytes: 68 });
    decode(decoder, kept("a", "1"), kept("b", "2"));
    assert.deepEqual(decode(decoder, hex("7f00"), string("3", false), hex("bebf")), ["a", "3", "a", "3", "b", "2"]);
  });

  test("changes its size at the beginning of a block, more than once", () => {
    const decoder = newDecoder();
    decode(decoder, kept("a"), kept("b"));
    assert.deepEqual(decode(decoder, integer(0x20, 0x1f, 33), integer(0x20, 0x1f, 4_096), hex("be"), kept("c"), hex("bf")), [
      "b",
      "",
      "c",
      "",
      "b",
      "",
    ]);
    assert.equal(decode(decoder, hex("c0")), undefined);
  });

  test("has no entry behind its last, however many there are", () => {
    for (let count = 1; count < 60; count++) {
      const decoder = newDecoder();
      decode(decoder, ...Array.from({ length: count }, (_, nth) => kept(`n${nth}`)));
      assert.deepEqual(decode(decoder, Buffer.from([0x80 + 61 + count])), ["n0", ""]);
      assert.equal(decode(decoder, Buffer.from([0x80 + 62 + count])), undefined);
    }
  });
});
