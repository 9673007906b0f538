// What comes of an attempt that fails: which words fit it, whether it was sent, and what the peer asks for.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { describe, test } from "node:test";
import { credentials, Metadata, status } from "@grpc/grpc-js";
import { breaker, type Condition, type LayerDefinition, retry, type RetryOptions } from "../../../src/index.ts";
import { policedEcho, start } from "./calls.ts";
import { NGHTTP2_CANCEL, NGHTTP2_INTERNAL_ERROR, NGHTTP2_REFUSED_STREAM, openPeer, type PeerAttempt } from "./peer.ts";

const quick = { backoff: { base: "0ms" } } as const;
const again = (more: RetryOptions = {}): LayerDefinition => retry({ ...quick, methods: ["*"], ...more });

/** Answers the first attempts as given, and the next ones well. */
const script =
  (...steps: readonly ((attempt: PeerAttempt) => unknown)[]) =>
  (attempt: PeerAttempt): unknown => {
    const step = steps[attempt.nth - 1];
    if (step !== undefined) return step(attempt);
    attempt.send("fine");
    attempt.status(status.OK);
    return undefined;
  };

const dead = async (): Promise<string> => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number }; // the cast: it listens on TCP
  server.close();
  await once(server, "close");
  return `127.0.0.1:${port}`;
};

const UNAVAILABLE = (attempt: PeerAttempt): void => attempt.status(status.UNAVAILABLE);

describe("a method that may not be sent twice", () => {
  const rows: readonly (readonly [name: string, step: (attempt: PeerAttempt) => unknown])[] = [
    ["is not repeated after a status of the server", UNAVAILABLE],
    ["is not repeated after a reset", (attempt) => attempt.reset(NGHTTP2_INTERNAL_ERROR)],
    ["is not repeated after a broken connection", (attempt) => attempt.stream.session?.destroy()],
  ];
  for (const [name, step] of rows) {
    test(name, async (t) => {
      const peer = await openPeer(t, script(step));
      const { client, echo } = policedEcho(t, peer.address, [retry(quick)]);
      const came = await start(echo, "Unary").came;
      assert.notEqual(came.code, status.OK);
      assert.equal(peer.attempts.length, 1);
      const { decisions } = client.explain(came.error) ?? {};
      assert.deepEqual(
        decisions?.map(({ what }) => what),
        ["not-idempotent"],
      );
    });
  }

  test("is repeated when the server refuses its stream, also more often than grpc-js does by itself", async (t) => {
    const refuse = (attempt: PeerAttempt): void => attempt.reset(NGHTTP2_REFUSED_STREAM);
    const peer = await openPeer(t, script(refuse, refuse, refuse));
    const { client, echo } = policedEcho(t, peer.address, [retry(quick)]);
    const came = await start(echo, "ClientStream", { messages: ["a", "b"] }).came;
    assert.deepEqual([came.code, came.messages], [status.OK, ["fine"]]);
    assert.equal(peer.attempts.length, 4);
    assert.equal(client.explain(came.trailers)?.attempts, 2, "grpc-js repeats each of ours once, transparently");
  });

  test("is repeated when the connection goes away below its stream: a GOAWAY whose last stream is an earlier one", async (t) => {
    const peer = await openPeer(t, (attempt) => {
      if (attempt.stream.id === 3) return attempt.stream.session?.goaway(0, 1);
      attempt.send("fine");
      return attempt.status(status.OK);
    });
    const channel = { "grpc.enable_retries": 0 }; // grpc-js would repeat it unseen
    const { client, echo } = policedEcho(t, peer.address, [retry(quick)], { channel });
    await start(echo, "Unary").came;
    const came = await start(echo, "Unary").came;
    assert.deepEqual([came.code, came.messages], [status.OK, ["fine"]]);
    assert.equal(client.explain(came.trailers)?.attempts, 2);
    assert.equal(peer.attempts.length, 3);
  });

  test("is repeated when there is no connection", async (t) => {
    const { client, echo } = policedEcho(t, await dead(), [retry({ ...quick, on: ["connect-failure"] })]);
    const came = await start(echo, "Unary").came;
    assert.equal(came.code, status.UNAVAILABLE);
    assert.deepEqual(
      client.explain(came.error)?.decisions.map(({ what }) => what),
      ["retrying", "retrying", "exhausted"],
    );
  });
});

describe("words", () => {
  const rows: readonly (readonly [
    name: string,
    step: (attempt: PeerAttempt) => unknown,
    fits: readonly Condition[],
    not: readonly Condition[],
  ])[] = [
    ["a status of the server", UNAVAILABLE, ["unavailable"], ["5xx", "reset", "gateway-error", "connect-failure", "refused-stream"]],
    ["another status", (attempt) => attempt.status(status.ABORTED), ["aborted"], ["unavailable", "5xx"]],
    ["a reset", (attempt) => attempt.reset(NGHTTP2_INTERNAL_ERROR), ["reset", "5xx", "internal"], ["unavailable", "connect-failure"]],
    ["a reset with CANCEL", (attempt) => attempt.reset(NGHTTP2_CANCEL), ["reset", "cancelled"], ["unavailable"]],
    [
      "a broken connection",
      (attempt) => attempt.stream.session?.destroy(),
      ["reset", "unavailable"],
      ["connect-failure", "refused-stream"],
    ],
    [
      "an HTTP status of a proxy",
      ({ stream }) => stream.respond({ ":status": 503, "content-type": "text/html" }, { endStream: true }),
      ["unavailable", "gateway-error", "5xx"],
      ["reset"],
    ],
    ["a status that gRPC does not have", (attempt) => attempt.status(77), ["unknown"], ["unavailable"]],
  ];
  for (const [name, step, fits, not] of rows) {
    test(`${name} fits ${fits.join(", ")}, and not ${not.join(", ")}`, async (t) => {
      const peer = await openPeer(t, (attempt) => (attempt.path.endsWith("Unary") ? step(attempt) : attempt.status(status.OK)));
      for (const word of [...fits, ...not]) {
        const before = peer.attempts.length;
        const { echo } = policedEcho(t, peer.address, [again({ on: [word], attempts: 2 })]);
        await start(echo, "Unary").came;
        assert.equal(peer.attempts.length - before, fits.includes(word) ? 2 : 1, word);
      }
    });
  }
});

