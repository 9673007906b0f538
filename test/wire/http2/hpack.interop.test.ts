// HPACK beside nghttp2's, by node:http2: over one connection each reads what the other writes, request after request.
import assert from "node:assert/strict";
import { type OutgoingHttpHeaders, sensitiveHeaders } from "node:http2";
import { suite, test } from "node:test";
import { Decoder } from "../../../src/wire/http2/hpack/decoder.ts";
import { Encoder } from "../../../src/wire/http2/hpack/encoder.ts";
import { nodeClient, nodeUpstream } from "../../harness/node-h2.ts";
import {
  ACK,
  codeIn,
  END_HEADERS,
  END_STREAM,
  type Frame,
  frame,
  HEADERS,
  isGoaway,
  rawClient,
  rawServer,
  SETTINGS,
} from "../../harness/raw-h2.ts";

const BOUNDS = { tableBytes: 4_096, fields: 1_000, bytes: 1_000_000 };
const ROUNDS = 300;

/** Every byte that may stand in a value, each among so many short codes that nghttp2 takes Huffman's. */
const BYTES = Array.from({ length: 256 }, (_, code) => code)
  .filter((code) => code > 0x20 && code !== 0x7f)
  .map((code) => `${"0".repeat(60)}${String.fromCharCode(code)}${"a".repeat(code % 8)}`);

function encoded(encoder: Encoder, list: readonly string[]): Buffer {
  const into = Buffer.alloc(encoder.bound(list));
  return into.subarray(0, encoder.encode(list, into, 0));
}

/** The block of a frame HEADERS that may have a priority, and is whole. */
function blockOf({ flags, payload }: Frame): Buffer {
  assert.equal(flags & END_HEADERS, END_HEADERS);
  return (flags & 0x20) === 0 ? payload : payload.subarray(5);
}

function decoded(decoder: Decoder, one: Frame): string[] {
  const block = blockOf(one);
  const list = decoder.decode(block, 0, block.length);
  assert.ok(list !== undefined, "the block can be read");
  assert.equal(decoder.fault, "");
  return list;
}

/** Fields that come again, sometimes, and never; small and large; bytes of all kinds. */
const fieldsOf = (round: number): string[] => [
  ...["user-agent", "x/1", "x-round", String(round), "x-third", String(round % 3), "x-few", "v".repeat(round % 40)],
  ...["traceparent", `00-${"ab".repeat(16)}-${String(round).padStart(16, "0")}-01`, "authorization", `Bearer ${round % 2}`],
  ...(round % 7 === 0 ? [`x-name-${round}`, "once", "x-long", "l".repeat(round * 5)] : []),
  ...["x-bytes", BYTES[round % BYTES.length] ?? ""],
];

const plain = (text: string): string => Buffer.from(text, "latin1").toString("latin1");

