// Deadlines: the caller's and the policy's, whichever comes first; each attempt tells the server what is left.
import assert from "node:assert/strict";
import { describe, suite, test, type TestContext } from "node:test";
import { Metadata, status } from "@grpc/grpc-js";
import { bulkhead, type Client, type LayerDefinition, PolicyError, retry, timeout } from "../../../src/index.ts";
import { virtualClock, type VirtualClock } from "../../../src/testing/index.ts";
import { definition, type EchoClient, KINDS, policedEcho, type RpcKind, start } from "./calls.ts";
import { NGHTTP2_CANCEL, openPeer, type Peer, type PeerAttempt } from "./peer.ts";

interface Opened {
  readonly peer: Peer;
  readonly client: Client;
  readonly echo: EchoClient;
  readonly clock: VirtualClock;
}

/** Under a clock that stands still: the numbers on the wire are exact. */
async function open(
  t: TestContext,
  layers: readonly LayerDefinition[],
  serve: (attempt: PeerAttempt, clock: VirtualClock) => unknown = (attempt) => attempt.status(status.OK),
  more: Omit<NonNullable<Parameters<typeof policedEcho>[3]>, "client"> = {},
): Promise<Opened> {
  const clock = virtualClock();
  const peer = await openPeer(t, (attempt) => serve(attempt, clock));
  return { peer, clock, ...policedEcho(t, peer.address, layers, { ...more, client: { clock } }) };
}

const told = ({ attempts }: Peer): readonly (string | undefined)[] =>
  attempts.map(({ headers }) => headers["grpc-timeout"] as string | undefined); // the cast: a field of one value
const again = retry({ methods: ["*"], backoff: { base: "0ms" } });
const soon = (ms: number): { readonly deadline: number } => ({ deadline: Date.now() + ms });

describe("what the server is told", () => {
  test("nothing, where there is no deadline", async (t) => {
    const { peer, echo } = await open(t, [again]);
    await start(echo, "Unary").came;
    assert.deepEqual(told(peer), [undefined]);
  });

  test("the policy's timeout", async (t) => {
    const { peer, echo } = await open(t, [timeout("20s")]);
    await start(echo, "Unary").came;
    assert.deepEqual(told(peer), ["20000m"]);
  });

  test("the smallest of several", async (t) => {
    const { peer, echo } = await open(t, [timeout("20s"), timeout("3s"), timeout("7s")]);
    await start(echo, "Unary", { options: soon(60_000) }).came;
    assert.deepEqual(told(peer), ["3000m"]);
  });

  test("the caller's own deadline, where that is smaller", async (t) => {
    const { peer, echo } = await open(t, [timeout("20s")]);
    await start(echo, "Unary", { options: soon(5_000) }).came;
    const [first = ""] = told(peer);
    assert.match(first, /^(?:5000|4\d\d\d)m$/);
  });

  test("what the caller has written into the metadata, which stays", async (t) => {
    const { peer, echo } = await open(t, [timeout("20s")]);
    const metadata = new Metadata();
    metadata.set("grpc-timeout", "100m");
    await start(echo, "Unary", { metadata }).came;
    assert.deepEqual(told(peer), ["100m"]);
  });

  test("what remains, in each attempt", async (t) => {
    const { peer, echo } = await open(t, [timeout("20s"), again], async (attempt, clock) => {
      await clock.advance(4_000);
      attempt.status(attempt.nth < 3 ? status.UNAVAILABLE : status.OK);
    });
    assert.equal((await start(echo, "Unary").came).code, status.OK);
    assert.deepEqual(told(peer), ["20000m", "16000m", "12000m"]);
  });

  test("for one answer the attempt's timeout, for a stream of answers the whole call's: it only waits for the head", async (t) => {
    const { peer, echo } = await open(t, [timeout("20s"), again, timeout("2s")]);
    for (const kind of KINDS) await start(echo, kind).came;
    assert.deepEqual(told(peer), ["2000m", "20000m", "2000m", "20000m"]);
  });

  test("the same by the service's definition, whatever the caller does first", async (t) => {
    const { peer, echo } = await open(t, [again, timeout("2s")], undefined, { settings: { services: [definition] } });
    const { call, came } = start(echo, "ServerStream");
    if ("read" in call) call.read(); // in the same turn, as the reader of a single answer does
    await came;
    assert.deepEqual(told(peer), [undefined]);
  });
});

