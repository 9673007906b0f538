// All four kinds of RPC under all layers: a healthy call passes untouched, a failed attempt is repeated with everything it was sent.
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { status } from "@grpc/grpc-js";
import { breaker, bulkhead, type LayerDefinition, rateLimit, retry, timeout, trace } from "../../../src/index.ts";
import { KINDS, policedEcho, type RpcKind, sentBy, start } from "./calls.ts";
import { openPeer, type PeerAttempt } from "./peer.ts";

const sent = ["one", "two", "three"];

/** Echoes what it gets, as a server of that kind does. */
async function echo(attempt: PeerAttempt): Promise<void> {
  await attempt.ended();
  const streams = /ServerStream|Bidi/.test(attempt.path);
  attempt.send(...(streams ? attempt.messages : [attempt.messages.join(" ")]));
  attempt.status(status.OK);
}

const answer = (kind: RpcKind, messages: readonly string[]): readonly string[] =>
  kind === "ServerStream" || kind === "Bidi" ? sentBy(kind, messages) : [sentBy(kind, messages).join(" ")];

const layers: readonly LayerDefinition[] = [
  trace(),
  rateLimit({ rate: 1_000, per: "1s" }),
  timeout("30s"),
  bulkhead({ limit: 10 }),
  retry({ methods: ["*"], backoff: { base: "0ms" } }),
  breaker(),
  timeout("10s"),
];

for (const kind of KINDS) {
  suite(kind, () => {
    test("a healthy call passes untouched through seven layers", async (t) => {
      const peer = await openPeer(t, echo);
      const { client, echo: stub } = policedEcho(t, peer.address, layers);
      const came = await start(stub, kind, { messages: sent }).came;
      assert.deepEqual([came.code, came.messages], [status.OK, answer(kind, sent)]);
      assert.equal(peer.attempts.length, 1);
      assert.deepEqual(peer.attempts[0]?.messages, sentBy(kind, sent));
      assert.equal(client.explain(came.trailers)?.attempts, 1);
      assert.equal(client.explain(came.trailers)?.method, `test.Echo/${kind}`);
      assert.equal(client.explain(came.trailers)?.target, peer.address);
    });

    test("two attempts fail, the third gets every message in order", async (t) => {
      const peer = await openPeer(t, async (attempt) => {
        if (attempt.nth === 3) return echo(attempt);
        await attempt.received(sentBy(kind, sent).length);
        attempt.status(status.UNAVAILABLE);
        return undefined;
      });
      const { client, echo: stub } = policedEcho(t, peer.address, layers);
      const came = await start(stub, kind, { messages: sent }).came;
      assert.deepEqual([came.code, came.messages], [status.OK, answer(kind, sent)]);
      assert.deepEqual(
        peer.attempts.map(({ messages }) => messages),
        Array.from({ length: 3 }, () => sentBy(kind, sent)),
      );
      assert.deepEqual(
        peer.attempts.map(({ headers }) => headers["grpc-previous-rpc-attempts"]),
        [undefined, "1", "2"],
      );
      assert.deepEqual(came.head?.get("grpc-previous-rpc-attempts"), ["2"]);
      assert.equal(client.explain(came.trailers)?.attempts, 3);
    });

    test("when no attempt is left, the last status is the call's", async (t) => {
      const peer = await openPeer(t, (attempt) =>
        attempt.status(status.UNAVAILABLE, { "grpc-message": `no ${attempt.nth}`, "x-more": "yes" }),
      );
      const { client, echo: stub } = policedEcho(t, peer.address, layers);
      const came = await start(stub, kind, { messages: sent }).came;
      assert.deepEqual([came.code, came.details, came.messages], [status.UNAVAILABLE, "no 3", []]);
      assert.deepEqual(came.trailers?.get("x-more"), ["yes"]);
      assert.equal(came.error?.code, status.UNAVAILABLE);
      assert.equal(client.explain(came.error)?.attempts, 3);
      assert.equal(peer.attempts.length, 3);
    });

    test("a head commits: what fails after it is the caller's, and not repeated", async (t) => {
      const peer = await openPeer(t, (attempt) => {
        attempt.head();
        attempt.status(status.UNAVAILABLE);
      });
      const { echo: stub } = policedEcho(t, peer.address, layers);
      const came = await start(stub, kind, { messages: sent }).came;
      assert.equal(came.code, status.UNAVAILABLE);
      assert.equal(peer.attempts.length, 1);
    });
  });
}
