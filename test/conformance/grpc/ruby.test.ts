// A peer in another language: policies around grpc-js against a server of Debian's ruby-grpc, which is built on gRPC's C core.
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { after, before, suite, test, type TestContext } from "node:test";
import {
  type Client as GrpcClient,
  type ClientOptions,
  credentials,
  makeGenericClientConstructor,
  Metadata,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import { channelOptions } from "../../../src/grpc.ts";
import { breaker, type Client, createClient, definePolicy, type LayerDefinition, retry } from "../../../src/index.ts";
import { openResetting } from "./resetting.ts";

const bytes = (text: string): Buffer => Buffer.from(text);
const text = (buffer: Buffer): string => buffer.toString();
const words = { requestSerialize: bytes, requestDeserialize: text, responseSerialize: bytes, responseDeserialize: text };

const Peer = makeGenericClientConstructor(
  {
    unary: { path: "/peer.Peer/Unary", requestStream: false, responseStream: false, ...words },
    clientStream: { path: "/peer.Peer/ClientStream", requestStream: true, responseStream: false, ...words },
    serverStream: { path: "/peer.Peer/ServerStream", requestStream: false, responseStream: true, ...words },
    duplex: { path: "/peer.Peer/Duplex", requestStream: true, responseStream: true, ...words },
  },
  "peer.Peer",
);

/** What the calls of all kinds have in common. */
interface AnyCall {
  on(event: "data", listener: (response: string) => void): AnyCall;
  on(event: "end", listener: () => void): AnyCall;
  on(event: "error", listener: (error: ServiceError) => void): AnyCall;
  write(request: string): boolean;
  end(): void;
}

type Method = (...input: unknown[]) => AnyCall;

type Kind = "unary" | "clientStream" | "serverStream" | "duplex";

/** What peer.rb is asked to do; its head says which words it knows. */
type Asked = Readonly<Record<string, string>>;

let keys = 0;

/** One call of a kind; gives all its responses. */
function call(client: GrpcClient, kind: Kind, asked: Asked): Promise<string[]> {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries({ key: String(keys++), ...asked })) metadata.set(name, value);
  const method = (client as unknown as Record<Kind, Method>)[kind].bind(client); // the cast: the constructor makes methods by the definition
  return new Promise((resolve, reject) => {
    const streams = kind === "clientStream" || kind === "duplex";
    const input = streams ? [metadata] : ["x", metadata];
    if (kind === "unary" || kind === "clientStream") {
      const running = method(...input, (error: ServiceError | null, response: string) =>
        error === null ? resolve([response]) : reject(error),
      );
      if (streams) send(running);
      return;
    }
    const responses: string[] = [];
    const running = method(...input);
    running.on("data", (response) => responses.push(response)).on("end", () => resolve(responses));
    running.on("error", reject);
    if (streams) send(running);
  });
}

function send(running: AnyCall): void {
  for (const message of ["a", "b", "c", "d", "e"]) running.write(message);
  running.end();
}

const attempts = [retry({ attempts: 3, methods: ["*"], backoff: { base: "0ms" } })];

/** What a good n-th attempt answers. */
const good = (nth: number): Readonly<Record<Kind, readonly string[]>> => ({
  unary: [`${nth}:x`],
  clientStream: [`${nth}:a,b,c,d,e`],
  serverStream: [1, 2, 3, 4, 5].map((n) => `${nth}:x${n}`),
  duplex: ["a", "b", "c", "d", "e"].map((message) => `${nth}:${message}`),
});

const kinds: readonly Kind[] = ["unary", "clientStream", "serverStream", "duplex"];

const installed = spawnSync("ruby", ["-e", 'require "grpc"']).status === 0;
const skip = installed ? false : "ruby-grpc is not installed (apt-get install ruby-grpc)";

