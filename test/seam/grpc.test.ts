// RPCs that cross a seam: what a sidecar is told, that callers see what they would have seen without one, and what runs in the process instead.
import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { suite, test, type TestContext } from "node:test";
import { readFileSync } from "node:fs";
import { credentials, Metadata, type sendUnaryData, Server, ServerCredentials, type ServerUnaryCall, status } from "@grpc/grpc-js";
import {
  breaker,
  type ClientOptions,
  createClient,
  definePolicy,
  type LayerDefinition,
  PolicyError,
  retry,
  sidecar,
  timeout,
} from "../../src/index.ts";
import { encodeUnseen } from "../../src/seam/outcome-field.ts";
import { decodeCall } from "../../src/seam/call-field.ts";
import { openShim } from "../harness/shim.ts";
import { closedPort } from "../harness/upstream.ts";
import { channelOptions } from "../../src/grpc.ts";
import { createUpstreams } from "../../src/wire/upstreams.ts";
import { definition, type EchoClient, EchoConstructor, KINDS, type Opened, policedEcho, start } from "../transports/grpc/calls.ts";
import { openPeer, type Peer, type PeerAttempt } from "../transports/grpc/peer.ts";
import { openSidecar } from "../harness/scripted-sidecar.ts";
import { until } from "../transports/fetch/upstream.ts";

const fine = (attempt: PeerAttempt): void => {
  attempt.head({ "x-head": "1" });
  attempt.send("fine");
  attempt.status(status.OK, { "x-trailer": "2" });
};

interface Scene extends Opened {
  readonly peer: Peer;
}

/** A peer, a shim before it that runs the same policy, and a client that crosses to it. */
async function crossing(
  t: TestContext,
  layers: readonly LayerDefinition[],
  serve = fine,
  options: Partial<ClientOptions> = {},
): Promise<Scene> {
  const peer = await openPeer(t, serve);
  const policies = [definePolicy({ name: "echo", match: [{ service: "test.Echo" }], layers })];
  const shim = await openShim(t, { policies });
  return { peer, ...opened(t, peer.address, layers, { sidecar: shim.url, ...options }) };
}

function opened(t: TestContext, address: string, layers: readonly LayerDefinition[], client: Partial<ClientOptions>): Opened {
  const made = policedEcho(t, address, layers, { client });
  t.after(() => made.client.close());
  return made;
}

const throughShim = ({ headers }: PeerAttempt): boolean => headers["x-envoy-attempt-count"] !== undefined;

test("RPCs of every kind cross, and their callers see what the peer has sent and nothing of the seam", async (t) => {
  const { echo, peer } = await crossing(t, [timeout("5s"), sidecar(), breaker()]);
  for (const kind of KINDS) {
    const { code, messages, head, trailers } = await start(echo, kind, { messages: ["a"] }).came;
    assert.equal(code, status.OK, kind);
    assert.deepEqual(messages, ["fine"]);
    assert.deepEqual(head?.get("x-head"), ["1"]);
    assert.deepEqual(trailers?.get("x-trailer"), ["2"]);
    const ours = [...Object.keys(head?.getMap() ?? {}), ...Object.keys(trailers?.getMap() ?? {})].filter((name) =>
      name.startsWith("premesh-"),
    );
    assert.deepEqual(ours, []);
  }
  assert.ok(peer.attempts.every(throughShim));
  assert.ok(peer.attempts.every(({ headers }) => Object.keys(headers).every((name) => !name.startsWith("premesh-"))));
});

