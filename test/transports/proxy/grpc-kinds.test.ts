// All four kinds of RPC through the proxy: a healthy call passes untouched, a failed attempt is repeated with everything it was sent.
import assert from "node:assert/strict";
import { suite, test, type TestContext } from "node:test";
import { status } from "@grpc/grpc-js";
import { breaker, bulkhead, definePolicy, type LayerDefinition, rateLimit, retry, route, timeout, trace } from "../../../src/index.ts";
import { openShim, type Shim } from "../../harness/shim.ts";
import { echoClient, type EchoClient, KINDS, type RpcKind, sentBy, start } from "../grpc/calls.ts";
import { openPeer, type Peer, type PeerAttempt } from "../grpc/peer.ts";

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

const layersTo = (address: string): readonly LayerDefinition[] => [
  trace(),
  rateLimit({ rate: 1_000, per: "1s" }),
  timeout("30s"),
  bulkhead({ limit: 10 }),
  retry({ methods: ["*"], backoff: { base: "0ms" } }),
  breaker(),
  timeout("10s"),
  route({ to: [{ endpoints: [`http://${address}`] }] }),
];

interface Opened {
  readonly peer: Peer;
  readonly shim: Shim;
  readonly stub: EchoClient;
}

async function open(t: TestContext, serve: (attempt: PeerAttempt) => unknown): Promise<Opened> {
  const peer = await openPeer(t, serve);
  const shim = await openShim(t, {
    policies: [definePolicy({ name: "echo", match: [{ service: "test.Echo" }], layers: layersTo(peer.address) })],
  });
  return { peer, shim, stub: echoClient(t, shim.address) };
}

for (const kind of KINDS) {
  suite(kind, () => {
    test("a healthy call passes untouched", async (t) => {
      const { peer, shim, stub } = await open(t, echo);
      const came = await start(stub, kind, { messages: sent }).came;
      assert.deepEqual([came.code, came.messages], [status.OK, answer(kind, sent)]);
      assert.deepEqual(
        peer.attempts.map(({ messages }) => messages),
        [sentBy(kind, sent)],
      );
      const [entry] = await shim.logged(1);
      assert.equal(entry?.grpc_status, status.OK);
      assert.equal(entry.response_flags, "-");
      assert.equal(entry.upstream_cluster, "echo");
    });

    test("two attempts fail, the third gets every message in order", async (t) => {
      const { peer, shim, stub } = await open(t, async (attempt) => {
        if (attempt.nth === 3) return echo(attempt);
        await attempt.received(sentBy(kind, sent).length);
        return attempt.status(status.UNAVAILABLE);
      });
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
      assert.deepEqual(
        peer.attempts.map(({ headers }) => headers["x-envoy-attempt-count"]),
        ["1", "2", "3"],
      );
      assert.deepEqual(came.head?.get("grpc-previous-rpc-attempts"), ["2"]);
      assert.equal(shim.entries[0]?.attempts, 3);
    });

    test("when no attempt is left, the last status is the call's", async (t) => {
      const { peer, shim, stub } = await open(t, (attempt) =>
        attempt.status(status.UNAVAILABLE, { "grpc-message": `no ${attempt.nth}`, "x-more": "yes" }),
      );
      const came = await start(stub, kind, { messages: sent }).came;
      assert.deepEqual([came.code, came.details, came.messages], [status.UNAVAILABLE, "no 3", []]);
      assert.deepEqual(came.trailers?.get("x-more"), ["yes"]);
      assert.equal(peer.attempts.length, 3);
      const [entry] = await shim.logged(1);
      assert.deepEqual([entry?.response_flags, entry?.grpc_status], ["URX", status.UNAVAILABLE]);
    });

    test("a head commits: what fails after it is the caller's, and not repeated", async (t) => {
      const { peer, stub } = await open(t, (attempt) => {
        attempt.head();
        attempt.status(status.UNAVAILABLE);
      });
      const came = await start(stub, kind, { messages: sent }).came;
      assert.equal(came.code, status.UNAVAILABLE);
      assert.equal(peer.attempts.length, 1);
    });
  });
}
