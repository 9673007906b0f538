// Connections over HTTP/2: they are drained, they end when they are idle, and they do not wait for a peer for ever.
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { defaultLimits } from "../../../src/wire/limits.ts";
import { createUpstreams } from "../../../src/wire/upstreams.ts";
import { nodeUpstream } from "../../harness/node-h2.ts";
import { held } from "../../harness/held-h2.ts";
import {
  ALL,
  ACK,
  asking,
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
  type Raw,
  rawServer,
  RST_STREAM,
  setting,
  SETTINGS,
  WINDOW_UPDATE,
} from "../../harness/raw-h2.ts";
import { recorded } from "../../harness/recorded.ts";
import { eventually, manualClock } from "../../harness/wire.ts";

/** Everything that was sent to the peer before has been read by it. */
async function settled(client: Raw, n = 1): Promise<void> {
  const mark = Buffer.alloc(8, n);
  client.send(frame(PING, 0, 0, mark));
  await client.first(({ type, flags, payload }) => type === PING && flags === ACK && payload.equals(mark));
}

suite("a connection over HTTP/2 that is drained", () => {
  test("is told so, is told the last stream that counts once that was read, lets what is under way end, and closes", async (t) => {
    const { client, exchanges, listener, arrived } = await held(t);
    client.send(frame(HEADERS, ALL, 1, asking()));
    await arrived(1);
    const drained = listener.drain();
    const goaway = await client.first(isGoaway);
    assert.equal(codeIn(goaway), 0);
    assert.equal(lastIn(goaway), 0x7fffffff);
    client.send(frame(HEADERS, ALL, 3, asking()));
    await arrived(2);
    assert.deepEqual(listener.count(), { connections: 1, exchanges: 2 }, "what was on its way is served");
    const ping = await client.first(({ type, flags }) => type === PING && flags === 0);
    client.send(frame(PING, ACK, 0, ping?.payload));
    const last = await client.first((one) => isGoaway(one) && lastIn(one) !== 0x7fffffff);
    assert.equal(codeIn(last), 0);
    assert.equal(lastIn(last), 3);
    client.send(frame(HEADERS, ALL, 5, asking()));
    assert.equal(codeIn(await client.first(({ type, id }) => type === RST_STREAM && id === 5)), 7);
    assert.equal(exchanges.length, 2, "what came after it does not count");
    exchanges[0]?.respond({ status: 200, fields: [] }, true);
    exchanges[1]?.respond({ status: 200, fields: [] }, false);
    exchanges[1]?.write(Buffer.from("x"));
    exchanges[1]?.end();
    assert.notEqual(await client.first(({ id, flags }) => id === 3 && (flags & END_STREAM) !== 0), undefined);
    client.socket.end();
    await drained;
    assert.deepEqual(listener.count(), { connections: 0, exchanges: 0 });
  });

  test("and idle closes once that was read", async (t) => {
    const { client, listener } = await held(t);
    await settled(client);
    const drained = listener.drain();
    const ping = await client.first(({ type, flags }) => type === PING && flags === 0);
    client.send(frame(PING, ACK, 0, ping?.payload));
    await client.closed;
    await drained;
  });

  test("and does not go is closed after a while", async (t) => {
    const { client, listener, clock } = await held(t);
    await settled(client);
    client.socket.allowHalfOpen = true;
    const drained = listener.drain();
    await client.first(isGoaway);
    clock.pass(defaultLimits.leaveMs + 500);
    await client.first((one) => isGoaway(one) && lastIn(one) === 0);
    clock.pass(defaultLimits.lingerMs + 500);
    await drained;
  });
});

