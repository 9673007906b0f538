// HPACK beside nghttp2's, by node:http2: over one connection each reads what the other writes, request after request.
import assert from "node:assert/strict";
import { type OutgoingHttpHeaders, sensitiveHeaders } from "node:http2";
import { suite, test } from "node:test";
import { Decoder } from "../../../../src/wire/http2/hpack/decoder.ts";
import { Encoder } from "../../../../src/wire/http2/hpack/encoder.ts";
import { encode } from "../../../harness/hpack.ts";
import { nodeClient, nodeUpstream } from "../../../harness/node-h2.ts";
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
} from "../../../harness/raw-h2.ts";

const BOUNDS = { tableBytes: 4_096, fields: 1_000, bytes: 1_000_000 };
const ROUNDS = 300;

/** Every byte that may stand in a value, each among so many short codes that nghttp2 takes Huffman's. */
const BYTES = Array.from({ length: 256 }, (_, code) => code)
  .filter((code) => code > 0x20 && code !== 0x7f)
  .map((code) => `${"0".repeat(60)}${String.fromCharCode(code)}${"a".repeat(code % 8)}`);

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
const fieldsOf = (round: number): string[] =>
  [
    ["user-agent", "x/1"],
    ["x-round", String(round)],
    ["x-third", String(round % 3)],
    ["x-few", "v".repeat(round % 40)],
    ["traceparent", `00-${"ab".repeat(16)}-${String(round).padStart(16, "0")}-01`],
    ["authorization", `Bearer ${round % 2}`],
    ...(round % 7 === 0
      ? [
          [`x-name-${round}`, "once"],
          ["x-long", "l".repeat(round * 5)],
        ]
      : []),
    ["x-bytes", BYTES[round % BYTES.length] ?? ""],
  ].flat();

const isPseudo = (name: string | undefined): boolean => name?.startsWith(":") === true;

/** The regular fields of a list, as node:http2 takes them. */
function headersOf(list: readonly string[]): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = {};
  for (let nth = 0; nth < list.length; nth += 2) if (!isPseudo(list[nth])) headers[list[nth] ?? ""] = list[nth + 1];
  return headers;
}

const valueOf = (list: readonly string[], name: string): string | undefined => list[list.indexOf(name) + 1];

/** Every one of these fields is in the list. */
function includes(list: readonly string[], fields: readonly string[]): void {
  for (let nth = 0; nth < fields.length; nth += 2) assert.equal(valueOf(list, fields[nth] ?? ""), fields[nth + 1], fields[nth]);
}

for (const headerTableSize of [4_096, 256, 0, 65_536]) {
  suite(`a peer of nghttp2 with a table of ${headerTableSize} bytes`, () => {
    test("reads our requests, and we its responses", async (t) => {
      const lists: (readonly string[])[] = [];
      const upstream = await nodeUpstream(
        t,
        (stream, _headers, list) => {
          lists.push(list);
          const round = lists.length - 1;
          stream.respond({ ":status": round % 2 === 0 ? 200 : 418, ...headersOf(list) }, { endStream: true });
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
        client.send(frame(HEADERS, END_STREAM | END_HEADERS, id, encode(encoder, list)));
        const answer = await client.first((one) => (one.type === HEADERS && one.id === id) || isGoaway(one));
        assert.ok(answer?.type === HEADERS, `GOAWAY ${codeIn(answer)}`);
        assert.deepEqual(lists[round], list);
        const read = decoded(decoder, answer);
        assert.deepEqual(read.slice(0, 2), [":status", round % 2 === 0 ? "200" : "418"]);
        includes(read, fields);
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
          if (lists.length === 0) peer.send(frame(SETTINGS, ACK, 0)); // from here on its limit holds
          lists.push(list);
          const answer = [":status", "200", ...Object.entries(headersOf(list)).flatMap(([name, value]) => [name, String(value)])];
          peer.send(frame(HEADERS, END_STREAM | END_HEADERS, one.id, encode(encoder, answer)));
        });
      });
      const client = nodeClient(t, `127.0.0.1:${port}`);
      client.settings({ headerTableSize });
      for (let round = 0; round < ROUNDS; round++) {
        const fields = fieldsOf(round);
        const stream = client.request({ ":path": `/${round % 50}`, ...headersOf(fields) }, { endStream: true });
        const { promise, resolve, reject } = Promise.withResolvers<readonly string[]>();
        stream.on("response", (_headers, _flags, list) => resolve(list));
        stream.on("error", reject);
        const answer = await promise;
        stream.resume();
        assert.equal(valueOf(lists[round] ?? [], ":path"), `/${round % 50}`);
        includes(lists[round] ?? [], fields);
        assert.deepEqual(answer.slice(0, 2), [":status", "200"]);
        includes(answer, fields);
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
  for (let time = 0; time < 3; time++) assert.equal((encode(encoder, ["x-secret", "1"])[0] ?? 0) & 0xf0, 0x10);
});
