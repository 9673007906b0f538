// RPCs to endpoints: a channel for each, by the name of the caller's channel, and closed when its endpoint has left.
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createSecureServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import type { TLSSocket } from "node:tls";
import { credentials, makeGenericClientConstructor, Metadata, status } from "@grpc/grpc-js";
import { channelOptions } from "../../../src/grpc.ts";
import { breaker, createClient, definePolicy, type LayerDefinition, retry, route, type RouteOptions } from "../../../src/index.ts";
import { endpointsOf, routeOf } from "../../harness/endpoints.ts";
import { until } from "../fetch/upstream.ts";
import { type Came, definition, type EchoClient, KINDS, type Opened, policedEcho, start } from "./calls.ts";
import { openPeer, type Peer, type PeerAttempt } from "./peer.ts";

const NAME = "payments.internal:8443";

const fine = (attempt: PeerAttempt): void => {
  attempt.send("fine");
  attempt.status(status.OK);
};

const originOf = ({ address }: Peer): string => `http://${address}`;

/** A client for a name that no DNS knows. */
function opened(t: TestContext, options: RouteOptions, ...before: readonly LayerDefinition[]): Opened {
  const { client, echo } = policedEcho(t, NAME, [...before, route(options)]);
  t.after(() => client.close());
  return { client, echo };
}

const call = (echo: EchoClient): Promise<Came> => start(echo, "Unary").came;

test("attempts of every kind go to the endpoints, by the name of the channel", async (t) => {
  const peers = [await openPeer(t, fine), await openPeer(t, fine)];
  const { echo } = opened(t, { to: [{ endpoints: peers.map(originOf) }], balance: "round-robin" });
  for (const kind of KINDS) for (let n = 0; n < 2; n++) assert.equal((await start(echo, kind).came).code, status.OK, kind);
  for (const { attempts, sessions } of peers) {
    assert.equal(attempts.length, KINDS.length);
    assert.ok(attempts.every(({ headers }) => headers[":authority"] === NAME));
    assert.equal(sessions.size, 1, "on one connection");
  }
});

test("with host: rewrite they are called by their addresses", async (t) => {
  const peer = await openPeer(t, fine);
  const { echo } = opened(t, { to: [{ endpoints: [originOf(peer)] }], host: "rewrite" });
  assert.equal((await call(echo)).code, status.OK);
  assert.equal(peer.attempts[0]?.headers[":authority"], peer.address);
});

test("a host that the caller gives for one call is its name there", async (t) => {
  const peer = await openPeer(t, fine);
  const { echo } = opened(t, { to: [{ endpoints: [originOf(peer)] }] });
  assert.equal((await start(echo, "Unary", { options: { host: "orders.internal" } }).came).code, status.OK);
  assert.equal(peer.attempts[0]?.headers[":authority"], "orders.internal");
});

test("a retry goes to another endpoint, and a breaker behind is one for each", async (t) => {
  const [bad, good] = [await openPeer(t, (attempt) => attempt.status(status.UNAVAILABLE)), await openPeer(t, fine)];
  const { client, echo } = policedEcho(t, NAME, [
    retry({ methods: ["*"], backoff: { base: "0ms" } }),
    route({ to: [{ endpoints: [originOf(bad), originOf(good)] }], balance: "round-robin" }),
    breaker({ trip: { consecutive: 2 } }),
  ]);
  t.after(() => client.close());
  for (let n = 0; n < 8; n++) assert.equal((await call(echo)).code, status.OK);
  assert.equal(bad.attempts.length, 2);
  assert.equal(good.attempts.length, 8);
});

test("calls are matched by service, method and metadata", async (t) => {
  const [gold, others] = [await openPeer(t, fine), await openPeer(t, fine)];
  const match = { service: "test.Echo", method: "Unary", headers: [{ name: "x-tier", exact: "gold" }] } as const;
  const { echo } = opened(t, { to: [{ match, endpoints: [originOf(gold)] }, { endpoints: [originOf(others)] }] });
  const metadata = new Metadata();
  metadata.set("x-tier", "gold");
  for (const one of [{ metadata }, {}]) assert.equal((await start(echo, "Unary", one).came).code, status.OK);
  assert.equal((await start(echo, "Bidi", { metadata }).came).code, status.OK);
  assert.deepEqual([gold.attempts.length, others.attempts.length], [1, 2]);
});

