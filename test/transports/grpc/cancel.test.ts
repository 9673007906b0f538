// Cancelling acts at once in every state of a call, and leaves nothing behind: no stream, no permit, no timer, no listener.
import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { describe, suite, test, type TestContext } from "node:test";
import { propagate, type ServerUnaryCall, status } from "@grpc/grpc-js";
import { breaker, bulkhead, fault, type LayerDefinition, rateLimit, retry, timeout } from "../../../src/index.ts";
import { virtualClock, type VirtualClock } from "../../../src/testing/index.ts";
import { type Came, KINDS, policedEcho, type RpcKind, start, type Started } from "./calls.ts";
import { NGHTTP2_CANCEL, openPeer, type Peer, type PeerAttempt } from "./peer.ts";

interface State {
  readonly name: string;
  readonly layers: readonly LayerDefinition[];
  readonly serve: (attempt: PeerAttempt) => unknown;
  /** Calls that are under way before. */
  readonly before?: number;
  /** Settles when the call is in that state. */
  readonly reached: (started: Started, peer: Peer, clock: VirtualClock) => Promise<unknown>;
  readonly attempts: number;
}

const around = [timeout("1h"), retry({ methods: ["*"], backoff: { base: "30m" } }), breaker(), timeout("30m")];
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const STATES: readonly State[] = [
  {
    name: "in the queue of a bulkhead",
    layers: [bulkhead({ limit: 1, queue: { size: 5, timeout: "1h" } }), ...around],
    serve: () => undefined,
    before: 1,
    reached: turn,
    attempts: 0,
  },
  {
    name: "in the queue of a rate limit",
    layers: [rateLimit({ rate: 1, per: "1h", burst: 1, queue: { size: 5, timeout: "10h" } }), ...around],
    serve: () => undefined,
    before: 1,
    reached: turn,
    attempts: 0,
  },
  {
    name: "in an injected delay",
    layers: [fault({ delay: { for: "1h", percent: 100 } }), ...around],
    serve: () => undefined,
    reached: turn,
    attempts: 0,
  },
  {
    name: "between attempts",
    layers: [...around],
    serve: (attempt) => attempt.status(status.UNAVAILABLE),
    reached: async (_started, peer) => {
      await (await peer.arrived(1)).closed();
      while (peer.open() > 0) await turn();
      for (let waited = 0; waited < 20; waited++) await turn();
    },
    attempts: 1,
  },
  {
    name: "in flight",
    layers: [...around],
    serve: () => undefined,
    reached: (_started, peer) => peer.arrived(1),
    attempts: 1,
  },
  {
    name: "after the head",
    layers: [...around],
    serve: (attempt) => attempt.head(),
    reached: ({ call }) => new Promise((resolve) => call.once("metadata", resolve)),
    attempts: 1,
  },
];

async function cancelledIn(t: TestContext, state: State, kind: RpcKind, cancel: (started: Started) => void): Promise<Came> {
  const clock = virtualClock();
  const peer = await openPeer(t, state.serve);
  const { client, echo } = policedEcho(t, peer.address, state.layers, { client: { clock } });
  const others: Started[] = [];
  for (let other = 0; other < (state.before ?? 0); other++) {
    others.push(start(echo, "Unary"));
    await peer.arrived(other + 1);
  }
  const started = start(echo, kind, { end: false });
  await state.reached(started, peer, clock);
  cancel(started);
  const came = await started.came;
  assert.equal(client.explain(came.trailers)?.attempts, state.attempts);
  for (const { call, came: over } of others) {
    call.cancel();
    await over;
  }
  await Promise.all(peer.attempts.map((attempt) => attempt.closed()));
  assert.equal(peer.open(), 0);
  assert.equal(clock.pending(), 0);
  for (const layers of Object.values(client.status().policies["echo"]?.targets ?? {})) {
    for (const { state: now } of layers) {
      assert.equal(now["active"] ?? 0, 0);
      assert.equal(now["waiting"] ?? 0, 0);
    }
  }
  return came;
}

for (const state of STATES) {
  suite(`a call that is cancelled ${state.name}`, () => {
    for (const kind of KINDS) {
      test(`${kind}: ends at once with CANCELLED`, async (t) => {
        const came = await cancelledIn(t, state, kind, ({ call }) => call.cancel());
        assert.deepEqual([came.code, came.details], [status.CANCELLED, "Cancelled on client"]);
        assert.equal(came.error?.code, status.CANCELLED);
      });
    }
  });
}

