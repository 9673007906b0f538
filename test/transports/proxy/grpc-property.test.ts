// Whatever its attempts run into, an RPC of any kind through the proxy gives the server all its messages in order, the caller one result, and leaves nothing behind.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { Metadata } from "@grpc/grpc-js";
import { bulkhead, definePolicy, retry, route, timeout } from "../../../src/index.ts";
import { openShim, type Shim } from "../../harness/shim.ts";
import { turns } from "../../harness/time.ts";
import { type EchoClient, echoClient, sentBy, start } from "../grpc/calls.ts";
import { NGHTTP2_CANCEL, openPeer, type Peer, type PeerAttempt } from "../grpc/peer.ts";
import { answersOf, playFor, type Script, scripts } from "../grpc/scripts.ts";

/** One script is played at a time; an attempt of one before it, which was cancelled, may come late. */
let playing: { readonly script: Script; readonly id: string; readonly attempts: PeerAttempt[]; came(): void } | undefined;
let plays = 0;

function serve(attempt: PeerAttempt): unknown {
  if (playing === undefined || attempt.headers["x-request-id"] !== playing.id) return attempt.reset(NGHTTP2_CANCEL);
  const { script, attempts } = playing;
  attempts.push(attempt);
  playing.came();
  return playFor(attempt, script, attempts.length - 1);
}

const closing: (() => void)[] = [];
const t = { after: (close: () => void) => void closing.push(close) };
let peer: Peer;
let echoes: ReadonlyMap<number, { readonly shim: Shim; readonly echo: EchoClient }>;

async function opened(buffer: number): Promise<{ shim: Shim; echo: EchoClient }> {
  const layers = [
    bulkhead({ limit: 1 }),
    timeout("20s"),
    retry({
      attempts: 4,
      methods: ["*"],
      on: ["unavailable", "reset", "resource-exhausted"],
      backoff: { base: "0ms" },
      budget: false,
      buffer,
    }),
    timeout("25ms"),
    route({ to: [{ endpoints: [`http://${peer.address}`] }] }),
  ];
  const shim = await openShim(t, { policies: [definePolicy({ name: "echo", match: [{ service: "*" }], layers })] });
  return { shim, echo: echoClient(t, shim.address) };
}

before(async () => {
  peer = await openPeer(t, serve);
  echoes = new Map([
    [4, await opened(4)],
    [1_000, await opened(1_000)],
  ]);
});

after(() => {
  for (const close of closing) close();
});

async function play(script: Script): Promise<void> {
  const { shim, echo } = echoes.get(script.buffer) ?? assert.fail("no such client");
  const { kind, messages, cancelAt } = script;
  const sent = sentBy(kind, messages);
  const attempts: PeerAttempt[] = [];
  const id = `play-${++plays}`;
  const metadata = new Metadata({ waitForReady: true });
  metadata.set("x-request-id", id);
  const logged = shim.entries.length;
  playing = { script, id, attempts, came: () => void (attempts.length === cancelAt && call.cancel()) };
  const { call, came } = start(echo, kind, { messages, metadata });
  const { code, messages: received, error } = await came;
  const cancelled = cancelAt !== undefined && code === 1;
  const entry = (await shim.logged(logged + 1))[logged];

  // the server: each attempt is a beginning of what the caller sent, in order
  for (const [index, attempt] of attempts.entries()) {
    await attempt.closed();
    assert.deepEqual(attempt.messages, sent.slice(0, attempt.messages.length));
    const answered = (script.faults[index]?.does ?? "answer") === "answer" && attempt.resetBy === undefined;
    if (answered) assert.deepEqual(attempt.messages, sent);
  }
  const previous = attempts.map(({ headers }) => Number(headers["grpc-previous-rpc-attempts"] ?? 0));
  assert.deepEqual(
    previous,
    previous.toSorted((a, b) => a - b),
  );

  // the caller: one status; a success has every answer, a failure a beginning of them
  const wanted = answersOf(kind, sent);
  assert.equal(error === undefined, code === 0);
  const single = kind === "Unary" || kind === "ClientStream";
  if (error === undefined) assert.deepEqual(received, wanted);
  else assert.deepEqual(received, single ? [] : wanted.slice(0, received.length));

  // what is known of it
  assert.ok(attempts.length <= 4);
  assert.ok(entry !== undefined && entry.attempts >= attempts.length, "an attempt may have found no connection");
  if (!cancelled) assert.equal(entry.grpc_status, code);

  // nothing is left
  for (let n = 0; n < 100 && (peer.open() > 0 || shim.listener.count().exchanges > 0); n++) await turns(1);
  assert.deepEqual([peer.open(), shim.listener.count().exchanges], [0, 0]);
  for (const states of Object.values(shim.client.status().policies["echo"]?.targets ?? {}))
    for (const { state } of states) assert.equal(Number(state["active"] ?? 0), 0);
}

test("random scripts of faults, for all kinds", { timeout: 120_000 }, async () => {
  await fc.assert(fc.asyncProperty(scripts, play), { numRuns: 250 });
  await turns();
});