suite("a server of ruby-grpc", { skip }, () => {
  let server: ChildProcess;
  let address: string;

  before(async () => {
    server = spawn("ruby", [fileURLToPath(new URL("peer.rb", import.meta.url))], { stdio: ["pipe", "pipe", "inherit"] });
    // the casts: the pipes were asked for
    const [port] = (await once(server.stdout as NodeJS.ReadableStream, "data")) as [Buffer];
    address = `127.0.0.1:${port.toString().trim()}`;
  });

  after(async () => {
    const ended = once(server, "exit");
    server.stdin?.end();
    await ended;
  });

  function open(
    t: TestContext,
    layers: readonly LayerDefinition[],
    to: string = address,
  ): { readonly client: Client; readonly peer: GrpcClient } {
    const client = createClient({ policies: [definePolicy({ name: "ruby", match: [{ service: "peer.Peer" }], layers })] });
    const own: ClientOptions = { "grpc.use_local_subchannel_pool": 1 };
    const peer = new Peer(to, credentials.createInsecure(), { ...own, ...channelOptions(client) });
    t.after(() => peer.close());
    return { client, peer };
  }

  for (const kind of kinds) {
    test(`answers a ${kind} call through a policy`, async (t) => {
      const { peer } = open(t, attempts);
      assert.deepEqual(await call(peer, kind, {}), good(1)[kind]);
    });

    test(`that fails twice with UNAVAILABLE answers the third attempt of a ${kind} call, which it sees whole`, async (t) => {
      const { peer } = open(t, attempts);
      assert.deepEqual(await call(peer, kind, { fail: "2", after: "3" }), good(3)[kind]);
    });

    test(`whose connection is reset answers the second attempt of a ${kind} call`, async (t) => {
      const relay = await openResetting(t, address);
      const { peer } = open(t, attempts, relay.address);
      assert.deepEqual(await call(peer, kind, {}), good(1)[kind]); // it has not seen the first
      assert.equal(relay.resets(), 1);
    });

    test(`that fails for good is asked three times, and its own status comes through (${kind})`, async (t) => {
      const { client, peer } = open(t, attempts);
      const error = await call(peer, kind, { fail: "9" }).then(
        () => assert.fail("it went well"),
        (failure: ServiceError) => failure,
      );
      assert.equal(error.code, status.UNAVAILABLE);
      assert.equal(error.details, "induced");
      assert.equal(client.explain(error)?.attempts, 3);
    });

    test(`whose status is none to retry is asked once (${kind})`, async (t) => {
      const { peer } = open(t, attempts);
      await assert.rejects(call(peer, kind, { fail: "1", code: String(status.FAILED_PRECONDITION) }), { code: status.FAILED_PRECONDITION });
    });

    test(`that has sent headers before it fails is not asked again (${kind})`, async (t) => {
      const { peer } = open(t, attempts);
      await assert.rejects(call(peer, kind, { fail: "1", headers: "first" }), { code: status.UNAVAILABLE });
    });
  }

  test("that says in its pushback not to come again is not asked again", async (t) => {
    const { peer } = open(t, attempts);
    await assert.rejects(call(peer, "unary", { fail: "1", pushback: "-1" }), { code: status.UNAVAILABLE });
    await assert.rejects(call(peer, "unary", { fail: "1", pushback: "soon" }), { code: status.UNAVAILABLE });
  });

  test("that says in its pushback when to come again is asked again", async (t) => {
    const { peer } = open(t, attempts);
    assert.deepEqual(await call(peer, "unary", { fail: "1", pushback: "5" }), good(2).unary);
  });

  test("that fails again and again is spared by a breaker", async (t) => {
    const { client, peer } = open(t, [breaker({ trip: { consecutive: 2 }, openFor: "1h" })]);
    for (let nth = 0; nth < 2; nth++) await assert.rejects(call(peer, "unary", { fail: "1" }), { details: "induced" });
    await assert.rejects(call(peer, "unary", {}), (error: ServiceError) => {
      assert.equal(error.code, status.UNAVAILABLE);
      assert.deepEqual(error.metadata.get("premesh-by"), ["breaker"]);
      assert.equal(client.explain(error)?.attempts, 0);
      return true;
    });
  });
});
