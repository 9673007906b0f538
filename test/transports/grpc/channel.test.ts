// The channel: what it takes and refuses when it is made, which calls it lets through untouched, and what closing it does.
import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { describe, suite, test } from "node:test";
import { type ClientOptions, connectivityState, credentials, InterceptingCall, type Interceptor, Metadata, status } from "@grpc/grpc-js";
import { bulkhead, createClient, definePolicy, type Match, PolicyError, retry, timeout } from "../../../src/index.ts";
import { channelFactory, channelOptions, type ChannelSettings } from "../../../src/grpc.ts";
import { requireGrpcJs } from "../../../src/transports/grpc/grpc-js.ts";
import { virtualClock } from "../../../src/testing/index.ts";
import { definition, echoClient, policedEcho, start } from "./calls.ts";
import { openPeer, type PeerAttempt } from "./peer.ts";

const fine = (attempt: PeerAttempt): void => {
  attempt.send("fine");
  attempt.status(status.OK);
};

const again = retry({ methods: ["*"], backoff: { base: "0ms" } });

/** What is thrown, as an ERR_PREMESH_INVALID_OPTIONS. */
function refused(make: () => unknown): string {
  try {
    make();
  } catch (error) {
    assert.ok(error instanceof PolicyError, String(error));
    assert.equal(error.code, "ERR_PREMESH_INVALID_OPTIONS");
    return error.message;
  }
  return assert.fail("nothing was thrown");
}

describe("what is refused when a channel is made", () => {
  const client = createClient({ policies: [] });
  const make = (options: ClientOptions): unknown => channelFactory(client)("127.0.0.1:1", credentials.createInsecure(), options);
  const config = (methodConfig: unknown): ClientOptions => ({
    "grpc.service_config": JSON.stringify({ loadBalancingConfig: [], methodConfig }),
  });
  const retryPolicy = {
    maxAttempts: 2,
    initialBackoff: "1s",
    maxBackoff: "1s",
    backoffMultiplier: 1,
    retryableStatusCodes: ["UNAVAILABLE"],
  };

  test("a service config with retries", () => {
    const message = refused(() => make(config([{ name: [{ service: "a" }] }, { name: [{ service: "b" }], retryPolicy }])));
    assert.match(message, /grpc\.service_config has a retryPolicy \(methodConfig\[1\]\); two tiers .* say it in the policy: retry\(\)$/);
  });

  test("a service config with hedging", () => {
    assert.match(
      refused(() => make(config([{ name: [{}], hedgingPolicy: { maxAttempts: 2 } }]))),
      /has a hedgingPolicy \(methodConfig\[0\]\)/,
    );
  });

  test("no other service config, nor one that is none: that is grpc-js's affair", () => {
    for (const options of [
      config([{ name: [{}], timeout: "1.000000000s" }]),
      config(undefined),
      config("x"),
      config([null, 1]),
      { "grpc.service_config": "{" },
      { "grpc.service_config": "null" },
    ]) {
      try {
        (make(options) as { close(): void }).close();
      } catch (error) {
        assert.ok(!(error instanceof PolicyError), String(error));
      }
    }
  });

  test("what is no client", () => {
    for (const wrong of [undefined, null, {}, "client", { ...client }])
      assert.match(
        refused(() => channelOptions(wrong as typeof client)),
        /^channelOptions: needs the client that createClient gave/,
      );
    assert.match(
      refused(() => channelFactory({} as typeof client)),
      /^channelFactory: /,
    );
  });

  test("settings that are none", () => {
    const rows: readonly (readonly [settings: unknown, message: RegExp])[] = [
      [null, /settings must be an object/],
      ["payments", /settings must be an object/],
      [{ policy: 1 }, /policy must be the name of a policy/],
      [{ services: {} }, /services must be a list of service definitions/],
      [{ services: ["payments.v1.Payments"] }, /services must be a list of service definitions/],
    ];
    for (const [settings, message] of rows)
      assert.match(
        refused(() => channelOptions(client, settings as ChannelSettings)),
        message,
      );
  });

  test("the name of a policy that is not there", () => {
    assert.throws(() => channelFactory(client, { policy: "nope" })("127.0.0.1:1", credentials.createInsecure()), {
      code: "ERR_PREMESH_UNKNOWN_POLICY",
    });
  });

  test("a grpc-js that is too old, or credentials of another copy of it", () => {
    const good = credentials.createInsecure();
    for (const version of ["1.14.7", "1.14.8", "1.14.10", "1.15.0", "2.0.0", "1.15.0-pre1"]) requireGrpcJs(good, version);
    for (const version of ["1.14.6", "1.13.99", "0.99.99", "1.9.0"])
      assert.match(
        refused(() => requireGrpcJs(good, version)),
        new RegExp(`needs @grpc/grpc-js 1\\.14\\.7 or later, and found ${version}`),
      );
    assert.match(
      refused(() => requireGrpcJs({ _isSecure: () => false })),
      /two copies are installed/,
    );
  });

  test("an address that grpc-js does not take is grpc-js's to refuse", () => {
    assert.throws(() => channelFactory(client)("", credentials.createInsecure()), /Could not parse target name/);
  });
});

