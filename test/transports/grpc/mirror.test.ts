// Mirrored RPCs, in the process and through a sidecar: a copy of each goes elsewhere, whole, and nothing of it touches the call.
import assert from "node:assert/strict";
import { suite, test, type TestContext } from "node:test";
import { Metadata, status } from "@grpc/grpc-js";
import { type Client, definePolicy, retry, route, type RouteOptions } from "../../../src/index.ts";
import type { Pool } from "../../../src/call/messages.ts";
import { virtualClock } from "../../../src/testing/index.ts";
import { doorOf } from "../../../src/transports/door.ts";
import { poolOf } from "../../../src/transports/pool.ts";
import { routeOf } from "../../harness/endpoints.ts";
import { openShim } from "../../harness/shim.ts";
import { until } from "../fetch/upstream.ts";
import { echoClient, type EchoClient, KINDS, policedEcho, sentBy, start } from "./calls.ts";
import { NGHTTP2_CANCEL, openPeer, type Peer, type PeerAttempt } from "./peer.ts";

type Mirror = NonNullable<RouteOptions["mirror"]>;

interface Scene {
  readonly echo: EchoClient;
  readonly peer: Peer;
  readonly shadow: Peer;
  /** What the mirror has decided: `mirrored`, `mirror-dropped body`, ... */
  readonly whats: readonly string[];
  readonly underWay: () => unknown;
  readonly pool: Pool;
}

interface Setting {
  readonly serve?: (attempt: PeerAttempt) => unknown;
  readonly mirror?: Partial<Mirror>;
  readonly clock?: ReturnType<typeof virtualClock>;
}

const SENT = ["one", "two", "three"];

/** Answers a head at once, and the rest once all has come. */
const fine = async (attempt: PeerAttempt): Promise<void> => {
  attempt.head();
  await attempt.ended();
  attempt.send("fine");
  attempt.status(status.OK);
};

/** A peer and a shadow, and a client whose RPCs go to the one and are mirrored to the other. */
const PLACES = {
  "in the process": async (t: TestContext, shadowing: (attempt: PeerAttempt) => unknown, { serve = fine, mirror, clock }: Setting = {}) => {
    const [peer, shadow] = [await openPeer(t, serve), await openPeer(t, shadowing)];
    const layers = [retry({ methods: ["*"], backoff: { base: "0ms" } }), routing(peer, shadow, mirror)];
    const { client, echo } = policedEcho(t, "payments.internal:443", layers, clock === undefined ? {} : { client: { clock } });
    return { peer, shadow, echo, pool: poolOf(doorOf(client, "test")), ...watching(client, "payments.internal:443") };
  },
  "through a sidecar": async (
    t: TestContext,
    shadowing: (attempt: PeerAttempt) => unknown,
    { serve = fine, mirror, clock }: Setting = {},
  ) => {
    const [peer, shadow] = [await openPeer(t, serve), await openPeer(t, shadowing)];
    const layers = [retry({ methods: ["*"], backoff: { base: "0ms" } }), routing(peer, shadow, mirror)];
    const policies = [definePolicy({ name: "echo", match: [{ service: "test.Echo" }], layers })];
    const { client, address, pool } = await openShim(t, { policies, ...(clock === undefined ? {} : { clock }) });
    return { peer, shadow, echo: echoClient(t, address), pool, ...watching(client, address) };
  },
} as const;

const routing = (peer: Peer, shadow: Peer, mirror: Partial<Mirror> = {}): ReturnType<typeof route> =>
  route({ to: [{ endpoints: [`http://${peer.address}`] }], mirror: { to: `http://${shadow.address}`, ...mirror } });

function watching(client: Client, target: string): Pick<Scene, "whats" | "underWay"> {
  const whats: string[] = [];
  client.on((event) => {
    if (event.type !== "decision" || event.kind !== "route") return;
    const { reason } = (event.detail ?? {}) as { reason?: string }; // the cast: what a mirror tells is text
    whats.push(`${event.what} ${reason ?? ""}`.trim());
  });
  // the cast: the route shows it
  const underWay = (): unknown => (routeOf(client, target)["mirror"] as Readonly<Record<string, unknown>> | undefined)?.["underWay"];
  return { whats, underWay };
}

for (const [place, open] of Object.entries(PLACES)) {
  suite(place, () => {
    for (const kind of KINDS) {
      test(`${kind}: the mirror gets all messages, marked, and its answer is read to the end and dropped`, async (t) => {
        const { echo, peer, shadow, whats, underWay, pool } = await open(t, async (attempt) => {
          attempt.head();
          await attempt.ended();
          attempt.send("a", "b", "c");
          attempt.status(status.OK);
        });
        const metadata = new Metadata();
        metadata.set("x-mine", "1");
        const came = await start(echo, kind, { messages: SENT, metadata }).came;
        const messages = sentBy(kind, SENT);
        assert.deepEqual([came.code, came.messages], [status.OK, ["fine"]]);
        const copy = await shadow.arrived(1);
        await copy.closed();
        assert.deepEqual([copy.messages, copy.halfClosed, copy.resetBy], [messages, true, undefined]);
        assert.deepEqual(
          [copy.headers["premesh-mirror"], copy.headers["x-mine"], copy.headers[":authority"]],
          ["echo", "1", shadow.address],
        );
        assert.equal(peer.attempts[0]?.headers["premesh-mirror"], undefined);
        await until(() => underWay() === 0, "none is left");
        assert.deepEqual(whats, ["mirrored"]);
        assert.equal(pool.bytes, 0, "nothing is kept of it");
      });
    }

    test("only the first attempt is mirrored", async (t) => {
      const { echo, peer, shadow, underWay } = await open(t, fine, {
        serve: (attempt) => (attempt.nth === 1 ? attempt.status(status.UNAVAILABLE) : fine(attempt)),
      });
      assert.equal((await start(echo, "Unary").came).code, status.OK);
      await shadow.arrived(1);
      await until(() => underWay() === 0, "none is left");
      assert.deepEqual([peer.attempts.length, shadow.attempts.length], [2, 1]);
    });

    test("a mirror that fails, and messages over its buffer, touch no call, and are told of", async (t) => {
      const { echo, shadow, whats } = await open(t, (attempt) => attempt.status(status.INTERNAL), { mirror: { buffer: 30 } });
      assert.equal((await start(echo, "ClientStream", { messages: ["a"] }).came).code, status.OK);
      await until(() => whats.length === 2, "it has failed");
      assert.equal((await start(echo, "ClientStream", { messages: ["a", "b".repeat(31)] }).came).code, status.OK);
      assert.deepEqual(whats, ["mirrored", "mirror-failed", "mirror-dropped body"]);
      assert.equal(shadow.attempts.length, 1);
    });

    test("one that hangs is given up after its time, which it was told of", async (t) => {
      const clock = virtualClock();
      const { echo, shadow, underWay } = await open(t, () => undefined, { clock, mirror: { timeout: "2s", limit: 1 } });
      assert.equal((await start(echo, "Unary").came).code, status.OK);
      const copy = await shadow.arrived(1);
      assert.match(String(copy.headers["grpc-timeout"]), /^(?:2000m|2S|2000000u)$/);
      assert.equal((await start(echo, "Unary").came).code, status.OK);
      assert.equal(underWay(), 1);
      await clock.advance(2_000);
      await copy.closed();
      assert.equal(copy.resetBy, NGHTTP2_CANCEL);
      await until(() => underWay() === 0, "none is left");
      assert.equal(shadow.attempts.length, 1);
    });
  });
}
