// Leaving: a client that goes away ends its call at once, wherever that is, and nothing of it is left.
import assert from "node:assert/strict";
import { request } from "node:http";
import { suite, test, type TestContext } from "node:test";
import { Metadata, status } from "@grpc/grpc-js";
import {
  bulkhead,
  type ClientOptions,
  definePolicy,
  fault,
  type LayerDefinition,
  rateLimit,
  retry,
  route,
  timeout,
} from "../../../src/index.ts";
import { virtualClock } from "../../../src/testing/index.ts";
import { ask, type Question } from "../../harness/ask.ts";
import { openShim, type Shim } from "../../harness/shim.ts";
import { turns } from "../../harness/time.ts";
import { closedPort, openUpstream, type Upstream } from "../../harness/upstream.ts";
import { echoClient, start } from "../grpc/calls.ts";
import { openPeer } from "../grpc/peer.ts";

const shimOf = (t: TestContext, layers: readonly LayerDefinition[], more: Partial<ClientOptions> = {}): Promise<Shim> =>
  openShim(t, { policies: [definePolicy({ name: "p", match: [{ host: "*" }], layers })], ...more });

const stateOf = ({ client }: Shim, kind: string, key: string): number =>
  Object.values(client.status().policies["p"]?.targets ?? {})
    .flat()
    .reduce((sum, one) => sum + (one.kind === kind ? Number(one.state[key]) : 0), 0);

/** Until it holds; the test's own time bounds it. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await turns(1);
}

function asked(shim: Shim, question: Question): AbortController {
  const caller = new AbortController();
  void ask(shim.address, { ...question, signal: caller.signal }).catch(() => undefined);
  return caller;
}

/** Its client leaves; then all is as before it. */
async function left(shim: Shim, caller: AbortController, nth: number): Promise<void> {
  caller.abort(new Error("left"));
  const entry = (await shim.logged(nth))[nth - 1];
  assert.deepEqual([entry?.response_flags, entry?.response_code_details], ["DC", "downstream_remote_disconnect"]);
  assert.deepEqual(
    [
      stateOf(shim, "bulkhead", "active"),
      stateOf(shim, "bulkhead", "waiting"),
      stateOf(shim, "retry", "active"),
      stateOf(shim, "retry", "retries"),
    ],
    [0, 0, 0, 0],
  );
}

suite("a client of HTTP leaves", () => {
  const layers = [bulkhead({ limit: 1, queue: { size: 1, timeout: "1h" } }), retry({ backoff: { base: "1h" } }), timeout("1h")];

  test("while its request hangs at the upstream", async (t) => {
    const upstream = await openUpstream(t, ["hang"]);
    const shim = await shimOf(t, layers);
    const caller = asked(shim, { host: upstream.host });
    const { over } = await upstream.arrived(1);
    await left(shim, caller, 1);
    assert.equal(shim.entries[0]?.response_code, 0);
    assert.equal(await over, false);
  });

  test("while it waits in a queue, its body unread", async (t) => {
    const upstream = await openUpstream(t, ["hang"]);
    const shim = await shimOf(t, layers);
    const first = asked(shim, { host: upstream.host });
    await upstream.arrived(1);
    const second = asked(shim, { method: "PUT", host: upstream.host, body: ["hello"] });
    await until(() => stateOf(shim, "bulkhead", "waiting") === 1);
    second.abort(new Error("left"));
    await shim.logged(1);
    assert.deepEqual([stateOf(shim, "bulkhead", "waiting"), upstream.requests.length], [0, 1]);
    await left(shim, first, 2);
  });

  test("while it waits for its turn under a rate limit", async (t) => {
    const upstream = await openUpstream(t, [{}]);
    const shim = await shimOf(t, [rateLimit({ rate: 1, per: "1h", burst: 1, queue: { size: 5, timeout: "2h" } })]);
    await ask(shim.address, { host: upstream.host });
    const caller = asked(shim, { host: upstream.host });
    await until(() => stateOf(shim, "rateLimit", "waiting") === 1);
    await left(shim, caller, 2);
    assert.deepEqual([stateOf(shim, "rateLimit", "waiting"), upstream.requests.length], [0, 1]);
  });

  test("during a backoff", async (t) => {
    const upstream = await openUpstream(t, [{ status: 503 }]);
    const shim = await shimOf(t, layers);
    const caller = asked(shim, { host: upstream.host });
    await until(() => stateOf(shim, "retry", "retries") === 1);
    await left(shim, caller, 1);
    assert.equal(upstream.requests.length, 1);
  });

  test("during a delay that is injected", async (t) => {
    const shim = await shimOf(t, [bulkhead({ limit: 1 }), fault({ delay: { for: "1h", percent: 100 } })]);
    const caller = asked(shim, { host: new URL(await closedPort()).host });
    await until(() => stateOf(shim, "bulkhead", "active") === 1);
    await left(shim, caller, 1);
  });

  test("while its response comes", async (t) => {
    const upstream = await openUpstream(t, [{ body: "part", after: "hang" }]);
    const shim = await shimOf(t, layers);
    const caller = asked(shim, { host: upstream.host });
    const { over } = await upstream.arrived(1);
    await until(() => stateOf(shim, "retry", "active") === 0);
    await turns(5);
    assert.equal(stateOf(shim, "bulkhead", "active"), 1, "the permit is held until the response ends");
    await left(shim, caller, 1);
    assert.equal(await over, false);
    assert.equal(shim.entries[0]?.response_code, 200);
  });

  test("while it sends its request", async (t) => {
    const upstream = await openUpstream(t, [{}]);
    const shim = await shimOf(t, layers);
    const caller = new AbortController();
    const asking = request({
      host: "127.0.0.1",
      port: shim.address.split(":")[1],
      method: "PUT",
      headers: { host: upstream.host },
      agent: false,
    });
    asking.on("error", () => undefined);
    caller.signal.addEventListener("abort", () => asking.destroy());
    asking.write("part");
    await until(() => stateOf(shim, "bulkhead", "active") === 1);
    await left(shim, caller, 1);
  });

  test("and its connection breaks, and others go on", async (t) => {
    const upstream: Upstream = await openUpstream(t, ["hang", {}]);
    const shim = await shimOf(t, [retry()]);
    const caller = asked(shim, { host: upstream.host });
    await upstream.arrived(1);
    const other = ask(shim.address, { host: upstream.host });
    await left(shim, caller, 1);
    assert.equal((await other).status, 200);
  });
});

