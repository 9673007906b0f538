// Whatever its attempts run into, an RPC of any kind gives the server all its messages in order, the caller one result, and leaves nothing behind.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { Metadata } from "@grpc/grpc-js";
import { bulkhead, type Client, createClient, definePolicy, retry, timeout } from "../../../src/index.ts";
import { channelOptions } from "../../../src/grpc.ts";
import { turns } from "../../harness/time.ts";
import { type EchoClient, echoClient, sentBy, start } from "./calls.ts";
import { openPeer, type Peer, type PeerAttempt } from "./peer.ts";
import { answersOf, playFor, type Script, scripts } from "./scripts.ts";

/** One script is played at a time. */
let playing: Script | undefined;
let first = 1;

const serve = (attempt: PeerAttempt): unknown => (playing === undefined ? undefined : playFor(attempt, playing, attempt.nth - first));

const closing: (() => void)[] = [];
const t = { after: (close: () => void) => void closing.push(close) };
let peer: Peer;
let echoes: ReadonlyMap<number, { readonly client: Client; readonly echo: EchoClient }>;

before(async () => {
  peer = await openPeer(t, serve);
  echoes = new Map(
    [4, 1_000].map((buffer) => {
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
      ];
      const client = createClient({ policies: [definePolicy({ name: "echo", match: [{ service: "*" }], layers })] });
      return [buffer, { client, echo: echoClient(t, peer.address, channelOptions(client)) }];
    }),
  );
});

after(() => {
  for (const close of closing) close();
});

const timers = (): number => process.getActiveResourcesInfo().filter((resource) => resource === "Timeout").length;

async function play(script: Script): Promise<void> {
  const { client, echo } = echoes.get(script.buffer) ?? assert.fail("no such client");
  const { kind, messages, cancelAt } = script;
  const sent = sentBy(kind, messages);
  playing = script;
  first = peer.attempts.length + 1;
  const { call, came } = start(echo, kind, { messages, metadata: new Metadata({ waitForReady: true }) });
  const over = came.then(() => true);
  if (cancelAt !== undefined) void Promise.race([peer.arrived(first + cancelAt - 1), over]).then(() => call.cancel());
  const { code, messages: received, trailers, error } = await came;
  const attempts = peer.attempts.slice(first - 1);

  // the server: each attempt is a beginning of what the caller sent, in order
  for (const attempt of attempts) {
    await attempt.closed();
    assert.deepEqual(attempt.messages, sent.slice(0, attempt.messages.length));
    const answered = (script.faults[attempt.nth - first]?.does ?? "answer") === "answer" && attempt.resetBy === undefined;
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
  else {
    assert.deepEqual(received, single ? [] : wanted.slice(0, received.length));
    assert.equal(error.code, code);
  }

  // what is known of it
  const explained = client.explain(error ?? trailers);
  assert.ok(explained !== undefined && explained.attempts <= 4);
  assert.ok(attempts.length <= 2 * explained.attempts, "grpc-js repeats a refused stream once");

  // nothing is left
  await turns(2);
  assert.equal(peer.open(), 0);
  assert.deepEqual(
    client.status().policies["echo"]?.targets[peer.address]?.map(({ state }) => state["active"] ?? 0),
    [0, 0],
  );
}

test("random scripts of faults, for all kinds", { timeout: 120_000 }, async () => {
  for (const { echo } of echoes.values()) {
    await new Promise<void>((resolve, reject) => {
      echo.waitForReady(Date.now() + 10_000, (error) => (error === undefined ? resolve() : reject(error)));
    });
  }
  const timersBefore = timers();
  await fc.assert(fc.asyncProperty(scripts, play), { numRuns: 250 });
  await turns();
  assert.ok(timers() <= timersBefore + 1, `timers: ${timersBefore} before, ${timers()} after`);
});