describe("which policy a call goes by", () => {
  const rows: readonly (readonly [name: string, match: Match, options: { host?: string }, fits: boolean])[] = [
    ["its service", { service: "test.Echo" }, {}, true],
    ["its method", { service: "test.Echo", method: "Unary" }, {}, true],
    ["not another method", { service: "test.Echo", method: "Bidi" }, {}, false],
    ["its host", { host: "127.0.0.1" }, {}, true],
    ["not another host", { host: "payments.internal" }, {}, false],
    ["the host that the call names", { host: "payments.internal" }, { host: "payments.internal" }, true],
    ["the host that the call names, with grpc's default port", { host: "payments.internal:443" }, { host: "Payments.Internal" }, true],
  ];
  for (const [name, match, options, fits] of rows) {
    test(name, async (t) => {
      const peer = await openPeer(t, fine);
      const client = createClient({ policies: [definePolicy({ name: "it", match: [match], layers: [] })] });
      const came = await start(echoClient(t, peer.address, channelOptions(client)), "Unary", { options }).came;
      assert.equal(came.code, status.OK);
      assert.equal(client.explain(came.trailers)?.policy, fits ? "it" : undefined);
    });
  }

  test("the authority that stands in the channel's options", async (t) => {
    const peer = await openPeer(t, fine);
    const client = createClient({ policies: [definePolicy({ name: "it", match: [{ host: "payments.internal" }], layers: [] })] });
    const echo = echoClient(t, peer.address, { ...channelOptions(client), "grpc.default_authority": "payments.internal:8443" });
    const came = await start(echo, "Unary").came;
    assert.equal(client.explain(came.trailers)?.target, "payments.internal:8443");
    assert.equal(peer.attempts[0]?.headers[":authority"], "payments.internal:8443");
  });

  test("the policy that the channel was made for, whatever the matches say", async (t) => {
    const peer = await openPeer(t, fine);
    const policies = [definePolicy({ name: "named", layers: [] }), definePolicy({ name: "all", match: [{ host: "*" }], layers: [] })];
    const client = createClient({ policies });
    const echo = echoClient(t, peer.address, channelOptions(client, { policy: "named" }));
    assert.equal(client.explain((await start(echo, "Unary").came).trailers)?.policy, "named");
  });

  test("that of the moment: an update counts for the next call", async (t) => {
    const peer = await openPeer(t, (attempt) => attempt.status(status.UNAVAILABLE));
    const { client, echo } = policedEcho(t, peer.address, []);
    assert.equal(client.explain((await start(echo, "Unary").came).error)?.attempts, 1);
    client.update([definePolicy({ name: "echo", match: [{ service: "*" }], layers: [again] })]);
    assert.equal(client.explain((await start(echo, "Unary").came).error)?.attempts, 3);
  });

  test("a policy that an update took away under a channel that names it ends its calls, and says why", async (t) => {
    const peer = await openPeer(t, fine);
    const { client, echo } = policedEcho(t, peer.address, [], { settings: { policy: "echo" } });
    client.update([]);
    assert.throws(() => start(echo, "Unary"), { code: "ERR_PREMESH_UNKNOWN_POLICY" });
  });
});

