// adopt over gRPC: a status is what the engines judge, and their refusals are statuses.
import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";
import { status } from "@grpc/grpc-js";
import Bottleneck from "bottleneck";
import { circuitBreaker, ConsecutiveBreaker, ConstantBackoff, handleAll, handleWhen, retry } from "cockatiel";
import CircuitBreaker from "opossum";
import { adopt, type Adoptable } from "../../../src/index.ts";
import { KINDS, policedEcho, start } from "../../transports/grpc/calls.ts";
import { openPeer, type PeerAttempt } from "../../transports/grpc/peer.ts";

/** Unavailable so many times, and then well. */
const failing =
  (times: number) =>
  (attempt: PeerAttempt): void => {
    if (attempt.nth <= times) return attempt.status(status.UNAVAILABLE);
    attempt.send("fine");
    attempt.status(status.OK);
  };

function opossum(t: TestContext): CircuitBreaker {
  const made = new CircuitBreaker(() => Promise.resolve(), { timeout: false, enableSnapshots: false });
  t.after(() => made.shutdown());
  return made;
}

const engines: Readonly<Record<string, (t: TestContext) => Adoptable>> = {
  cockatiel: () => circuitBreaker(handleAll, { halfOpenAfter: 60_000, breaker: new ConsecutiveBreaker(1) }),
  opossum,
  bottleneck: () => new Bottleneck({ maxConcurrent: 1 }),
};

for (const [engine, make] of Object.entries(engines)) {
  describe(`${engine} lets every kind of RPC through`, () => {
    for (const kind of KINDS) {
      test(kind, async (t) => {
        const peer = await openPeer(t, failing(0));
        const { echo } = policedEcho(t, peer.address, [adopt(make(t))]);
        for (let n = 0; n < 2; n++) assert.equal((await start(echo, kind).came).code, status.OK, "and gives its place back");
      });
    }
  });
}

for (const [engine, make] of Object.entries(engines).slice(0, 2)) {
  test(`a failed RPC trips ${engine}'s breaker, and its refusal is a status`, async (t) => {
    const peer = await openPeer(t, failing(1));
    const { echo, client } = policedEcho(t, peer.address, [adopt(make(t))]);
    assert.equal((await start(echo, "Unary").came).code, status.UNAVAILABLE);
    const refused = await start(echo, "Unary").came;
    assert.equal(refused.code, status.UNAVAILABLE);
    assert.equal(peer.attempts.length, 1);
    assert.deepEqual(
      client.explain(refused.error)?.decisions.map(({ layer, what }) => `${layer} ${what}`),
      ["adopt refused"],
    );
  });
}

test("cockatiel's retry sends an RPC again, by the code of its status", async (t) => {
  const peer = await openPeer(t, failing(2));
  const unavailable = handleWhen((error) => (error as { code?: unknown }).code === status.UNAVAILABLE); // the cast: a status has a code
  const { echo } = policedEcho(t, peer.address, [adopt(retry(unavailable, { maxAttempts: 3, backoff: new ConstantBackoff(0) }))]);
  assert.equal((await start(echo, "Unary").came).code, status.OK);
  assert.equal(peer.attempts.length, 3);
});