test("what a layer there refuses is the status that it would have been here, with its cause", async (t) => {
  const layers = [sidecar(), breaker({ trip: { consecutive: 1 }, openFor: "1h" })];
  const { echo, client } = await crossing(t, layers, (attempt) => attempt.status(status.UNAVAILABLE));
  await start(echo, "Unary").came;
  const { code, details, error, trailers } = await start(echo, "Unary").came;
  assert.equal(code, status.UNAVAILABLE);
  assert.match(details, /^policy echo: the breaker is open for 127\.0\.0\.1:\d+; try again in \d+ ms$/);
  assert.deepEqual(trailers?.get("premesh-by"), ["breaker"]);
  const { cause } = error as { cause?: unknown }; // the cast: premesh gives it one
  assert.ok(cause instanceof PolicyError && cause.code === "ERR_PREMESH_BREAKER_OPEN");
  assert.match(client.explain(error)?.text ?? "", /gave it to the sidecar/);
});

test("a retry before the seam goes on where the sidecar has stopped", async (t) => {
  const layers = [
    retry({ methods: ["*"], attempts: 2, backoff: { base: "0ms" } }),
    sidecar(),
    retry({ methods: ["*"], attempts: 2, backoff: { base: "0ms" } }),
  ];
  const { echo, peer } = await crossing(t, layers, (attempt) => (attempt.nth < 4 ? attempt.status(status.UNAVAILABLE) : fine(attempt)));
  const { code, head } = await start(echo, "Unary").came;
  assert.equal(code, status.OK);
  assert.deepEqual(
    peer.attempts.map(({ headers }) => headers["grpc-previous-rpc-attempts"]),
    [undefined, "1", "2", "3"],
  );
  assert.deepEqual(head?.get("grpc-previous-rpc-attempts"), ["3"]);
});

test("without a sidecar RPCs run here, and cross when it is there", async (t) => {
  const peer = await openPeer(t, fine);
  const layers = [sidecar(), timeout("5s")];
  const address = (await closedPort()).slice(0, -1);
  const { echo, client } = opened(t, peer.address, layers, { sidecar: address });
  assert.equal((await start(echo, "Unary").came).code, status.OK);
  assert.deepEqual(peer.attempts.map(throughShim), [false]);
  const shim = await openSidecar(t, () => undefined, { at: Number(new URL(address).port) });
  await until(() => JSON.stringify(client.status()).includes('"phase":"up"'), "it is found");
  await shim.stop();
  // its port answers no more: the next call finds that out, and runs here as well
  assert.equal((await start(echo, "Unary").came).code, status.OK);
  assert.deepEqual(peer.attempts.map(throughShim), [false, false]);
});

test("an RPC that the sidecar does not take runs here; one that it breaks off is sent again by the rules of the policy", async (t) => {
  const peer = await openPeer(t, fine);
  const unseen = encodeUnseen("unknown-revision");
  const away = await openPeer(t, (attempt) => {
    if (attempt.headers["content-type"] === undefined) return;
    assert.equal(decodeCall(String(attempt.headers["premesh-call"]))?.origin, `http://${peer.address}`);
    if (attempt.path.endsWith("Unary")) attempt.status(status.UNAVAILABLE, { "premesh-outcome": unseen });
    else attempt.reset(2);
  });
  const probed = await probedBefore(t, away.address);
  const layers = [retry({ methods: ["test.Echo/ServerStream"], on: ["reset"], backoff: { base: "0ms" } }), sidecar({ address: probed })];
  const { echo } = opened(t, peer.address, layers, {});
  assert.equal((await start(echo, "Unary").came).code, status.OK, "it was not taken");
  const { echo: other } = opened(t, peer.address, layers, {});
  assert.equal((await start(other, "ServerStream").came).code, status.OK, "it may be repeated");
  const { echo: third } = opened(t, peer.address, layers, {});
  assert.equal((await start(third, "Bidi").came).code, status.INTERNAL, "it may not");
  assert.equal(peer.attempts.length, 2);
});