describe("pushback", () => {
  const pushing = (value: string | readonly string[]) => (attempt: PeerAttempt) =>
    attempt.status(status.UNAVAILABLE, { "grpc-retry-pushback-ms": value });

  for (const value of ["-1", "soon", "", "1.5", "99999999999"]) {
    test(`of ${JSON.stringify(value)} asks that the call not be sent again`, async (t) => {
      const peer = await openPeer(t, script(pushing(value)));
      const { client, echo } = policedEcho(t, peer.address, [again()]);
      const came = await start(echo, "Unary").came;
      assert.equal(came.code, status.UNAVAILABLE);
      assert.deepEqual(
        client.explain(came.error)?.decisions.map(({ what }) => what),
        ["asked-not-to-retry"],
      );
    });
  }

  test("given twice is malformed", async (t) => {
    const peer = await openPeer(t, script(pushing(["1", "2"])));
    const { echo } = policedEcho(t, peer.address, [again()]);
    assert.equal((await start(echo, "Unary").came).code, status.UNAVAILABLE);
  });

  test("is the wait", async (t) => {
    const peer = await openPeer(t, script(pushing("7")));
    const { client, echo } = policedEcho(t, peer.address, [again()]);
    const came = await start(echo, "Unary").came;
    assert.equal(came.code, status.OK);
    assert.equal(client.explain(came.trailers)?.decisions[0]?.detail?.["waitMs"], 7);
  });

  test("longer than the policy allows ends it", async (t) => {
    const peer = await openPeer(t, script(pushing("60000")));
    const { client, echo } = policedEcho(t, peer.address, [again()]);
    const came = await start(echo, "Unary").came;
    assert.deepEqual(
      client.explain(came.error)?.decisions.map(({ what }) => what),
      ["asked-to-wait-too-long"],
    );
  });

  test("is not heeded where the policy says so", async (t) => {
    const peer = await openPeer(t, script(pushing("-1")));
    const { echo } = policedEcho(t, peer.address, [again({ retryAfter: false })]);
    assert.equal((await start(echo, "Unary").came).code, status.OK);
  });
});

describe("a breaker counts", () => {
  const rows: readonly (readonly [name: string, step: (attempt: PeerAttempt) => unknown, opens: boolean])[] = [
    ["UNAVAILABLE", UNAVAILABLE, true],
    ["INTERNAL", (attempt) => attempt.status(status.INTERNAL), true],
    ["UNKNOWN", (attempt) => attempt.status(status.UNKNOWN), true],
    ["DEADLINE_EXCEEDED", (attempt) => attempt.status(status.DEADLINE_EXCEEDED), true],
    ["DATA_LOSS", (attempt) => attempt.status(status.DATA_LOSS), true],
    ["a reset", (attempt) => attempt.reset(NGHTTP2_INTERNAL_ERROR), true],
    ["not NOT_FOUND", (attempt) => attempt.status(status.NOT_FOUND), false],
    ["not RESOURCE_EXHAUSTED", (attempt) => attempt.status(status.RESOURCE_EXHAUSTED), false],
    ["not CANCELLED", (attempt) => attempt.status(status.CANCELLED), false],
  ];
  for (const [name, step, opens] of rows) {
    test(name, async (t) => {
      const peer = await openPeer(t, step);
      const { echo } = policedEcho(t, peer.address, [breaker({ trip: { consecutive: 2 } })]);
      for (let call = 0; call < 3; call++) await start(echo, "Unary").came;
      assert.equal(peer.attempts.length, opens ? 2 : 3);
    });
  }

  test("not a message that grpc-js would not send, nor is that repeated", async (t) => {
    const peer = await openPeer(t, script());
    const { client, echo } = policedEcho(t, peer.address, [again(), breaker({ trip: { consecutive: 1 } })], {
      channel: { "grpc.max_send_message_length": 3 },
    });
    const came = await start(echo, "Unary", { messages: ["too long"] }).came;
    assert.equal(came.code, status.RESOURCE_EXHAUSTED);
    assert.equal(client.explain(came.error)?.attempts, 1);
    assert.equal((await start(echo, "Unary", { messages: ["ok"] }).came).code, status.OK);
  });
});

describe("credentials", () => {
  test("of a call go with each attempt", async (t) => {
    const peer = await openPeer(t, script(UNAVAILABLE, UNAVAILABLE));
    const { echo } = policedEcho(t, peer.address, [again()]);
    let asked = 0;
    const call = credentials.createFromMetadataGenerator((_context, callback) => {
      const metadata = new Metadata();
      metadata.set("authorization", `token ${++asked}`);
      callback(null, metadata);
    });
    await start(echo, "Unary", { options: { credentials: call } }).came;
    assert.deepEqual(
      peer.attempts.map(({ headers }) => headers["authorization"]),
      ["token 1", "token 2", "token 3"],
    );
  });
});