suite("a timeout inside retry", () => {
  test("ends an attempt that has no head, and the next one is made", async (t) => {
    const { peer, echo, clock } = await open(t, [again, timeout("2s")], (attempt) => {
      if (attempt.nth === 2) attempt.status(status.OK);
    });
    const { came } = start(echo, "ServerStream");
    const first = await peer.arrived(1);
    await clock.advance(2_000);
    assert.equal((await came).code, status.OK);
    await first.closed();
    assert.equal(first.resetBy, NGHTTP2_CANCEL);
  });

  for (const kind of ["ServerStream", "Bidi"] as const) {
    test(`lets the stream of a ${kind} go on after its head`, async (t) => {
      const { peer, echo, clock } = await open(t, [again, timeout("2s")], (attempt) => attempt.send("one"));
      const { came, call } = start(echo, kind);
      const attempt = await peer.arrived(1);
      if ("read" in call) await new Promise((resolve) => call.once("data", resolve));
      await clock.advance(60_000);
      attempt.send("two");
      attempt.status(status.OK);
      const { code, messages } = await came;
      assert.deepEqual([code, messages], [status.OK, ["one", "two"]]);
    });
  }

  test("takes a server that gives up just before it, since it was told of it, for itself", async (t) => {
    const { client, echo, clock } = await open(
      t,
      [retry({ attempts: 2, methods: ["*"], on: ["timeout"], backoff: { base: "0ms" } }), timeout("2s")],
      async (attempt, it) => {
        if (attempt.nth === 2) return attempt.status(status.OK);
        await it.advance(1_999);
        attempt.status(status.DEADLINE_EXCEEDED);
        return undefined;
      },
    );
    const { came } = start(echo, "Unary");
    let over = false;
    void came.then(() => (over = true));
    while (!over) await clock.advance(1);
    const { code, trailers } = await came;
    assert.equal(code, status.OK);
    assert.deepEqual(
      client.explain(trailers)?.decisions.map(({ what }) => what),
      ["timed-out", "retrying"],
    );
  });

  test("takes one that gives up long before it for the peer's own failure", async (t) => {
    const { client, echo } = await open(t, [retry({ methods: ["*"], on: ["timeout"] }), timeout("2s")], (attempt) =>
      attempt.status(status.DEADLINE_EXCEEDED),
    );
    const { code, error } = await start(echo, "Unary").came;
    assert.equal(code, status.DEADLINE_EXCEEDED);
    assert.deepEqual(client.explain(error)?.decisions, []);
  });
});

suite("a timeout around retry", () => {
  for (const kind of KINDS) {
    test(`ends a ${kind} that has no head`, async (t) => {
      const { peer, client, echo, clock } = await open(t, [timeout("2s"), again], () => undefined);
      const { came } = start(echo, kind);
      const attempt = await peer.arrived(1);
      await clock.advance(2_000);
      const { code, details, error, trailers } = await came;
      assert.equal(code, status.DEADLINE_EXCEEDED);
      assert.match(details, /policy echo: no response within 2s/);
      assert.deepEqual(trailers?.get("premesh-by"), ["timeout"]);
      assert.ok(error?.cause instanceof PolicyError && error.cause.code === "ERR_PREMESH_TIMEOUT");
      assert.deepEqual(
        client.explain(error)?.decisions.map(({ what }) => what),
        ["timed-out"],
      );
      await attempt.closed();
      assert.equal(attempt.resetBy, NGHTTP2_CANCEL);
    });

    test(`ends a ${kind} whose head has come, too`, async (t) => {
      const { peer, client, echo, clock } = await open(t, [timeout("2s"), again], (attempt) => attempt.head());
      const { came, call } = start(echo, kind, { end: false });
      const attempt = await peer.arrived(1);
      await new Promise((resolve) => call.once("metadata", resolve));
      await clock.advance(2_000);
      const { code, details, error, trailers } = await came;
      assert.equal(code, status.DEADLINE_EXCEEDED);
      assert.match(details, /did not end within 2s/);
      assert.deepEqual(trailers?.get("premesh-by"), ["timeout"]);
      assert.equal(client.explain(error)?.attempts, 1);
      await attempt.closed();
      assert.equal(attempt.resetBy, NGHTTP2_CANCEL);
    });
  }
});