suite("a client of gRPC", () => {
  test("cancels: the upstream hears of it, and its permit comes back", async (t) => {
    const peer = await openPeer(t, () => undefined);
    const shim = await shimOf(t, [bulkhead({ limit: 1 }), retry(), route({ to: [{ endpoints: [`http://${peer.address}`] }] })]);
    const stub = echoClient(t, shim.address);
    const { call, came } = start(stub, "Bidi", { messages: ["a"] });
    await peer.arrived(1);
    call.cancel();
    assert.equal((await came).code, status.CANCELLED);
    await shim.logged(1);
    assert.equal(stateOf(shim, "bulkhead", "active"), 0);
    await peer.attempts[0]?.closed();
  });

  test("has a deadline: it goes on as what is left of it, and ends the call here too", async (t) => {
    const clock = virtualClock();
    const peer = await openPeer(t, () => undefined);
    const shim = await shimOf(t, [bulkhead({ limit: 1 }), route({ to: [{ endpoints: [`http://${peer.address}`] }] })], { clock });
    const stub = echoClient(t, shim.address);
    // by the field alone: grpc-js keeps no time of its own then
    const metadata = new Metadata();
    metadata.set("grpc-timeout", "3S");
    const { came } = start(stub, "Unary", { messages: ["a"], metadata });
    const attempt = await peer.arrived(1);
    assert.equal(attempt.headers["grpc-timeout"], "3000m");
    await clock.advance(3_000);
    const { code, error } = await came;
    assert.equal(code, status.DEADLINE_EXCEEDED);
    assert.match(String(error?.metadata.get("proxy-status")), /http_response_timeout/);
    assert.deepEqual([shim.entries[0]?.response_flags, shim.entries[0]?.grpc_status], ["UT", status.DEADLINE_EXCEEDED]);
    assert.equal(stateOf(shim, "bulkhead", "active"), 0);
  });

  test("hears of the policy's timeout where its server gives up by that a moment before", async (t) => {
    const clock = virtualClock();
    const { promise, resolve } = Promise.withResolvers<void>();
    const peer = await openPeer(t, async (attempt) => {
      await promise;
      attempt.status(status.DEADLINE_EXCEEDED);
    });
    const shim = await shimOf(t, [timeout("2s"), route({ to: [{ endpoints: [`http://${peer.address}`] }] })], { clock });
    const { came } = start(echoClient(t, shim.address), "Unary", { messages: ["a"] });
    await peer.arrived(1);
    assert.equal(peer.attempts[0]?.headers["grpc-timeout"], "2000m");
    await clock.advance(1_990);
    resolve();
    await peer.attempts[0].closed();
    await turns(10);
    await clock.advance(10);
    const { code, details } = await came;
    assert.equal(code, status.DEADLINE_EXCEEDED);
    assert.match(details, /no response within 2s/);
    assert.deepEqual(
      shim.client.decisions().map(({ what }) => what),
      ["timed-out"],
    );
  });
});
