// Messages of streamed calls over the wire: what is kept, what is given up, and how fast the caller may go.
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { type ClientWritableStream, Metadata, status, type StatusObject } from "@grpc/grpc-js";
import { retry } from "../../../src/index.ts";
import { KINDS, policedEcho, start } from "./calls.ts";
import { openPeer } from "./peer.ts";

const again = (buffer?: number): ReturnType<typeof retry> =>
  retry({ methods: ["*"], backoff: { base: "0ms" }, ...(buffer === undefined ? {} : { buffer }) });

test("messages over the buffer are sent once, and the decision says so", async (t) => {
  const peer = await openPeer(t, async (attempt) => {
    await attempt.received(3);
    attempt.status(status.UNAVAILABLE);
  });
  const { client, echo } = policedEcho(t, peer.address, [again(5)]);
  const { code, error } = await start(echo, "ClientStream", { messages: ["abc", "def", "ghi"] }).came;
  assert.equal(code, status.UNAVAILABLE);
  const { attempts, decisions } = client.explain(error) ?? {};
  assert.equal(attempts, 1);
  assert.deepEqual(
    decisions?.map(({ what, detail }) => [what, detail?.["bytes"]]),
    [
      ["committed-by-overflow", 6],
      ["body-not-replayable", undefined],
    ],
  );
  assert.deepEqual(peer.attempts[0]?.messages, ["abc", "def", "ghi"]);
});

test("what outgrows the buffer between attempts is given to one more attempt, whole", async (t) => {
  const peer = await openPeer(t, async (attempt) => {
    if (attempt.nth === 1) return attempt.status(status.UNAVAILABLE, { "grpc-retry-pushback-ms": "30" });
    await attempt.ended();
    attempt.send(attempt.messages.join());
    return attempt.status(status.OK);
  });
  const { echo } = policedEcho(t, peer.address, [again(5)]);
  const { call, came } = start(echo, "ClientStream", { messages: ["abc"], end: false });
  await (await peer.arrived(1)).closed();
  assert.ok("write" in call);
  call.write("def");
  call.write("ghi");
  call.end();
  const { code, messages } = await came;
  assert.deepEqual([code, messages], [status.OK, ["abc,def,ghi"]]);
});

test("all calls of a client keep no more than 16 MiB together", async (t) => {
  const big = "x".repeat(4_194_000); // each takes a little more than its bytes
  let held = 0;
  const peer = await openPeer(t, async (attempt) => {
    await attempt.ended();
    held++;
  });
  const { client, echo } = policedEcho(
    t,
    peer.address,
    [retry({ methods: ["*"], backoff: { base: "0ms" }, budget: false, buffer: 1_073_741_824 })],
    { channel: { "grpc.max_receive_message_length": -1 } },
  );
  const calls = Array.from({ length: 5 }, () => start(echo, "Unary", { messages: [big] }));
  while (held < 5) await new Promise((resolve) => setImmediate(resolve));
  for (const attempt of peer.attempts.slice(0, 5)) attempt.status(status.UNAVAILABLE);
  await peer.arrived(9);
  while (held < 9) await new Promise((resolve) => setImmediate(resolve));
  for (const attempt of peer.attempts.slice(5)) attempt.status(status.OK);
  const came = await Promise.all(calls.map((one) => one.came));
  const attempts = came.map(({ trailers }) => client.explain(trailers)?.attempts);
  assert.deepEqual(attempts, [2, 2, 2, 2, 1], "the fifth did not fit any more");
});

test("a peer that does not read holds the caller back, before the head and after it", async (t) => {
  for (const early of [true, false]) {
    const peer = await openPeer(t, (attempt) => {
      if (!early) attempt.head();
      attempt.stream.pause();
    });
    const { echo } = policedEcho(t, peer.address, [again(100_000)]);
    const { call, came } = start(echo, "Bidi", { messages: [], end: false });
    const writer = call as ClientWritableStream<string>; // the cast: it is one that writes
    if (!early) await once(writer, "metadata");
    const chunk = "x".repeat(20_000);
    let taken = 0;
    // grpc-js itself keeps up to 1 MiB for its transparent retries until a head has come
    for (let written = 0; written < 200; written++) writer.write(chunk, () => taken++);
    for (let turn = 0; turn < 300; turn++) await new Promise((resolve) => setImmediate(resolve));
    assert.ok(taken < 100, `${taken} of 200 messages were taken`);
    assert.ok(taken > 0);
    call.cancel();
    await came;
  }
});