test("where there is no endpoint the status is UNAVAILABLE, and UNIMPLEMENTED where no entry fits", async (t) => {
  const { echo } = opened(t, { to: [{ match: { method: "Unary", service: "test.Echo" }, endpoints: [] }] });
  assert.equal((await call(echo)).code, status.UNAVAILABLE);
  assert.equal((await start(echo, "Bidi").came).code, status.UNIMPLEMENTED);
});

test("an endpoint that leaves takes no new calls, ends those under way, and its connection is closed", async (t) => {
  const held: PeerAttempt[] = [];
  const leaving = await openPeer(t, (attempt) => {
    if (attempt.path.endsWith("Bidi")) held.push(attempt);
    else fine(attempt);
  });
  const staying = await openPeer(t, fine);
  let endpoints = [originOf(leaving)];
  const { client, echo } = opened(t, { to: [{ endpoints: () => endpoints, refresh: "1ms" }] });
  const stream = start(echo, "Bidi");
  await until(() => held.length === 1, "the stream is open");
  endpoints = [originOf(staying)];
  await until(() => endpointsOf(client, NAME)[0] === originOf(staying), "the change is known");
  for (let n = 0; n < 3; n++) assert.equal((await call(echo)).code, status.OK);
  assert.deepEqual([leaving.attempts.length, staying.attempts.length, leaving.sessions.size], [1, 3, 1]);
  held[0]?.send("late");
  held[0]?.status(status.OK);
  assert.deepEqual((await stream.came).messages, ["late"]);
  await until(() => leaving.sessions.size === 0, "its connection is closed");
});

test("an update of the route keeps the connections of endpoints that stay, and closes the others", async (t) => {
  const [stays, goes] = [await openPeer(t, fine), await openPeer(t, fine)];
  const options = { to: [{ endpoints: [originOf(stays), originOf(goes)] }], balance: "round-robin" } as const;
  const { client, echo } = opened(t, options);
  for (let n = 0; n < 2; n++) await call(echo);
  const [before] = stays.sessions;
  const to = route({ to: [{ endpoints: [originOf(stays)], weight: 7 }] });
  client.update([definePolicy({ name: "echo", match: [{ service: "test.Echo" }], layers: [to] })]);
  for (let n = 0; n < 3; n++) assert.equal((await call(echo)).code, status.OK);
  await until(() => goes.sessions.size === 0, "the connection to the one that has left is closed");
  assert.deepEqual([[...stays.sessions][0] === before, stays.sessions.size], [true, 1]);
  assert.equal(routeOf(client, NAME)["active"], 0);
});

test("closing the channel, or the client, closes all connections", async (t) => {
  for (const close of ["channel", "client"] as const) {
    const peer = await openPeer(t, fine);
    const { client, echo } = opened(t, { to: [{ endpoints: [originOf(peer)] }] });
    assert.equal((await call(echo)).code, status.OK);
    assert.equal(peer.sessions.size, 1);
    if (close === "channel") echo.close();
    else await client.close();
    await until(() => peer.sessions.size === 0, close);
  }
});

test("over TLS the server name and the certificate are those of the name", async (t) => {
  const pem = (name: string): Buffer => readFileSync(new URL(`../../harness/tls/${name}`, import.meta.url));
  const seen: unknown[] = [];
  const server = createSecureServer({ key: pem("server.key"), cert: pem("server.pem") });
  server.on("stream", (stream, headers) => {
    seen.push([(stream.session?.socket as TLSSocket | undefined)?.servername, headers[":authority"]]); // the cast: the session is over TLS
    stream.respond(
      { ":status": 200, "content-type": "application/grpc", "grpc-status": String(status.FAILED_PRECONDITION) },
      { endStream: true },
    );
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // the cast: it listens on TCP
  const policy = definePolicy({
    name: "p",
    match: [{ service: "*" }],
    layers: [route({ to: [{ endpoints: [`https://127.0.0.1:${port}`] }] })],
  });
  const client = createClient({ policies: [policy] });
  t.after(async () => {
    await client.close();
    server.close();
  });
  const Echo = makeGenericClientConstructor(definition, "test.Echo");
  const answer = async (name: string): Promise<number> => {
    const echo = new Echo(name, credentials.createSsl(pem("ca.pem")), channelOptions(client)) as unknown as EchoClient; // the cast: it has the methods of the definition
    const { code } = await call(echo);
    echo.close();
    return code;
  };
  assert.equal(await answer("payments.internal"), status.FAILED_PRECONDITION);
  assert.deepEqual(seen, [["payments.internal", "payments.internal"]]);
  assert.equal(await answer("orders.internal"), status.UNAVAILABLE, "the certificate is not for that name");
});
