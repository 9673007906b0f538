// The encoder: what it keeps in its table, and what it tells of the table's size.
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { type Decoder } from "../../../../src/wire/http2/hpack/decoder.ts";
import { Encoder } from "../../../../src/wire/http2/hpack/encoder.ts";
import { decode, encode, hex, integer, list, newDecoder, string } from "../../../harness/hpack.ts";

suite("an encoder", () => {
  const read = (decoder: Decoder, block: Buffer): string[] | undefined => decoder.decode(block, 0, block.length);

  test("needs a byte for a field that came before", () => {
    const encoder = new Encoder();
    const head = list(
      ":method: POST\n:scheme: http\n:authority: a.internal\ncontent-type: application/grpc\nte: trailers\nuser-agent: x/1",
    );
    encode(encoder, head);
    assert.equal(encode(encoder, head).length, 6);
  });

  test("never has credentials indexed", () => {
    const encoder = new Encoder();
    for (const name of ["authorization", "cookie", "proxy-authorization", "set-cookie"])
      for (let time = 0; time < 3; time++) assert.equal((encode(encoder, [name, "secret"])[0] ?? 0) & 0xf0, 0x10, name);
  });

  test("never has indexed what a peer did not want to be; such names push no credentials out", () => {
    const encoder = new Encoder();
    encode(encoder, ["x-token", "secret"]);
    encode(encoder, ["x-token", "secret"]);
    assert.equal(encode(encoder, ["x-token", "secret"]).length, 1);
    const decoder = newDecoder();
    decode(decoder, hex("10"), string("x-token", true), string("other", true));
    assert.equal((encode(encoder, ["x-token", "secret"])[0] ?? 0) & 0xf0, 0x10);
    for (let nth = 0; nth < 200; nth++) decode(decoder, hex("10"), string(`x-${nth}`, false), string("a", false));
    assert.equal((encode(encoder, ["x-199", "a"])[0] ?? 0) & 0xf0, 0x10);
    assert.equal((encode(encoder, ["authorization", "a"])[0] ?? 0) & 0xf0, 0x10);
    const ways = ["x-135", "x-136"].map((name) => (encode(encoder, [name, "a"])[0] ?? 0) & 0xf0);
    assert.deepEqual(ways, [0x40, 0x10], "the latest 64 names are remembered");
  });

  test("keeps of what is another value each time the name alone", () => {
    const encoder = new Encoder();
    for (const name of ["x-request-id", "traceparent", "grpc-timeout", "content-length", "if-none-match", "premesh-call", "x-b3-spanid"]) {
      const blocks = ["1", "1", "2", "2"].map((value) => encode(encoder, [name, value]));
      for (const [nth, block] of blocks.entries()) {
        if (nth === 0) continue;
        assert.equal((block[0] ?? 0) & 0xf0, 0, name);
        assert.equal(block.length, 2 + 2, name);
      }
    }
  });

  test("keeps a path that comes again, and none of those that do not", () => {
    const encoder = new Encoder();
    const decoder = newDecoder();
    const before = encode(encoder, [":authority", "a.internal", ":path", "/one"]);
    const again = encode(encoder, [":authority", "a.internal", ":path", "/one"]);
    assert.deepEqual([before.length, again.length], [12 + 6, 1 + 6]);
    read(decoder, before);
    read(decoder, again);
    for (let user = 0; user < 1_000; user++) {
      const block = encode(encoder, [":authority", "a.internal", ":path", `/users/${user}`]);
      assert.deepEqual(read(decoder, block), [":authority", "a.internal", ":path", `/users/${user}`]);
    }
    assert.equal(encode(encoder, [":authority", "a.internal", ":path", "/one"]).length, 2);
  });

  test("does not keep what would take a fourth of the table", () => {
    const encoder = new Encoder();
    const long = ["user-agent", "x".repeat(1_024)];
    encode(encoder, long);
    assert.ok(encode(encoder, long).length > 1_024);
  });

  test("tells of a lower limit, and of the lowest since the last block", () => {
    const encoder = new Encoder();
    const decoder = newDecoder();
    const head = list("user-agent: x/1\nserver: y");
    encode(encoder, head);
    encoder.limit(65_536);
    assert.equal(encode(encoder, head).length, 2, "more is not used");
    encoder.limit(1_000);
    encoder.limit(0);
    encoder.limit(200);
    const block = encode(encoder, head);
    assert.deepEqual(block.subarray(0, 4), Buffer.concat([integer(0x20, 0x1f, 0), integer(0x20, 0x1f, 200)]));
    assert.deepEqual(read(decoder, block), head);
    assert.equal(encode(encoder, head).length, 2);
    encoder.limit(0);
    encoder.limit(4_096);
    assert.deepEqual(encode(encoder, []), Buffer.concat([integer(0x20, 0x1f, 0), integer(0x20, 0x1f, 4_096)]));
    assert.deepEqual(encode(encoder, []), Buffer.alloc(0));
  });

  test("does with no table at all", () => {
    const encoder = new Encoder();
    const decoder = newDecoder({ tableBytes: 0 });
    encoder.limit(0);
    const head = list(":method: GET\n:path: /a\nuser-agent: x/1");
    for (let time = 0; time < 4; time++) assert.deepEqual(read(decoder, encode(encoder, head)), head);
  });

  test("knows new names after many that came once", () => {
    const encoder = new Encoder();
    const decoder = newDecoder();
    for (let nth = 0; nth < 2_000; nth++) {
      const fields = ["user-agent", "x/1", `x-${nth}`, "1", `x-${nth}`, "1", "y".repeat(200), "1"];
      assert.deepEqual(read(decoder, encode(encoder, fields)), fields);
    }
    encode(encoder, ["x-new", "1"]);
    encode(encoder, ["x-new", "1"]);
    assert.equal(encode(encoder, ["x-new", "1"]).length, 1);
  });

  test("knows the names of its table however many others come that are not in it", () => {
    const encoder = new Encoder();
    encode(encoder, ["user-agent", "x/1"]);
    for (let nth = 0; nth < 1_000; nth++) encode(encoder, [`x-${nth}`, "y".repeat(2_000)]);
    assert.equal(encode(encoder, ["user-agent", "x/1"]).length, 1);
  });
});