for (const headerTableSize of [4_096, 256, 0, 65_536]) {
  suite(`a peer of nghttp2 with a table of ${headerTableSize} bytes`, () => {
    test("reads our requests, and we its responses", async (t) => {
      const lists: (readonly string[])[] = [];
      const upstream = await nodeUpstream(
        t,
        (stream, _headers, list) => {
          lists.push(list);
          const round = lists.length - 1;
          const fields: OutgoingHttpHeaders = {};
          for (let nth = 0; nth < list.length; nth += 2) if (list[nth]?.startsWith(":") === false) fields[list[nth] ?? ""] = list[nth + 1];
          stream.respond({ ":status": round % 2 === 0 ? 200 : 418, ...fields }, { endStream: true });
        },
        { settings: { headerTableSize } },
      );
      const client = await rawClient(t, Number(upstream.origin.port));
      assert.ok((await client.first(({ type }) => type === SETTINGS)) !== undefined);
      client.send(frame(SETTINGS, ACK, 0));
      const encoder = new Encoder();
      const decoder = new Decoder(BOUNDS);
      encoder.limit(headerTableSize);
      for (let round = 0; round < ROUNDS; round++) {
        const id = 2 * round + 1;
        const fields = fieldsOf(round);
        const list = [":method", "GET", ":scheme", "http", ":authority", "a.internal", ":path", `/${round % 50}`, ...fields];
        client.send(frame(HEADERS, END_STREAM | END_HEADERS, id, encoded(encoder, list)));
        const answer = await client.first((one) => (one.type === HEADERS && one.id === id) || isGoaway(one));
        assert.ok(answer?.type === HEADERS, `GOAWAY ${codeIn(answer)}`);
        assert.deepEqual(lists[round]?.map(plain), list);
        const read = decoded(decoder, answer);
        assert.deepEqual(read.slice(0, 2), [":status", round % 2 === 0 ? "200" : "418"]);
        for (let nth = 0; nth < fields.length; nth += 2) {
          const at = read.indexOf(fields[nth] ?? "");
          assert.equal(read[at + 1], fields[nth + 1], fields[nth]);
        }
      }
    });

    test("writes requests that we read, and reads our responses", async (t) => {
      const decoder = new Decoder(BOUNDS);
      const encoder = new Encoder();
      encoder.limit(headerTableSize);
      const lists: string[][] = [];
      const { port } = await rawServer(t, (peer) => {
        peer.send(frame(SETTINGS, 0, 0));
        peer.each(HEADERS, (one) => {
          const list = decoded(decoder, one);
          const fields: string[] = [];
          for (let nth = 0; nth < list.length; nth += 2)
            if (list[nth]?.startsWith(":") === false) fields.push(list[nth] ?? "", list[nth + 1] ?? "");
          lists.push(list);
          // the peer's settings have come, and ours are only in use once it may know so
          peer.send(
            ...(lists.length === 1 ? [frame(SETTINGS, ACK, 0)] : []),
            frame(HEADERS, END_STREAM | END_HEADERS, one.id, encoded(encoder, [":status", "200", ...fields])),
          );
        });
      });
      const client = nodeClient(t, `127.0.0.1:${port}`);
      client.settings({ headerTableSize });
      for (let round = 0; round < ROUNDS; round++) {
        const fields = fieldsOf(round);
        const headers: OutgoingHttpHeaders = { ":path": `/${round % 50}` };
        for (let nth = 0; nth < fields.length; nth += 2) headers[fields[nth] ?? ""] = fields[nth + 1];
        const stream = client.request(headers, { endStream: true });
        const { promise, resolve, reject } = Promise.withResolvers<readonly string[]>();
        stream.on("response", (_headers, _flags, list) => resolve(list));
        stream.on("error", reject);
        const answer = await promise;
        stream.resume();
        const read = lists[round] ?? [];
        assert.equal(read[read.indexOf(":path") + 1], `/${round % 50}`);
        for (let nth = 0; nth < fields.length; nth += 2)
          assert.equal(read[read.indexOf(fields[nth] ?? "") + 1], fields[nth + 1], fields[nth]);
        const back = answer.map(plain);
        assert.deepEqual(back.slice(0, 2), [":status", "200"]);
        for (let nth = 0; nth < fields.length; nth += 2)
          assert.equal(back[back.indexOf(fields[nth] ?? "") + 1], fields[nth + 1], fields[nth]);
      }
    });
  });
}

test("what nghttp2 marks as never to be indexed, we write so", async (t) => {
  const decoder = new Decoder(BOUNDS);
  const { port } = await rawServer(t, (peer) => {
    peer.send(frame(SETTINGS, 0, 0), frame(SETTINGS, ACK, 0));
    peer.each(HEADERS, (one) => {
      decoded(decoder, one);
      peer.send(frame(HEADERS, END_STREAM | END_HEADERS, one.id, Buffer.from([0x88])));
    });
  });
  const client = nodeClient(t, `127.0.0.1:${port}`);
  const stream = client.request({ "x-secret": "1", [sensitiveHeaders]: ["x-secret"] }, { endStream: true });
  const { promise, resolve } = Promise.withResolvers<void>();
  stream.on("response", () => resolve());
  await promise;
  const encoder = new Encoder();
  for (let time = 0; time < 3; time++) assert.equal((encoded(encoder, ["x-secret", "1"])[0] ?? 0) & 0xf0, 0x10);
});