test("a caller that does not read holds the peer back", async (t) => {
  const message = "x".repeat(20_000);
  const peer = await openPeer(t, (attempt) => attempt.send(...Array.from({ length: 100 }, () => message)));
  const { echo } = policedEcho(t, peer.address, [again()]);
  const stream = echo.ServerStream("a");
  await once(stream, "readable");
  for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve));
  assert.ok(stream.readableLength <= 17, `${stream.readableLength} messages were read ahead`);
  const attempt = await peer.arrived(1);
  attempt.status(status.OK);
  let count = 0;
  for await (const _message of stream) count++;
  assert.equal(count, 100);
});

test("messages that come without waiting are all sent, in order, in each attempt", async (t) => {
  const peer = await openPeer(t, async (attempt) => {
    await attempt.ended();
    attempt.status(attempt.nth === 1 ? status.UNAVAILABLE : status.OK);
  });
  const { echo } = policedEcho(t, peer.address, [again()]);
  const call = echo.getChannel().createCall("/test.Echo/ClientStream", Number.POSITIVE_INFINITY, null, null, null);
  const { promise, resolve } = Promise.withResolvers<number>();
  call.start(new Metadata(), {
    onReceiveMetadata: () => undefined,
    onReceiveMessage: () => undefined,
    onReceiveStatus: ({ code }) => resolve(code),
  });
  const all = ["a", "b", "c", "d"];
  for (const message of all) call.sendMessageWithContext({}, Buffer.from(message));
  call.halfClose();
  assert.equal(await promise, status.OK);
  assert.deepEqual(
    peer.attempts.map(({ messages }) => messages),
    [all, all],
  );
});

test("a message after the end is the caller's mistake, and ends the call as it does without us", async (t) => {
  const peer = await openPeer(t, () => undefined);
  const { echo } = policedEcho(t, peer.address, [again()]);
  const call = echo.getChannel().createCall("/test.Echo/ClientStream", Number.POSITIVE_INFINITY, null, null, null);
  const { promise, resolve } = Promise.withResolvers<StatusObject>();
  call.start(new Metadata(), { onReceiveMetadata: () => undefined, onReceiveMessage: () => undefined, onReceiveStatus: resolve });
  call.halfClose();
  let told = 0;
  call.sendMessageWithContext({ callback: () => told++ }, Buffer.from("late"));
  const { code, details } = await promise;
  assert.deepEqual([code, details, told], [status.INTERNAL, "Write error: write after end", 1]);
  await Promise.all(peer.attempts.map((attempt) => attempt.closed()));
});

test("metadata that the caller changes for its next call does not change what is sent again", async (t) => {
  const peer = await openPeer(t, (attempt) => attempt.status(attempt.nth === 1 ? status.UNAVAILABLE : status.OK));
  const { echo } = policedEcho(t, peer.address, [again()]);
  const metadata = new Metadata({ waitForReady: true });
  metadata.set("x-id", "1");
  metadata.set("x-bytes-bin", Buffer.from([1, 2, 3]));
  const { came } = start(echo, "Unary", { metadata });
  metadata.set("x-id", "2");
  await came;
  assert.deepEqual(
    peer.attempts.map(({ headers }) => [headers["x-id"], headers["x-bytes-bin"]]),
    [
      ["1", "AQID"],
      ["1", "AQID"],
    ],
  );
});

for (const kind of KINDS) {
  test(`what is empty is a message too: ${kind}`, async (t) => {
    const peer = await openPeer(t, async (attempt) => {
      await attempt.ended();
      if (attempt.nth === 1) return attempt.status(status.UNAVAILABLE);
      attempt.send("");
      return attempt.status(status.OK);
    });
    const { echo } = policedEcho(t, peer.address, [again()]);
    const { code, messages } = await start(echo, kind, { messages: [""] }).came;
    assert.deepEqual([code, messages, peer.attempts.map((one) => one.messages)], [status.OK, [""], [[""], [""]]]);
  });
}