test("the server sees a cancelled attempt reset with CANCEL", async (t) => {
  const peer = await openPeer(t, () => undefined);
  const { echo } = policedEcho(t, peer.address, around);
  const { call, came } = start(echo, "Unary");
  const attempt = await peer.arrived(1);
  call.cancel();
  await came;
  await attempt.closed();
  assert.equal(attempt.resetBy, NGHTTP2_CANCEL);
});

test("cancelling as soon as it has begun, twice, and when it is over, does what it says once", async (t) => {
  const peer = await openPeer(t, (attempt) => attempt.status(status.OK));
  const { echo } = policedEcho(t, peer.address, around);
  for (const kind of KINDS) {
    const { call, came } = start(echo, kind);
    call.cancel();
    call.cancel();
    assert.equal((await came).code, status.CANCELLED);
    call.cancel();
    await turn();
  }
});

/** What grpc-js takes for the call that a server is answering. */
class Parent extends EventEmitter {
  cancelled = false;
  deadline: number | Date = Number.POSITIVE_INFINITY;

  getDeadline(): number | Date {
    return this.deadline;
  }

  cancel(): void {
    this.cancelled = true;
    this.emit("cancelled", "cancelled");
  }
}

const under = (parent: Parent, flags?: number): { options: { parent: ServerUnaryCall<unknown, unknown>; propagate_flags?: number } } => ({
  // the cast: the parts of a server's call that are used
  options: { parent: parent as unknown as ServerUnaryCall<unknown, unknown>, ...(flags === undefined ? {} : { propagate_flags: flags }) },
});

describe("a parent call", () => {
  for (const state of STATES) {
    test(`that is cancelled ends its child ${state.name}`, async (t) => {
      const parent = new Parent();
      const clock = virtualClock();
      const peer = await openPeer(t, state.serve);
      const { echo } = policedEcho(t, peer.address, state.layers, { client: { clock } });
      const other = state.before === undefined ? undefined : start(echo, "Unary");
      if (other !== undefined) await peer.arrived(1);
      const child = start(echo, "Unary", under(parent));
      await state.reached(child, peer, clock);
      assert.equal(parent.listenerCount("cancelled"), 1, "however many attempts there are");
      parent.cancel();
      const { code, details } = await child.came;
      assert.deepEqual([code, details], [status.CANCELLED, "Cancelled by parent call"]);
      assert.equal(parent.listenerCount("cancelled"), 0);
      other?.call.cancel();
      await other?.came;
    });
  }

  test("that is cancelled already ends its child before it is sent", async (t) => {
    const peer = await openPeer(t, (attempt) => attempt.status(status.OK));
    const { echo } = policedEcho(t, peer.address, around);
    const parent = new Parent();
    parent.cancelled = true;
    assert.equal((await start(echo, "Unary", under(parent)).came).code, status.CANCELLED);
    assert.equal(peer.attempts.length, 0);
  });

  test("gives its deadline, and none of its listeners is left when the child is over", async (t) => {
    const peer = await openPeer(t, (attempt) => attempt.status(attempt.nth < 3 ? status.UNAVAILABLE : status.OK));
    const { echo } = policedEcho(t, peer.address, [retry({ methods: ["*"], backoff: { base: "0ms" } })]);
    const parent = new Parent();
    parent.deadline = new Date(Date.now() + 50_000);
    assert.equal((await start(echo, "Unary", under(parent)).came).code, status.OK);
    assert.equal(parent.listenerCount("cancelled"), 0);
    for (const { headers } of peer.attempts) assert.match(String(headers["grpc-timeout"]), /^(?:50000|49\d\d\d)m$/);
  });

  test("is not followed where the flags say so", async (t) => {
    const peer = await openPeer(t, () => undefined);
    const { echo } = policedEcho(t, peer.address, around);
    const parent = new Parent();
    parent.deadline = 0;
    const child = start(echo, "Unary", under(parent, propagate.CENSUS_STATS_CONTEXT));
    const attempt = await peer.arrived(1);
    parent.cancel();
    attempt.status(status.OK);
    assert.equal((await child.came).code, status.OK);
  });
});