suite("a connection over HTTP/2", () => {
  test("without a request is closed when it has been idle for long", async (t) => {
    const { client, clock } = await held(t);
    await settled(client);
    clock.pass(defaultLimits.idleMs + 500);
    assert.equal(codeIn(await client.first(isGoaway)), 0);
    await client.closed;
  });

  test("is not idle while a request is under way", async (t) => {
    const { client, clock, arrived, exchanges } = await held(t);
    client.send(frame(HEADERS, ALL, 1, asking()));
    await arrived(1);
    clock.pass(10 * defaultLimits.idleMs);
    await settled(client);
    exchanges[0]?.respond({ status: 200, fields: [] }, true);
    await client.first(({ type }) => type === HEADERS);
    await settled(client, 2);
    clock.pass(defaultLimits.idleMs + 500);
    await client.closed;
  });

  test("that gives no window loses the stream that waits for one, and no other", async (t) => {
    const { client, clock, arrived, exchanges, told, listener } = await held(t, setting(4, 0));
    client.send(frame(HEADERS, ALL, 1, asking()), frame(HEADERS, ALL, 3, asking()), frame(HEADERS, ALL, 5, asking()));
    await arrived(3);
    exchanges[0]?.respond({ status: 200, fields: [] }, false);
    assert.equal(exchanges[0]?.write(Buffer.alloc(100_000)), false);
    exchanges[1]?.respond({ status: 200, fields: [] }, false);
    exchanges[1]?.write(Buffer.from("little"));
    exchanges[1]?.end();
    clock.pass(defaultLimits.stallMs + 500);
    assert.notEqual(await client.first(({ type, id }) => type === RST_STREAM && id === 1), undefined);
    assert.notEqual(await client.first(({ type, id }) => type === RST_STREAM && id === 3), undefined);
    assert.deepEqual(told, ["slow", "slow"]);
    assert.equal(listener.count().exchanges, 1);
    exchanges[2]?.respond({ status: 200, fields: [] }, true);
    assert.notEqual(await client.first(({ type, id }) => type === HEADERS && id === 5), undefined);
  });

  test("whose window the last byte uses up gets the end of the response, before the request is told to stop", async (t) => {
    const { client, arrived, exchanges } = await held(t, setting(4, 5));
    client.send(frame(HEADERS, END_HEADERS, 1, asking("POST")));
    await arrived(1);
    exchanges[0]?.respond({ status: 200, fields: [] }, false);
    exchanges[0]?.write(Buffer.from("whole"));
    exchanges[0]?.end();
    const reset = await client.first(({ type }) => type === RST_STREAM);
    assert.equal(codeIn(reset), 0);
    const end = client.frames.findIndex(({ id, flags, type }) => id === 1 && type === DATA && (flags & END_STREAM) !== 0);
    assert.ok(end !== -1 && end < client.frames.findIndex(({ type }) => type === RST_STREAM));
  });

  test("whose window is used up gets the rest, and the end, when it grows", async (t) => {
    const { client, arrived, exchanges, told } = await held(t, setting(4, 3));
    client.send(frame(HEADERS, ALL, 1, asking()));
    await arrived(1);
    exchanges[0]?.respond({ status: 200, fields: [] }, false);
    assert.equal(exchanges[0]?.write(Buffer.from("whole")), false);
    exchanges[0]?.end(["x-sum", "5"]);
    await client.first(({ type }) => type === DATA);
    await settled(client);
    assert.equal(Buffer.concat(client.frames.filter(({ type }) => type === DATA).map(({ payload }) => payload)).toString(), "who");
    client.send(frame(SETTINGS, 0, 0, setting(4, 4)), frame(WINDOW_UPDATE, 0, 1, number(1)));
    const trailers = await client.first(({ type, flags }) => type === HEADERS && (flags & END_STREAM) !== 0);
    assert.notEqual(trailers, undefined);
    assert.equal(Buffer.concat(client.frames.filter(({ type }) => type === DATA).map(({ payload }) => payload)).toString(), "whole");
    assert.deepEqual(told, [], "it is complete, so that nobody waits for room");
  });

  test("whose client closes its half is gone", async (t) => {
    const { client, arrived, told, listener } = await held(t);
    client.send(frame(HEADERS, ALL, 1, asking()));
    await arrived(1);
    client.socket.end();
    await client.closed;
    await eventually(() => listener.count().connections === 0);
    assert.deepEqual(told, ["reset"]);
  });
});

suite("a connection to an upstream over HTTP/2", () => {
  test("is closed when it has been idle for long, and another is made", async (t) => {
    const clock = manualClock();
    const upstreams = createUpstreams({ clock });
    const { origin, sessions } = await nodeUpstream(t, (stream) => stream.respond({ ":status": 200 }, { endStream: true }));
    assert.equal(await recorded(upstreams, origin).over, undefined);
    assert.equal(await recorded(upstreams, origin).over, undefined);
    assert.equal(sessions.length, 1);
    await eventually(() => {
      clock.pass(defaultLimits.idleMs + 500);
      return sessions[0]?.destroyed === true;
    });
    assert.equal(await recorded(upstreams, origin).over, undefined);
    assert.equal(sessions.length, 2);
    await upstreams.close();
  });

  test("on which nothing is said is given up", async (t) => {
    const clock = manualClock();
    const upstreams = createUpstreams({ clock });
    const { origin, count } = await rawServer(t, () => undefined);
    const request = recorded(upstreams, origin);
    await eventually(() => count() === 1);
    const over = request.over;
    await eventually(() => {
      clock.pass(defaultLimits.connectMs + 500);
      return request.told.length > 0;
    });
    assert.equal((await over)?.why, "connect");
    await upstreams.close();
  });

  test("that is going and answers nothing more loses what is under way", async (t) => {
    const clock = manualClock();
    const upstreams = createUpstreams({ clock });
    const { origin } = await rawServer(t, (peer) => {
      peer.send(frame(SETTINGS, 0, 0));
      peer.each(HEADERS, () => peer.send(frame(GOAWAY, 0, 0, Buffer.concat([number(0x7fffffff), number(0)]))));
    });
    const request = recorded(upstreams, origin);
    await request.until("connected");
    await eventually(() => {
      clock.pass(defaultLimits.connectMs + 500);
      return request.told.includes("broken");
    });
    assert.equal((await request.over)?.why, "reset");
    await upstreams.close();
  });

  test("lets what is under way end when all are closed", async (t) => {
    const upstreams = createUpstreams();
    const waiting: (() => void)[] = [];
    const { origin, sessions } = await nodeUpstream(t, (stream) =>
      waiting.push(() => stream.respond({ ":status": 200 }, { endStream: true })),
    );
    const request = recorded(upstreams, origin);
    await eventually(() => waiting.length === 1);
    const closed = upstreams.close();
    const late = recorded(upstreams, origin);
    assert.equal((await late.over)?.why, "connect");
    waiting[0]?.();
    assert.equal(await request.over, undefined);
    await closed;
    await eventually(() => sessions[0]?.destroyed === true);
  });
});
