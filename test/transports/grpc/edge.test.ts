// What the caller is told: refusals and injected faults are ServiceErrors that say who made them, and explain knows every call.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { status } from "@grpc/grpc-js";
import {
  breaker,
  bulkhead,
  fallback,
  fault,
  idempotency,
  type LayerDefinition,
  PolicyError,
  type PolicyErrorCode,
  rateLimit,
  retry,
  timeout,
} from "../../../src/index.ts";
import { echoClient, KINDS, policedEcho, start } from "./calls.ts";
import { openPeer, type PeerAttempt } from "./peer.ts";

const fine = (attempt: PeerAttempt): void => {
  attempt.send("fine");
  attempt.status(status.OK);
};

interface Row {
  readonly by: string;
  readonly layers: readonly LayerDefinition[];
  /** How many calls go before; they are let end. */
  readonly before: number;
  readonly serve?: (attempt: PeerAttempt) => unknown;
  readonly code: number;
  readonly error: PolicyErrorCode;
  readonly details: RegExp;
  readonly waits: boolean;
}

const ROWS: readonly Row[] = [
  {
    by: "breaker",
    layers: [breaker({ trip: { consecutive: 1 }, openFor: "1h" })],
    before: 1,
    serve: (attempt) => attempt.status(status.UNAVAILABLE),
    code: status.UNAVAILABLE,
    error: "ERR_PREMESH_BREAKER_OPEN",
    details: /^policy echo: the breaker is open for 127\.0\.0\.1:\d+; try again in \d+ ms$/,
    waits: true,
  },
  {
    by: "rateLimit",
    layers: [rateLimit({ rate: 1, per: "1h", burst: 1 })],
    before: 1,
    code: status.RESOURCE_EXHAUSTED,
    error: "ERR_PREMESH_RATE_LIMITED",
    details: /the rate limit is reached for .*; try again in \d+ ms$/,
    waits: true,
  },
  {
    by: "fault",
    layers: [fault({ abort: { code: "data-loss", percent: 100 } })],
    before: 0,
    code: status.DATA_LOSS,
    error: "ERR_PREMESH_FAULT",
    details: /a fault was injected/,
    waits: false,
  },
  {
    by: "fault",
    layers: [fault({ abort: { status: 429, percent: 100 } })],
    before: 0,
    code: status.RESOURCE_EXHAUSTED,
    error: "ERR_PREMESH_FAULT",
    details: /a fault was injected/,
    waits: false,
  },
];

describe("a refusal is a ServiceError with the status, the layer and the wait", () => {
  for (const { by, layers, before, serve = fine, code, error, details, waits } of ROWS) {
    for (const kind of KINDS) {
      test(`${by} (${code}), ${kind}`, async (t) => {
        const peer = await openPeer(t, serve);
        const { client, echo } = policedEcho(t, peer.address, layers);
        for (let call = 0; call < before; call++) await start(echo, kind).came;
        const came = await start(echo, kind).came;
        assert.equal(came.code, code);
        assert.match(came.details, details);
        assert.equal(peer.attempts.length, before);
        assert.deepEqual([came.trailers?.get("premesh-by"), came.trailers?.get("premesh-policy")], [[by], ["echo"]]);
        const wait = came.trailers?.get("premesh-retry-after-ms") ?? [];
        assert.equal(wait.length, waits ? 1 : 0);
        assert.ok(came.error?.cause instanceof PolicyError);
        assert.deepEqual([came.error.code, came.error.cause.code, came.error.cause.policy], [code, error, "echo"]);
        if (waits) assert.equal(came.error.cause.retryAfterMs, Number(wait[0]));
        for (const one of [came.error, came.error.cause, came.trailers, came.error.metadata]) {
          assert.equal(client.explain(one)?.attempts, 0);
          assert.match(client.explain(one)?.text ?? "", new RegExp(`^test\\.Echo/${kind} 127\\.0\\.0\\.1:`));
        }
      });
    }
  }

  test("bulkhead", async (t) => {
    const peer = await openPeer(t, () => undefined);
    const { echo } = policedEcho(t, peer.address, [bulkhead({ limit: 1 })]);
    const first = start(echo, "Unary");
    const came = await start(echo, "Unary").came;
    assert.equal(came.code, status.UNAVAILABLE);
    assert.deepEqual(came.trailers?.get("premesh-by"), ["bulkhead"]);
    assert.ok(came.error?.cause instanceof PolicyError && came.error.cause.code === "ERR_PREMESH_BULKHEAD_FULL");
    first.call.cancel();
    await first.came;
  });
});

