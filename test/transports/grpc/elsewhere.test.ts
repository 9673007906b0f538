// Attempts that layers send elsewhere: to the endpoints of a route, and twice at a time by a hedge.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, suite, test, type TestContext } from "node:test";
import { credentials, type sendUnaryData, Server, ServerCredentials, type ServerUnaryCall, status } from "@grpc/grpc-js";
import { channelOptions } from "../../../src/grpc.ts";
import { bulkhead, createClient, definePolicy, hedge, retry, route } from "../../../src/index.ts";
import { virtualClock } from "../../../src/testing/index.ts";
import { definition, type EchoClient, EchoConstructor, KINDS, policedEcho, sentBy, start } from "./calls.ts";
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

/** A certificate for payments.internal and nothing else; `undefined`: there is no openssl to make one. */
function certified(t: TestContext): { readonly key: Buffer; readonly certificate: Buffer } | undefined {
  const folder = mkdtempSync(join(tmpdir(), "premesh-tls-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const [key, certificate] = [join(folder, "key.pem"), join(folder, "certificate.pem")];
  const what = [
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
    "-days",
    "2",
    "-subj",
    "/CN=payments.internal",
  ];
  const names = ["-addext", "subjectAltName=DNS:payments.internal"];
  const { status: code } = spawnSync("openssl", [...what, ...names, "-keyout", key, "-out", certificate], { stdio: "ignore" });
  return code === 0 ? { key: readFileSync(key), certificate: readFileSync(certificate) } : undefined;
}

test("the certificate of an endpoint is that of the caller's name, not of its address", async (t) => {
  const made = certified(t);
  if (made === undefined) return t.skip("there is no openssl");
  const server = new Server();
  server.addService(definition, {
    Unary: (call: ServerUnaryCall<string, string>, done: sendUnaryData<string>) => done(null, call.getHost()),
    ServerStream: () => undefined,
    ClientStream: () => undefined,
    Bidi: () => undefined,
  });
  const secure = ServerCredentials.createSsl(null, [{ private_key: made.key, cert_chain: made.certificate }]);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", secure, (error, bound) => (error === null ? resolve(bound) : reject(error)));
  });
  t.after(() => server.forceShutdown());
  const layers = [route({ to: [{ endpoints: [`https://127.0.0.1:${port}`] }] })];
  const client = createClient({ policies: [definePolicy({ name: "echo", match: [{ service: "*" }], layers })] });
  const outcomes: unknown[] = [];
  for (const name of ["payments.internal:443", "other.internal:443"]) {
    const stub = new EchoConstructor(name, credentials.createSsl(made.certificate), channelOptions(client)) as unknown as EchoClient; // the cast: by the definition
    t.after(() => stub.close());
    const { code, messages } = await start(stub, "Unary").came;
    outcomes.push([code, messages]);
  }
  assert.deepEqual(outcomes, [
    [status.OK, ["payments.internal:443"]],
    [status.UNAVAILABLE, []],
  ]);
  await client.close();
  return undefined;
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
