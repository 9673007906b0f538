// Connections over HTTP/2 that go while there is something under way on them, from both ends.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { suite, test } from "node:test";
import { defaultLimits } from "../../../src/wire/limits.ts";
import { createUpstreams } from "../../../src/wire/upstreams.ts";
import type { Exchange } from "../../../src/wire/wire.ts";
import { nodeUpstream } from "../../harness/node-h2.ts";
import { held } from "../../harness/held-h2.ts";
import {
  portOf,
  ALL,
  OK,
  ACK,
  asking,
  block,
  codeIn,
  DATA,
  END_HEADERS,
  END_STREAM,
  frame,
  GOAWAY,
  HEADERS,
  isGoaway,
  lastIn,
  number,
  PING,
  PREFACE,
  raw,
  type Raw,
  rawServer,
  RST_STREAM,
  setting,
  SETTINGS,
} from "../../harness/raw-h2.ts";
import { plainHead, recorded } from "../../harness/recorded.ts";
import { turns } from "../../harness/time.ts";
import { eventually, manualClock } from "../../harness/wire.ts";

/** Writes until nothing more is taken, by the kernel neither. Gives how many bytes that were. */
async function fill(exchange: Exchange | undefined, told: readonly string[]): Promise<number> {
  let sent = 0;
  for (let before = -1; before < told.length;) {
    before = told.length;
    for (let more = true; more; sent += 100_000) more = exchange?.write(Buffer.alloc(100_000)) ?? false;
    await turns(30);
  }
  return sent;
}

/** Everything that was sent to the peer before has been read by it. */
async function settled(client: Raw, n = 1): Promise<void> {
  const mark = Buffer.alloc(8, n);
  client.send(frame(PING, 0, 0, mark));
  await client.first(({ type, flags, payload }) => type === PING && flags === ACK && payload.equals(mark));
}

suite("a connection of a client that is drained", () => {
  test("and answers no PING goes, though it has asked for something still", async (t) => {
    const { client, exchanges, clock, listener } = await held(t);
    await settled(client);
    const drained = listener.drain();
    await client.first(isGoaway);
    client.send(frame(HEADERS, ALL, 1, asking()));
    await eventually(() => exchanges.length === 1);
    exchanges[0]?.respond({ status: 200, fields: [] }, true);
    await client.first(({ type }) => type === HEADERS);
    clock.pass(defaultLimits.leaveMs + 500);
    await client.first((one) => isGoaway(one) && lastIn(one) === 1);
    await client.closed;
    await drained;
  });

  test("refuses what comes too late, with its body and its trailers, and lets the others end", async (t) => {
    const { client, exchanges, told, listener } = await held(t);
    client.send(frame(HEADERS, ALL, 1, asking()));
    await eventually(() => exchanges.length === 1);
    const drained = listener.drain();
    const ping = await client.first(({ type, flags }) => type === PING && flags === 0);
    client.send(frame(PING, ACK, 0, ping?.payload));
    await client.first((one) => isGoaway(one) && lastIn(one) === 1);
    client.send(
      frame(HEADERS, END_HEADERS, 3, asking("POST")),
      frame(DATA, 0, 3, Buffer.from("body")),
      frame(HEADERS, ALL, 3, block([["x-sum", "1"]])),
    );
    assert.equal(codeIn(await client.first(({ type, id }) => type === RST_STREAM && id === 3)), 7);
    await settled(client);
    assert.equal(client.frames.filter(({ type }) => type === RST_STREAM).length, 1);
    exchanges[0]?.respond({ status: 200, fields: [] }, true);
    assert.notEqual(await client.first(({ type, id }) => type === HEADERS && id === 1), undefined);
    await drained;
    assert.deepEqual(told, []);
  });

  test("is closed when the last of its answers has been taken, however slowly", async (t) => {
    const { exchanges, told, clock, listener } = await held(t);
    const socket = connect(portOf(listener.address), "127.0.0.1");
    await once(socket, "connect");
    const slow = raw(socket);
    t.after(() => socket.destroy());
    slow.send(
      PREFACE,
      frame(SETTINGS, 0, 0, setting(4, 0x7fffffff)),
      frame(8, 0, 0, number(0x7fff0000 - 65_535)),
      frame(HEADERS, ALL, 1, asking()),
    );
    await eventually(() => exchanges.length === 1);
    const goOn = slow.stall();
    exchanges[0]?.respond({ status: 200, fields: [] }, false);
    await fill(exchanges[0], told);
    slow.send(frame(HEADERS, ALL, 3, asking()));
    await eventually(() => exchanges.length === 2);
    exchanges[0]?.reset("reset");
    const drained = listener.drain();
    clock.pass(defaultLimits.leaveMs + 500);
    const large = Array.from({ length: 40 }, (_, n) => [`x-${n}`, "y".repeat(1_000)]).flat();
    exchanges[1]?.respond({ status: 200, fields: large }, true);
    assert.equal(listener.count().exchanges, 0);
    await turns(3);
    clock.pass(defaultLimits.lingerMs + 500);
    await turns(3);
    goOn();
    await slow.closed;
    await drained;
    assert.ok(slow.frames.some(({ type, id, flags }) => type === HEADERS && id === 3 && (flags & END_STREAM) !== 0));
  });
});