test("a bulkhead's place is held until the stream ends", async (t) => {
  const peer = await openPeer(t, (attempt) => attempt.send("one"));
  const { client, echo } = policedEcho(t, peer.address, [bulkhead({ limit: 1 })]);
  const first = start(echo, "ServerStream");
  await new Promise((resolve) => first.call.once("metadata", resolve));
  assert.equal((await start(echo, "ServerStream").came).code, status.UNAVAILABLE);
  peer.attempts[0]?.status(status.OK);
  await first.came;
  const second = start(echo, "ServerStream");
  (await peer.arrived(2)).status(status.OK);
  assert.equal((await second.came).code, status.OK);
  assert.deepEqual(
    client.status().policies["echo"]?.targets[peer.address]?.map(({ state }) => state["active"]),
    [0],
  );
});

test("a status of the peer is given on as it is: details, metadata and all", async (t) => {
  const details = Buffer.from([1, 2, 3]);
  const peer = await openPeer(t, (attempt) =>
    attempt.status(status.FAILED_PRECONDITION, {
      "grpc-message": "not%20yet",
      "grpc-status-details-bin": details.toString("base64"),
      "x-a": "b",
    }),
  );
  const { client, echo } = policedEcho(t, peer.address, [timeout("10s"), retry(), breaker()]);
  const { code, details: words, trailers, error } = await start(echo, "Unary").came;
  assert.deepEqual([code, words, error?.cause], [status.FAILED_PRECONDITION, "not yet", undefined]);
  assert.deepEqual(trailers?.get("grpc-status-details-bin"), [details]);
  assert.deepEqual([trailers?.get("x-a"), trailers?.get("premesh-by")], [["b"], []]);
  assert.equal(client.explain(error)?.attempts, 1);
});

test("explain knows a success by its metadata and its status, and a stream that breaks off by its error", async (t) => {
  const peer = await openPeer(t, (attempt) => {
    attempt.send("one");
    attempt.status(attempt.path.endsWith("Unary") ? status.OK : status.INTERNAL);
  });
  const { client, echo } = policedEcho(t, peer.address, [retry()]);
  const good = await start(echo, "Unary").came;
  assert.equal(client.explain(good.head)?.attempts, 1);
  assert.equal(client.explain({ metadata: good.trailers })?.attempts, 1);
  const bad = await start(echo, "ServerStream").came;
  assert.deepEqual([bad.code, client.explain(bad.error)?.attempts], [status.INTERNAL, 1]);
  assert.equal(client.explain(good.head)?.outcome, "ok");
  assert.equal(client.explain(bad.error)?.outcome, "ok, then internal");
});

describe("fallback", () => {
  test("asks another target, on a channel of its own, with everything that was sent", async (t) => {
    const peer = await openPeer(t, (attempt) => attempt.status(status.UNAVAILABLE));
    const other = await openPeer(t, async (attempt) => {
      await attempt.ended();
      attempt.send(attempt.messages.join());
      attempt.status(status.OK);
    });
    const { client, echo } = policedEcho(t, peer.address, [fallback({ response: { target: `http://${other.address}` } })]);
    for (let call = 0; call < 2; call++) {
      const { code, messages, head, trailers } = await start(echo, "ClientStream", { messages: ["a", "b"] }).came;
      assert.deepEqual([code, messages], [status.OK, ["a,b"]]);
      assert.deepEqual(head?.get("premesh-fallback"), ["echo"]);
      assert.equal(client.explain(trailers)?.attempts, 2);
    }
    assert.equal(other.sessions.size, 1);
    assert.equal(other.attempts[0]?.headers[":authority"], other.address);
    echo.close();
    while (other.sessions.size > 0) await new Promise((resolve) => setImmediate(resolve));
  });

  test("says so when the other target fails, too", async (t) => {
    const peer = await openPeer(t, (attempt) => attempt.status(status.UNAVAILABLE));
    const other = await openPeer(t, (attempt) => attempt.status(status.INTERNAL));
    const { echo } = policedEcho(t, peer.address, [fallback({ response: { target: `http://${other.address}` } })]);
    const { code, trailers } = await start(echo, "Unary").came;
    assert.deepEqual([code, trailers?.get("premesh-fallback")], [status.INTERNAL, ["echo"]]);
  });

  test("with a response of its own cannot answer an RPC, and says so", async (t) => {
    const peer = await openPeer(t, (attempt) => attempt.status(status.UNAVAILABLE));
    const { client, echo } = policedEcho(t, peer.address, [fallback({ response: { status: 200, body: { items: [] } } })]);
    const { code, details, trailers, error } = await start(echo, "Unary").came;
    assert.equal(code, status.UNIMPLEMENTED);
    assert.match(
      details,
      /^policy echo: the fallback response has status 200, of which no RPC message can be made; give it another target/,
    );
    assert.deepEqual(trailers?.get("premesh-by"), ["fallback"]);
    assert.deepEqual(
      client.explain(error)?.decisions.map(({ what }) => what),
      ["answered"],
    );
  });

  test("with an error of its own gives its status", async (t) => {
    const peer = await openPeer(t, (attempt) => attempt.status(status.UNAVAILABLE));
    const { echo } = policedEcho(t, peer.address, [fallback({ response: { status: 404, body: "nothing here" } })]);
    const { code, details, trailers } = await start(echo, "Unary").came;
    assert.deepEqual([code, details, trailers?.get("premesh-by")], [status.NOT_FOUND, "nothing here", ["fallback"]]);
  });
});

