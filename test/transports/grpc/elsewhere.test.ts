// Attempts that layers send elsewhere: to the endpoints of a route, and twice at a time by a hedge.
import assert from "node:assert/strict";
import { describe, suite, test } from "node:test";
import { status } from "@grpc/grpc-js";
import { bulkhead, hedge, retry, route } from "../../../src/index.ts";
import { virtualClock } from "../../../src/testing/index.ts";
import { KINDS, policedEcho, sentBy, start } from "./calls.ts";
import { NGHTTP2_CANCEL, openPeer, type PeerAttempt } from "./peer.ts";

const fine = async (attempt: PeerAttempt): Promise<void> => {
  await attempt.ended();
  attempt.send(attempt.messages.join());
  attempt.status(status.OK);
};

describe("route", () => {
  for (const kind of KINDS) {
    test(`${kind}: a retry goes to an endpoint that was not tried, and the server is called by the caller's name`, async (t) => {
      const ill = await openPeer(t, (attempt) => attempt.status(status.UNAVAILABLE));
      const well = await openPeer(t, fine);
      const { client, echo } = policedEcho(t, "dns:///payments.internal:443", [
        retry({ methods: ["*"], backoff: { base: "0ms" } }),
        route({ to: [{ endpoints: [`http://${ill.address}`, `http://${well.address}`] }], balance: "round-robin" }),
      ]);
      for (let call = 0; call < 2; call++) {
        const { code, messages, trailers } = await start(echo, kind, { messages: ["a", "b"] }).came;
        assert.deepEqual([code, messages], [status.OK, [sentBy(kind, ["a", "b"]).join()]]);
        assert.equal(client.explain(trailers)?.target, "payments.internal:443");
      }
      assert.equal(well.attempts.length, 2);
      assert.equal(well.sessions.size, 1, "the connection is kept");
      assert.deepEqual(
        well.attempts.map(({ headers }) => headers[":authority"]),
        ["payments.internal:443", "payments.internal:443"],
      );
      await client.close();
    });
  }

  test("without a retry the endpoint's status is the call's", async (t) => {
    const peer = await openPeer(t, (attempt) => attempt.status(status.NOT_FOUND));
    const { client, echo } = policedEcho(t, "payments.internal:443", [route({ to: [{ endpoints: [`http://${peer.address}`] }] })]);
    assert.equal((await start(echo, "Unary").came).code, status.NOT_FOUND);
    await client.close();
  });
});

suite("hedge", () => {
  const hedged = [bulkhead({ limit: 5 }), hedge({ after: "100ms" })];

  for (const kind of KINDS) {
    test(`${kind}: the one that answers first is the call, with all messages; the other is cancelled`, async (t) => {
      const clock = virtualClock();
      const peer = await openPeer(t, (attempt) => (attempt.nth === 1 ? undefined : fine(attempt)));
      const { client, echo } = policedEcho(t, peer.address, [...hedged], { client: { clock }, settings: { services: [idempotent] } });
      const { came } = start(echo, kind, { messages: ["a", "b"] });
      const first = await peer.arrived(1);
      await first.received(sentBy(kind, ["a", "b"]).length);
      await clock.advance(100);
      const { code, messages } = await came;
      assert.deepEqual([code, messages], [status.OK, [sentBy(kind, ["a", "b"]).join()]]);
      await first.closed();
      assert.equal(first.resetBy, NGHTTP2_CANCEL);
      assert.deepEqual(
        peer.attempts.map((attempt) => attempt.messages),
        [sentBy(kind, ["a", "b"]), sentBy(kind, ["a", "b"])],
      );
      assert.equal(peer.open(), 0);
      assert.equal(clock.pending(), 0);
      assert.equal(client.status().policies["echo"]?.targets[peer.address]?.[0]?.state["active"], 0);
    });
  }

  test("cancelling ends both", async (t) => {
    const clock = virtualClock();
    const peer = await openPeer(t, () => undefined);
    const { echo } = policedEcho(t, peer.address, [...hedged], { client: { clock }, settings: { services: [idempotent] } });
    const { call, came } = start(echo, "ServerStream");
    await peer.arrived(1);
    await clock.advance(100);
    await peer.arrived(2);
    call.cancel();
    assert.equal((await came).code, status.CANCELLED);
    await Promise.all(peer.attempts.map((attempt) => attempt.closed()));
    assert.equal(peer.open(), 0);
  });
});

/** All methods of the service may be sent twice. */
const idempotent = { typeName: "test.Echo", methods: KINDS.map((name) => ({ name, idempotency: "IDEMPOTENT" })) };
