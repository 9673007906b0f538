// Whatever its attempts run into, an RPC of any kind gives the server all its messages in order, the caller one result, and leaves nothing behind.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { Metadata, status } from "@grpc/grpc-js";
import { bulkhead, type Client, createClient, definePolicy, retry, timeout } from "../../../src/index.ts";
import { channelOptions } from "../../../src/grpc.ts";
import { turns } from "../../harness/time.ts";
import { type EchoClient, echoClient, KINDS, type RpcKind, sentBy, start } from "./calls.ts";
import { NGHTTP2_INTERNAL_ERROR, NGHTTP2_REFUSED_STREAM, openPeer, type Peer, type PeerAttempt } from "./peer.ts";

/** What a server does with one attempt. Before the head it may wait for some of the messages. */
type Fault =
  | { readonly does: "refuse" }
  | { readonly does: "reset-before-head"; readonly after: number }
  | { readonly does: "reset-after-head"; readonly after: number }
  | { readonly does: "reset-mid-stream"; readonly after: number; readonly sent: number }
  | { readonly does: "drop-connection"; readonly after: number }
  | { readonly does: "status"; readonly code: number; readonly after: number; readonly pushback?: string }
  | { readonly does: "status-after-head"; readonly code: number; readonly after: number }
  | { readonly does: "slow"; readonly after: number }
  | { readonly does: "answer" };

const few = fc.nat(3);
const pushbacks = fc.constantFrom("0", "1", "-1", "soon");
const faults: fc.Arbitrary<Fault> = fc.oneof(
  fc.constant<Fault>({ does: "refuse" }),
  fc.record({ does: fc.constant("reset-before-head" as const), after: few }),
  fc.record({ does: fc.constant("reset-after-head" as const), after: few }),
  fc.record({ does: fc.constant("reset-mid-stream" as const), after: few, sent: few }),
  fc.record({ does: fc.constant("drop-connection" as const), after: few }),
  fc.record(
    { does: fc.constant("status" as const), code: fc.constantFrom(1, 4, 5, 8, 10, 13, 14), after: few, pushback: pushbacks },
    { requiredKeys: ["does", "code", "after"] },
  ),
  fc.record({ does: fc.constant("status-after-head" as const), code: fc.constantFrom(5, 13, 14), after: few }),
  fc.record({ does: fc.constant("slow" as const), after: few }),
  fc.constant<Fault>({ does: "answer" }),
);

interface Script {
  readonly kind: RpcKind;
  readonly messages: readonly string[];
  readonly faults: readonly Fault[];
  /** How many bytes the policy keeps. */
  readonly buffer: number;
  /** Cancelled by the caller once so many attempts have come. */
  readonly cancelAt: number | undefined;
}

const scripts: fc.Arbitrary<Script> = fc.record({
  kind: fc.constantFrom(...KINDS),
  messages: fc.array(fc.string({ maxLength: 8 }), { minLength: 1, maxLength: 5 }),
  faults: fc.array(faults, { maxLength: 4 }),
  buffer: fc.constantFrom(4, 1_000),
  cancelAt: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined, freq: 6 }),
});

/** Answers of a server that is well: those of a stream one for each message, else all in one. */
const answersOf = (kind: RpcKind, messages: readonly string[]): readonly string[] =>
  kind === "ServerStream" || kind === "Bidi" ? messages : [messages.join("|")];

/** One script is played at a time. */
let playing: Script | undefined;
let first = 1;

async function serve(attempt: PeerAttempt): Promise<void> {
  if (playing === undefined) return;
  const { kind, faults: all, messages } = playing;
  const sent = sentBy(kind, messages);
  const fault = all[attempt.nth - first] ?? { does: "answer" };
  if ("after" in fault) await attempt.received(Math.min(fault.after, sent.length));
  switch (fault.does) {
    case "refuse":
      return attempt.reset(NGHTTP2_REFUSED_STREAM);
    case "reset-before-head":
      return attempt.reset(NGHTTP2_INTERNAL_ERROR);
    case "reset-after-head":
      attempt.head();
      return attempt.reset(NGHTTP2_INTERNAL_ERROR);
    case "reset-mid-stream":
      attempt.send(...answersOf(kind, sent).slice(0, fault.sent));
      await attempt.flushed();
      return attempt.reset(NGHTTP2_INTERNAL_ERROR);
    case "drop-connection":
      attempt.stream.session?.destroy();
      return undefined;
    case "status":
      return attempt.status(fault.code, fault.pushback === undefined ? {} : { "grpc-retry-pushback-ms": fault.pushback });
    case "status-after-head":
      attempt.head();
      return attempt.status(fault.code);
    case "slow":
      return undefined; // the attempt's timeout ends it
    case "answer":
      await attempt.ended();
      attempt.send(...answersOf(kind, attempt.messages));
      return attempt.status(status.OK);
  }
}

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