describe("which methods may be sent twice", () => {
  const idempotent = { ...definition, Unary: { ...definition["Unary"], options: { idempotency_level: "IDEMPOTENT" } } };
  const rows: readonly (readonly [name: string, settings: ChannelSettings, metadata: Metadata, attempts: number])[] = [
    ["not one of which nothing is known", {}, new Metadata(), 1],
    ["one whose definition says so", { services: [idempotent] }, new Metadata(), 2],
    ["not one whose definition does not", { services: [definition] }, new Metadata(), 1],
    ["one whose call says so", {}, new Metadata({ idempotentRequest: true }), 2],
  ];
  for (const [name, settings, metadata, attempts] of rows) {
    test(name, async (t) => {
      const peer = await openPeer(t, (attempt) => attempt.status(status.UNAVAILABLE));
      const { client, echo } = policedEcho(t, peer.address, [retry({ attempts: 2, backoff: { base: "0ms" } })], { settings });
      assert.equal(client.explain((await start(echo, "Unary", { metadata }).came).error)?.attempts, attempts);
    });
  }

  test("one that the policy names", async (t) => {
    const peer = await openPeer(t, (attempt) => attempt.status(status.UNAVAILABLE));
    const { client, echo } = policedEcho(t, peer.address, [retry({ methods: ["test.Echo/Bidi"], backoff: { base: "0ms" } })]);
    assert.equal(client.explain((await start(echo, "Bidi").came).error)?.attempts, 3);
    assert.equal(client.explain((await start(echo, "Unary").came).error)?.attempts, 1);
  });
});

suite("closing the channel", () => {
  test("ends calls between attempts with UNAVAILABLE", async (t) => {
    const clock = virtualClock();
    const peer = await openPeer(t, (attempt) => attempt.status(status.UNAVAILABLE));
    const { echo } = policedEcho(t, peer.address, [retry({ methods: ["*"], backoff: { base: "1h" } })], { client: { clock } });
    const { came } = start(echo, "Unary");
    await peer.arrived(1);
    while (clock.pending() === 0) await new Promise((resolve) => setImmediate(resolve));
    echo.close();
    const { code, details } = await came;
    assert.deepEqual([code, details], [status.UNAVAILABLE, "Channel closed before call started"]);
    assert.equal(clock.pending(), 0);
    assert.equal(peer.attempts.length, 1);
  });

  test("ends calls in a queue with UNAVAILABLE, and lets those in flight go on, without another attempt", async (t) => {
    const peer = await openPeer(t, () => undefined);
    const { client, echo } = policedEcho(t, peer.address, [bulkhead({ limit: 1, queue: { size: 1, timeout: "1h" } }), again]);
    const first = start(echo, "Unary");
    const attempt = await peer.arrived(1);
    const second = start(echo, "Unary");
    echo.close();
    assert.equal((await second.came).code, status.UNAVAILABLE);
    attempt.status(status.UNAVAILABLE, { "grpc-message": "mine" });
    const { code, details, error } = await first.came;
    assert.deepEqual([code, details], [status.UNAVAILABLE, "mine"]);
    assert.equal(client.explain(error)?.attempts, 1);
    assert.equal(peer.attempts.length, 1);
  });

  test("ends a call that has no connection yet, once", async (t) => {
    const silent = createServer().listen(0, "127.0.0.1"); // it takes connections, and says nothing on them
    await once(silent, "listening");
    t.after(() => silent.close());
    const { port } = silent.address() as AddressInfo; // the cast: it listens on TCP
    const { client, echo } = policedEcho(t, `127.0.0.1:${port}`, [again]);
    const { came } = start(echo, "Unary");
    const [socket] = (await once(silent, "connection")) as [Socket]; // the cast: as net documents it
    t.after(() => socket.destroy());
    echo.close();
    const { code, details, error } = await came;
    assert.deepEqual([code, details], [status.UNAVAILABLE, "Channel closed before call started"]);
    assert.equal(client.explain(error)?.attempts, 1);
  });

  test("lets no new call begin, as without us", async (t) => {
    const peer = await openPeer(t, fine);
    const { echo } = policedEcho(t, peer.address, [again]);
    echo.close();
    assert.throws(() => start(echo, "Unary"), /Channel has been shut down/);
  });
});