suite("a connection of a client", () => {
  test("that takes nothing is given up, though it goes on asking whether we are there", async (t) => {
    const { client, exchanges, clock, told, listener } = await held(t);
    client.send(
      frame(SETTINGS, 0, 0, setting(4, 0x7fffffff)),
      frame(8, 0, 0, number(0x7fff0000 - 65_535)),
      frame(HEADERS, ALL, 1, asking()),
    );
    await eventually(() => exchanges.length === 1);
    client.stall();
    client.socket.setNoDelay(true);
    exchanges[0]?.respond({ status: 200, fields: [] }, false);
    await fill(exchanges[0], told);
    const before = told.length;
    for (let n = 0; n < 20 && listener.count().connections > 0; n++) {
      client.send(frame(PING, 0, 0, Buffer.alloc(8, n)));
      await turns(10);
      clock.pass(defaultLimits.stallMs / 10);
      await turns(10);
    }
    assert.deepEqual(told.slice(before), ["slow"]);
    assert.deepEqual(listener.count(), { connections: 0, exchanges: 0 });
  });
});

suite("a connection to an upstream", () => {
  test("that is made while all are closed takes what has waited for it", async (t) => {
    const upstreams = createUpstreams();
    const { origin, sessions } = await nodeUpstream(t, (stream) => stream.respond({ ":status": 200 }, { endStream: true }));
    const request = recorded(upstreams, origin);
    const closed = upstreams.close();
    assert.equal(await request.over, undefined);
    await closed;
    assert.equal(sessions.length, 1);
  });

  test("takes what was begun on it when all are closed at that moment", async (t) => {
    const upstreams = createUpstreams();
    const { origin } = await nodeUpstream(t, (stream) => stream.respond({ ":status": 200 }, { endStream: true }));
    assert.equal(await recorded(upstreams, origin).over, undefined);
    const told: string[] = [];
    let closed: Promise<void> | undefined;
    await new Promise<void>((resolve) => {
      upstreams.open({ origin, version: "2" }, plainHead(), true, {
        connected: () => {
          closed = upstreams.close();
        },
        inform: () => undefined,
        head: ({ status }) => {
          told.push(String(status));
          resolve();
        },
        data: () => undefined,
        end: () => undefined,
        broken: ({ why }) => {
          told.push(why);
          resolve();
        },
        drained: () => undefined,
      });
    });
    await closed;
    assert.deepEqual(told, ["200"]);
  });

  test("that goes at the moment at which a request was to be sent over it is closed, and the request goes over another", async (t) => {
    const closed: string[] = [];
    const { origin, count } = await rawServer(t, (peer, nth) => {
      peer.send(frame(SETTINGS, 0, 0));
      peer.each(HEADERS, ({ id }) => {
        const last = nth === 1 ? [frame(GOAWAY, 0, 0, Buffer.concat([number(id), number(0)]))] : [];
        peer.send(Buffer.concat([frame(HEADERS, ALL, id, OK), ...last]));
      });
      if (nth === 1) void peer.closed.then(() => closed.push("closed"));
    });
    const clock = manualClock();
    const upstreams = createUpstreams({ clock });
    const first = recorded(upstreams, origin);
    const second = first.over.then(() => recorded(upstreams, origin));
    assert.equal(await (await second).over, undefined);
    assert.equal(count(), 2);
    await eventually(() => closed.length === 1);
    await upstreams.close();
    await eventually(() => clock.waiting() === 0);
  });
});
