// Peers over HTTP/2 that are slow, or take nothing: neither time nor memory is theirs without end, and two that write do not wait for each other for ever.
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { Held } from "../../../src/wire/http2/held.ts";
import { defaultLimits } from "../../../src/wire/limits.ts";
import { createUpstreams } from "../../../src/wire/upstreams.ts";
import type { Exchange } from "../../../src/wire/wire.ts";
import {
  portOf,
  ALL,
  ACK,
  asking,
  codeIn,
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  frame,
  HEADERS,
  isGoaway,
  PING,
  PREFACE,
  raw,
  rawClient,
} from "../../harness/raw-h2.ts";
import { plainHead, recorded } from "../../harness/recorded.ts";
import { turns } from "../../harness/time.ts";
import { eventually, listenFor, manualClock } from "../../harness/wire.ts";
import { connect } from "node:net";
import { once } from "node:events";

const wait = (exchange: Exchange): void =>
  exchange.receive({ data: () => undefined, end: () => undefined, broken: () => undefined, drained: () => undefined });

suite("a client over HTTP/2", () => {
  for (const [name, bytes] of [
    ["only the first bytes of the preface", PREFACE.subarray(0, 3)],
    ["a part of the preface", PREFACE.subarray(0, 20)],
    ["the preface alone", PREFACE],
  ] as const) {
    test(`that says ${name} has the time of a head`, async (t) => {
      const clock = manualClock();
      const { address, listener } = await listenFor(t, wait, { clock });
      const socket = connect(portOf(address), "127.0.0.1");
      await once(socket, "connect");
      t.after(() => socket.destroy());
      const client = raw(socket);
      client.send(bytes);
      await eventually(() => listener.count().connections === 1);
      await turns(20);
      clock.pass(defaultLimits.headMs - 500);
      await turns();
      assert.equal(listener.count().connections, 1);
      clock.pass(1_500);
      await client.closed;
      await eventually(() => listener.count().connections === 0);
      assert.equal(clock.waiting(), 0);
    });
  }

  test("whose head does not come to its end has the time of a head, whatever else is under way", async (t) => {
    const clock = manualClock();
    let seen = 0;
    const { address, listener } = await listenFor(
      t,
      (exchange) => {
        seen++;
        wait(exchange);
      },
      { clock },
    );
    const client = await rawClient(t, portOf(address));
    client.send(frame(HEADERS, ALL, 1, asking()), frame(HEADERS, END_STREAM, 3, asking()));
    await eventually(() => seen === 1);
    for (let n = 0; n < 5; n++) {
      clock.pass(defaultLimits.headMs / 4);
      client.send(frame(CONTINUATION, 0, 3, Buffer.alloc(1, 0x82)));
      await turns(10);
    }
    clock.pass(1_000);
    await client.closed;
    await eventually(() => listener.count().connections === 0 && listener.count().exchanges === 0);
  });

  test("with half a frame is idle", async (t) => {
    const clock = manualClock();
    const { address, listener } = await listenFor(t, wait, { clock });
    const client = await rawClient(t, portOf(address));
    client.send(frame(PING, 0, 0, Buffer.alloc(8)));
    await client.first(({ type, flags }) => type === PING && flags === ACK);
    client.send(frame(HEADERS, ALL, 1, asking()).subarray(0, 15));
    await turns(10);
    clock.pass(defaultLimits.idleMs + 500);
    assert.equal(codeIn(await client.first(isGoaway)), 0);
    await client.closed;
    await eventually(() => listener.count().connections === 0);
  });

  test("that reads no answer is not read either, and is answered whole when it does", async (t) => {
    const most = { burst: 1_000_000_000, perSecond: 1 };
    const { address } = await listenFor(t, wait, { limits: { pings: most, waitingBytes: 10_000 } });
    const client = await rawClient(t, portOf(address));
    const goOn = client.stall();
    const one = Buffer.concat(Array.from({ length: 10_000 }, () => frame(PING, 0, 0, Buffer.alloc(8))));
    let sent = 0;
    while (sent < 3_000_000 && client.socket.writableLength < 1_000_000) {
      client.send(one);
      sent += 10_000;
      await turns(3);
    }
    assert.ok(client.socket.writableLength > 0, "what it sends waits");
    goOn();
    await eventually(() => client.frames.filter(({ type, flags }) => type === PING && flags === ACK).length === sent);
  });
});

test("what is held of a body takes about as much memory as it is long, however it came", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(1, 3, 100, 2_047, 2_048, 5_000, 16_383, 16_384), { minLength: 1, maxLength: 400 }), (lengths) => {
      const held = new Held();
      const content: Buffer[] = [];
      const taken: Uint8Array[] = [];
      for (const [nth, length] of lengths.entries()) {
        const slab = Buffer.alloc(65_536, nth); // what a socket is read with
        content.push(slab.subarray(0, length));
        held.push(slab.subarray(0, length));
      }
      for (let chunk = held.shift(); chunk !== undefined; chunk = held.shift()) taken.push(chunk);
      assert.ok(Buffer.concat(taken).equals(Buffer.concat(content)));
      const memory = [...new Set(taken.map(({ buffer }) => buffer))].reduce((sum, { byteLength }) => sum + byteLength, 0);
      const length = lengths.reduce((sum, one) => sum + one, 0);
      assert.ok(memory <= 4 * length + 2 * Buffer.poolSize, `${memory} for ${length}`);
    }),
    { numRuns: 50 },
  );
});

test("a request whose body comes byte by byte is held in as much memory as one that comes at once", async (t) => {
  let one: Exchange | undefined;
  const { address } = await listenFor(t, (exchange) => (one = exchange));
  const client = await rawClient(t, portOf(address));
  client.send(frame(HEADERS, END_HEADERS, 1, asking("POST")));
  const bytes = Buffer.concat(Array.from({ length: 50_000 }, (_, n) => frame(DATA, 0, 1, Buffer.from([n % 251]))));
  client.send(bytes, frame(DATA, END_STREAM, 1), frame(PING, 0, 0, Buffer.alloc(8)));
  await client.first(({ type, flags }) => type === PING && flags === ACK);
  const chunks: Uint8Array[] = [];
  await new Promise<void>((resolve) => {
    one?.receive({ data: (chunk) => chunks.push(chunk), end: () => resolve(), broken: () => undefined, drained: () => undefined });
  });
  assert.ok(chunks.length < 30, `${chunks.length} chunks`);
  assert.ok(Buffer.concat(chunks).every((byte, n) => byte === n % 251));
});

test("two ends that both have more to say than is read do not wait for each other", async (t) => {
  const limits = { waitingBytes: 1_000 };
  const large = Array.from({ length: 50 }, (_, n) => [`x-${n}`, "y".repeat(1_000)]).flat();
  const { address } = await listenFor(
    t,
    (exchange) => {
      wait(exchange);
      exchange.respond({ status: 200, fields: large }, true);
    },
    { limits },
  );
  const upstreams = createUpstreams({ limits });
  const origin = new URL(`http://${address}`);
  const all = Array.from({ length: 500 }, () => recorded(upstreams, origin, plainHead({ fields: large })));
  for (const { over } of all) assert.equal(await over, undefined);
  await upstreams.close();
});
