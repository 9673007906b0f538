// HPACK: the examples of RFC 7541, what a decoder refuses and bounds, and what an encoder keeps in its table.
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { type Bounds, Decoder } from "../../../src/wire/http2/hpack/decoder.ts";
import { Encoder } from "../../../src/wire/http2/hpack/encoder.ts";
import { decodeHuffman, roomFor } from "../../../src/wire/http2/hpack/huffman.ts";
import { bits, codeOf, huffman, integer, string } from "../../harness/hpack.ts";

const newDecoder = (bounds: Partial<Bounds> = {}): Decoder => new Decoder({ tableBytes: 4_096, fields: 100, bytes: 16_384, ...bounds });

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ""), "hex");

function decode(decoder: Decoder, ...parts: readonly Uint8Array[]): string[] | undefined {
  const block = Buffer.concat([Buffer.from("before"), ...parts, Buffer.from("behind")]); // which is no part of the block
  return decoder.decode(block, 6, block.length - 6);
}

function encode(encoder: Encoder, list: readonly string[]): Buffer {
  const bound = encoder.bound(list);
  const into = Buffer.alloc(bound + 3, 0xee);
  const end = encoder.encode(list, into, 3);
  assert.ok(end <= bound + 3, `${end - 3} bytes, and the bound is ${bound}`);
  assert.deepEqual(into.subarray(0, 3), Buffer.from([0xee, 0xee, 0xee]));
  return into.subarray(3, end);
}

/** A header list, a field a line. */
const list = (text: string): string[] =>
  text
    .trim()
    .split("\n")
    .flatMap((line) => {
      const at = line.indexOf(": ", 1);
      return [line.slice(0, at).trim(), line.slice(at + 2)];
    });

const REQUESTS = [
  list(":method: GET\n:scheme: http\n:path: /\n:authority: www.example.com"),
  list(":method: GET\n:scheme: http\n:path: /\n:authority: www.example.com\ncache-control: no-cache"),
  list(":method: GET\n:scheme: https\n:path: /index.html\n:authority: www.example.com\ncustom-key: custom-value"),
];

const COOKIE = "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1";
const RESPONSES = [
  list(":status: 302\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:21 GMT\nlocation: https://www.example.com"),
  list(":status: 307\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:21 GMT\nlocation: https://www.example.com"),
  list(
    `:status: 200\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:22 GMT\nlocation: https://www.example.com\ncontent-encoding: gzip\nset-cookie: ${COOKIE}`,
  ),
];

suite("the examples of RFC 7541, appendix C", () => {
  const reads = (name: string, bounds: Partial<Bounds>, blocks: readonly string[], lists: readonly (readonly string[])[]): void => {
    test(name, () => {
      const decoder = newDecoder(bounds);
      assert.deepEqual(
        blocks.map((block) => decode(decoder, hex(block))),
        lists,
      );
      assert.equal(decoder.fault, "");
    });
  };
  reads(
    "C.2.1 a literal that is kept",
    {},
    ["400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572", "be"],
    [list("custom-key: custom-header"), list("custom-key: custom-header")],
  );
  reads("C.2.2 a literal that is not", {}, ["040c 2f73 616d 706c 652f 7061 7468"], [list(":path: /sample/path")]);
  reads("C.2.3 a literal that is never to be", {}, ["1008 7061 7373 776f 7264 0673 6563 7265 74"], [list("password: secret")]);
  reads("C.2.4 an index", {}, ["82"], [list(":method: GET")]);
  reads(
    "C.3 requests, plain",
    {},
    [
      "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
      "8286 84be 5808 6e6f 2d63 6163 6865",
      "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    ],
    REQUESTS,
  );
  reads(
    "C.4 requests in Huffman's code",
    {},
    [
      "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
      "8286 84be 5886 a8eb 1064 9cbf",
      "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ],
    REQUESTS,
  );
  reads(
    "C.5 responses, plain, over a table of 256 bytes",
    { tableBytes: 256 },
    [
      `4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768
       7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d`,
      "4803 3330 37c1 c0bf",
      `88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d 4153
       444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31`,
    ],
    RESPONSES,
  );
  reads(
    "C.6 responses in Huffman's code, over a table of 256 bytes",
    { tableBytes: 256 },
    [
      "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
      "4883 640e ffc1 c0bf",
      `88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960
       d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07`,
    ],
    RESPONSES,
  );

  test("the encoder writes the requests of C.3 so", () => {
    const encoder = new Encoder();
    assert.deepEqual(encode(encoder, REQUESTS[0] ?? []), hex("8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d"));
    assert.deepEqual(encode(encoder, REQUESTS[1] ?? []), hex("8286 84be 5808 6e6f 2d63 6163 6865"));
    const third = hex("8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65");
    assert.deepEqual(encode(encoder, REQUESTS[2] ?? []), third);
    assert.deepEqual(encode(encoder, REQUESTS[2] ?? []), hex("8287 85c0 be"));
  });
});

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
    ["an integer that is too long", hex("ff80 8080 8080 8000")],
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
});

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
    assert.equal((encode(encoder, ["x-0", "a"])[0] ?? 0) & 0xf0, 0x40, "the latest 64 names are remembered");
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
});