/** The address of a peer that speaks HTTP/2 only, behind something that answers probes over HTTP/1.1. */
async function probedBefore(t: TestContext, address: string): Promise<string> {
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", (chunk: Buffer) => {
      if (chunk.toString("latin1").startsWith("OPTIONS"))
        return socket.end("HTTP/1.1 204 No Content\r\npremesh-version: 1\r\nconnection: close\r\n\r\n");
      const [host, port] = address.split(":");
      const on = connect(Number(port), host);
      on.on("error", () => socket.destroy());
      socket.once("close", () => on.destroy());
      on.write(chunk);
      return socket.pipe(on).pipe(socket);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`; // the cast: it listens on TCP
}

test("credentials of a call are not sent over plain text: it runs here", async (t) => {
  const { echo, peer, client } = await crossing(t, [sidecar()]);
  const key = new Metadata();
  key.set("authorization", "secret");
  const own = credentials.createFromMetadataGenerator((_, give) => give(null, key));
  const { error } = await start(echo, "Unary", { options: { credentials: own } }).came;
  assert.equal(peer.attempts.filter(throughShim).length, 0);
  if (error !== undefined) assert.match(client.explain(error)?.text ?? "", /cannot cross/); // grpc-js itself may refuse them over plain text
});

const pem = (name: string): Buffer => readFileSync(new URL(`../harness/tls/${name}`, import.meta.url));

/** A server over TLS that tells who has called it: a sidecar, and with which certificate. `asking`: it takes no caller without one. */
async function openTls(t: TestContext, asking: boolean): Promise<number> {
  const server = new Server();
  server.addService(definition, {
    Unary: (call: ServerUnaryCall<string, string>, done: sendUnaryData<string>) =>
      done(null, call.metadata.get("x-envoy-attempt-count").length > 0 ? "from a sidecar" : "from the process"),
    ServerStream: () => undefined,
    ClientStream: () => undefined,
    Bidi: () => undefined,
  });
  const secure = ServerCredentials.createSsl(pem("ca.pem"), [{ private_key: pem("server.key"), cert_chain: pem("server.pem") }], asking);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", secure, (error, bound) => (error === null ? resolve(bound) : reject(error)));
  });
  t.after(() => server.forceShutdown());
  return port;
}

suite("over TLS", () => {
  const override = { "grpc.ssl_target_name_override": "payments.internal" };
  const mutual = credentials.createSsl(pem("ca.pem"), pem("server.key"), pem("server.pem"));
  const rows = [
    ["with nothing of its own crosses", true, credentials.createSsl(), {}],
    ["with a certificate of its own runs here", false, mutual, override],
    ["with checks of its own runs here", false, credentials.createSsl(null, null, null, { rejectUnauthorized: false }), {}],
    ["with another name in the certificate runs here", false, credentials.createSsl(pem("ca.pem")), override],
  ] as const;
  for (const [what, crosses, secure, options] of rows) {
    test(`a channel ${what}`, async (t) => {
      const warnings: string[] = [];
      const warned = ({ message, name }: Error): void => void (name === "PremeshWarning" && warnings.push(message));
      process.on("warning", warned);
      t.after(() => process.removeListener("warning", warned));
      const port = await openTls(t, secure === mutual);
      const policies = [definePolicy({ name: "echo", match: [{ service: "test.Echo" }], layers: [sidecar(), timeout("10s")] })];
      const upstreams = createUpstreams({ tls: { rejectUnauthorized: false } });
      const shim = await openShim(t, { policies }, { upstreams });
      const client = createClient({ policies, sidecar: shim.url });
      const echo = new EchoConstructor(`127.0.0.1:${port}`, secure, { ...options, ...channelOptions(client) }) as unknown as EchoClient; // the cast: by the definition
      t.after(async () => {
        echo.close();
        await client.close();
      });
      for (let nth = 0; nth < 2; nth++) {
        const { messages, details, trailers } = await start(echo, "Unary").came;
        assert.deepEqual(messages, [crosses ? "from a sidecar" : "from the process"], details);
        assert.match(client.explain(trailers)?.text ?? "", crosses ? /gave it to the sidecar/ : /cannot cross/);
      }
      assert.equal(warnings.length, crosses ? 0 : 1);
      if (!crosses) assert.match(warnings[0] ?? "", /^calls to 127\.0\.0\.1:\d+ do not cross to the sidecar, since /);
    });
  }
});
