// Huffman's code: every byte, and what is no string of it.
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { decodeHuffman, roomFor } from "../../../../src/wire/http2/hpack/huffman.ts";
import { bits, codeOf, huffman } from "../../../harness/hpack.ts";

suite("Huffman's code", () => {
  const read = (bytes: Buffer): string | undefined => {
    const into = Buffer.alloc(roomFor(bytes.length));
    const length = decodeHuffman(bytes, 0, bytes.length, into);
    assert.ok(length <= into.length);
    return length === -1 ? undefined : into.toString("latin1", 0, length);
  };

  test("every byte is read, at every place within a byte", () => {
    for (let code = 0; code < 256; code++) {
      const text = String.fromCharCode(code);
      for (const before of ["", "0", "00", "000", "0000", "X", "Xa", "0?"]) {
        assert.equal(read(huffman(before + text)), before + text);
        assert.equal(read(huffman(`${before}${text}${text}z`)), `${before}${text}${text}z`);
      }
    }
  });

  test("the padding is fewer than eight bits, and all ones", () => {
    assert.equal(read(bits("")), "");
    assert.equal(read(bits(codeOf(0x30))), "0");
    assert.equal(read(bits(`${codeOf(0x30)}110`)), undefined);
    assert.equal(read(bits(`${codeOf(0x26)}${"1".repeat(8)}`)), undefined, "a byte of padding");
    assert.equal(read(bits("1".repeat(8))), undefined);
    assert.equal(read(bits("1".repeat(24))), undefined);
    assert.equal(read(bits(`${codeOf(0x7a)}0`.padEnd(8, "0"))), undefined);
  });

  test("the code for the end of the string is not allowed in it", () => {
    assert.equal(read(bits(codeOf(256))), undefined);
    assert.equal(read(bits(`${codeOf(0x61)}${codeOf(256)}${codeOf(0x61)}`)), undefined);
  });

  test("a string of code is refused where its end is cut off in a long code", () => {
    for (const cut of [16, 24]) assert.equal(read(bits(codeOf(10).slice(0, cut))), undefined);
  });
});