suite("what a channel can do beside calls", () => {
  test("it connects, shows its state, and has its place in channelz", async (t) => {
    const peer = await openPeer(t, fine);
    const { echo } = policedEcho(t, peer.address, [again]);
    const channel = echo.getChannel();
    assert.equal(channel.getConnectivityState(false), connectivityState.IDLE);
    assert.equal(channel.getTarget(), `dns:${peer.address}`);
    await new Promise<void>((resolve, reject) => {
      echo.waitForReady(Date.now() + 5_000, (error) => (error === undefined ? resolve() : reject(error)));
    });
    assert.equal(channel.getConnectivityState(false), connectivityState.READY);
    assert.equal(channel.getChannelzRef().name, `dns:${peer.address}`.replace("dns:", ""));
  });

  test("a call shows its peer and its connection", async (t) => {
    const peer = await openPeer(t, fine);
    const { echo } = policedEcho(t, peer.address, [again]);
    const { call, came } = start(echo, "Unary");
    assert.equal(typeof call.getPeer(), "string");
    await came;
    assert.equal(call.getPeer(), peer.address);
    assert.deepEqual(call.getAuthContext(), {});
  });

  test("waitForReady waits for a connection in each attempt", async (t) => {
    const peer = await openPeer(t, fine);
    const [, port = ""] = peer.address.split(":");
    const { echo } = policedEcho(t, `127.0.0.1:${port}`, [timeout("20s"), again]);
    const metadata = new Metadata({ waitForReady: true });
    assert.equal((await start(echo, "Unary", { metadata }).came).code, status.OK);
  });

  test("interceptors run above it, once for a call, and may end it", async (t) => {
    const peer = await openPeer(t, (attempt) => (attempt.nth < 3 ? attempt.status(status.UNAVAILABLE) : fine(attempt)));
    let started = 0;
    const counting: Interceptor = (options, next) =>
      new InterceptingCall(next(options), {
        start: (metadata, listener, go) => {
          started++;
          metadata.set("x-from", "interceptor");
          go(metadata, listener);
        },
      });
    const { echo } = policedEcho(t, peer.address, [again], { channel: { interceptors: [counting] } });
    assert.equal((await start(echo, "Unary").came).code, status.OK);
    assert.equal(started, 1);
    assert.deepEqual(
      peer.attempts.map(({ headers }) => headers["x-from"]),
      ["interceptor", "interceptor", "interceptor"],
    );
  });

  test("compression is that of the channel and the call", async (t) => {
    const peer = await openPeer(t, async (attempt) => {
      await attempt.ended();
      fine(attempt);
    });
    const { echo } = policedEcho(t, peer.address, [again], { channel: { "grpc.default_compression_algorithm": 2 } });
    assert.equal((await start(echo, "Unary", { messages: ["a".repeat(1_000)] }).came).code, status.OK);
    assert.equal(peer.attempts[0]?.headers["grpc-encoding"], "gzip");
    assert.ok((peer.attempts[0]?.messages[0]?.length ?? 1_000) < 100);
  });

  test("factory and options are the same; a client takes the channel as channelOverride too", async (t) => {
    const peer = await openPeer(t, (attempt) => (attempt.nth === 1 ? attempt.status(status.UNAVAILABLE) : fine(attempt)));
    const client = createClient({ policies: [definePolicy({ name: "echo", match: [{ service: "*" }], layers: [again] })] });
    const channelOverride = channelFactory(client)(peer.address, credentials.createInsecure());
    const echo = echoClient(t, "ignored:1", { channelOverride });
    assert.equal((await start(echo, "Unary").came).code, status.OK);
    assert.equal(peer.attempts.length, 2);
  });
});