suite("the caller's deadline", () => {
  test("ends an attempt and the call with it, whatever the policy repeats", async (t) => {
    const peer = await openPeer(t, () => undefined);
    const { client, echo } = policedEcho(t, peer.address, [retry({ methods: ["*"], on: ["deadline-exceeded"], backoff: { base: "0ms" } })]);
    const { code, error } = await start(echo, "Unary", { options: soon(30) }).came;
    assert.equal(code, status.DEADLINE_EXCEEDED);
    assert.equal(client.explain(error)?.attempts, 1);
  });

  test("that has passed ends it", async (t) => {
    const peer = await openPeer(t, () => undefined);
    const { echo } = policedEcho(t, peer.address, [again]);
    assert.equal((await start(echo, "Unary", { options: { deadline: new Date(0) } }).came).code, status.DEADLINE_EXCEEDED);
  });

  test("ends a call in a queue", async (t) => {
    const { peer, client, echo, clock } = await open(t, [bulkhead({ limit: 1, queue: { size: 1, timeout: "1h" } })], () => undefined);
    const first = start(echo, "Unary");
    await peer.arrived(1);
    const second = start(echo, "Unary", { options: soon(60_000) });
    await clock.advance(60_000);
    const { code, details, error } = await second.came;
    assert.equal(code, status.DEADLINE_EXCEEDED);
    assert.match(details, /^Deadline exceeded after \d+\.\d{3}s, between attempts of policy echo$/);
    assert.equal(client.explain(error)?.attempts, 0);
    first.call.cancel();
    await first.came;
    assert.equal(clock.pending(), 0);
  });

  test("leaves no room for a wait that would outlast it", async (t) => {
    const { client, echo } = await open(t, [retry({ methods: ["*"], backoff: { base: "1h" } })], (attempt) =>
      attempt.status(status.UNAVAILABLE),
    );
    const { code, error } = await start(echo, "Unary", { options: soon(5_000) }).came;
    assert.equal(code, status.UNAVAILABLE);
    assert.deepEqual(
      client.explain(error)?.decisions.map(({ what }) => what),
      ["no-time-left"],
    );
  });

  test("ends a call between attempts, if the wait is cut short of it by nothing else", async (t) => {
    const { client, echo, clock, peer } = await open(t, [retry({ methods: ["*"], backoff: { base: "0ms" } })], (attempt) =>
      attempt.status(status.UNAVAILABLE, { "grpc-retry-pushback-ms": "20000" }),
    );
    const { came } = start(echo, "Unary", { options: soon(25_000) });
    await peer.arrived(1);
    await clock.advance(20_000);
    await peer.arrived(2);
    const { code, error } = await came;
    assert.equal(code, status.UNAVAILABLE);
    assert.deepEqual(
      client.explain(error)?.decisions.map(({ what }) => what),
      ["retrying", "no-time-left"],
    );
    assert.equal(clock.pending(), 0);
  });
});

suite("a method's timeout in the user's service config", () => {
  const config = (timeoutOf: string, kind: RpcKind): string =>
    JSON.stringify({ loadBalancingConfig: [], methodConfig: [{ name: [{ service: "test.Echo", method: kind }], timeout: timeoutOf }] });

  test("is the deadline of the call with all its attempts, and not repeated", async (t) => {
    const peer = await openPeer(t, () => undefined);
    const { client, echo } = policedEcho(
      t,
      peer.address,
      [retry({ methods: ["*"], on: ["deadline-exceeded", "timeout", "reset"] }), timeout("20s")],
      {
        channel: { "grpc.service_config": config("0.030000000s", "Unary") },
      },
    );
    const { code, error } = await start(echo, "Unary").came;
    assert.equal(code, status.DEADLINE_EXCEEDED);
    assert.equal(client.explain(error)?.attempts, 1);
  });

  test("holds for the methods that it names", async (t) => {
    const peer = await openPeer(t, (attempt) => attempt.status(status.OK));
    const { echo } = policedEcho(t, peer.address, [again], { channel: { "grpc.service_config": config("50.000000000s", "Unary") } });
    await start(echo, "Unary").came;
    await start(echo, "ServerStream").came;
    const [unary = "", stream] = told(peer);
    assert.match(unary, /^(?:50000|49\d\d\d)m$/);
    assert.equal(stream, undefined);
  });
});