describe("idempotency", () => {
  test("sends one key with all attempts of a method that is named, which may then be repeated", async (t) => {
    const peer = await openPeer(t, (attempt) => (attempt.nth < 3 ? attempt.status(status.UNAVAILABLE) : fine(attempt)));
    const { echo } = policedEcho(t, peer.address, [idempotency({ methods: ["test.Echo/Unary"] }), retry({ backoff: { base: "0ms" } })]);
    assert.equal((await start(echo, "Unary").came).code, status.OK);
    const keys = peer.attempts.map(({ headers }) => headers["idempotency-key"]);
    assert.equal(keys.length, 3);
    assert.match(String(keys[0]), /^"[\da-f-]{36}"$/);
    assert.equal(new Set(keys).size, 1);
  });

  test("leaves other methods alone", async (t) => {
    const peer = await openPeer(t, (attempt) => attempt.status(status.UNAVAILABLE));
    const { echo } = policedEcho(t, peer.address, [idempotency(), retry()]);
    await start(echo, "Unary").came;
    assert.deepEqual(
      peer.attempts.map(({ headers }) => headers["idempotency-key"]),
      [undefined],
    );
  });
});

test("a client that is closed refuses with UNAVAILABLE, and waits for calls until they have their head", async (t) => {
  const peer = await openPeer(t, () => undefined);
  const { client, echo } = policedEcho(t, peer.address, [retry()]);
  const first = start(echo, "ServerStream");
  const attempt = await peer.arrived(1);
  let closed = false;
  const closing = client.close().then(() => (closed = true));
  const { code, details, error } = await start(echo, "Unary").came;
  assert.deepEqual([code, details], [status.UNAVAILABLE, "this client is closed and takes no calls"]);
  assert.ok(error?.cause instanceof PolicyError && error.cause.code === "ERR_PREMESH_CLIENT_CLOSED");
  assert.equal(closed, false);
  attempt.head();
  await closing;
  attempt.status(status.OK);
  assert.equal((await first.came).code, status.OK);
});

test("what the caller's code throws is an uncaught exception, as it is without premesh, and the call ends all the same", async () => {
  const file = new URL("throwing.ts", import.meta.url);
  const child = spawn(process.execPath, [fileURLToPath(file)], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, NODE_OPTIONS: "" },
  });
  let printed = "";
  child.stdout.on("data", (text: Buffer) => (printed += text.toString()));
  await once(child, "close");
  assert.deepEqual(printed.trim().split("\n"), [
    "uncaught: in metadata",
    "uncaught: in callback",
    "status 0",
    "uncaught: in error",
    "active 0",
  ]);
});

test("without a policy of its own a call is grpc-js's alone", async (t) => {
  const peer = await openPeer(t, (attempt) => attempt.status(status.UNAVAILABLE));
  const { client, echo } = policedEcho(t, peer.address, [], { client: { policies: [] } });
  const bare = await start(echoClient(t, peer.address), "Unary").came;
  const came = await start(echo, "Unary").came;
  assert.deepEqual([came.code, came.details], [bare.code, bare.details]);
  assert.equal(client.explain(came.error), undefined);
});
