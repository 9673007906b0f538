// Servers and callers that do what none should: the caller gets what grpc-js alone would have given, nothing is left behind, and the process lives.
import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { describe, suite, test, type TestContext } from "node:test";
import { credentials, makeGenericClientConstructor, Metadata, status } from "@grpc/grpc-js";
import { breaker, bulkhead, createClient, definePolicy, retry, timeout } from "../../../src/index.ts";
import { channelOptions } from "../../../src/grpc.ts";
import { type Came, definition, type EchoClient, echoClient, KINDS, policedEcho, type RpcKind, start } from "./calls.ts";
import { framed, openPeer, type PeerAttempt } from "./peer.ts";

const layers = [bulkhead({ limit: 5 }), timeout("20s"), retry({ backoff: { base: "0ms" } }), breaker(), timeout("10s")];

/** What can be compared of two calls. */
const shown = ({ code, details, messages }: Came): unknown => [code, details, messages];

interface Hostile {
  readonly name: string;
  /** Of which kinds it is true; by default of all. */
  readonly kinds?: readonly RpcKind[];
  readonly serve: (attempt: PeerAttempt) => unknown;
}

const HEAD = { ":status": 200, "content-type": "application/grpc" } as const;

const hostile: readonly Hostile[] = [
  {
    name: "a message that announces more bytes than there may be",
    serve: (attempt) => {
      attempt.head();
      attempt.stream.end(Buffer.from([0, 0xff, 0xff, 0xff, 0xff, 1, 2, 3]));
    },
  },
  {
    name: "a message that is cut short",
    serve: (attempt) => {
      attempt.stream.respond(HEAD, { waitForTrailers: true });
      attempt.stream.once("wantTrailers", () => attempt.stream.sendTrailers({ "grpc-status": "0" }));
      attempt.stream.end(framed("whole").subarray(0, 7));
    },
  },
  { name: "a head and no status behind it", serve: ({ stream }) => void (stream.respond(HEAD), stream.end()) },
  { name: "a head alone, which has no status", serve: ({ stream }) => stream.respond(HEAD, { endStream: true }) },
  { name: "a status that is no number", serve: ({ stream }) => stream.respond({ ...HEAD, "grpc-status": "fine" }, { endStream: true }) },
  { name: "a status beyond gRPC's", serve: (attempt) => attempt.status(4_711, { "grpc-message": "%E0%A4%A" }) },
  {
    name: "a web page",
    serve: ({ stream }) => void (stream.respond({ ":status": 404, "content-type": "text/html" }), stream.end("<html>no</html>")),
  },
  {
    name: "another content type",
    serve: ({ stream }) => void (stream.respond({ ":status": 200, "content-type": "text/plain" }), stream.end("hello")),
  },
  {
    name: "two answers, where there is to be one",
    kinds: ["ClientStream"], // of a Unary, grpc-js reads one and waits for ever
    serve: (attempt) => {
      attempt.send("one", "two");
      attempt.status(status.OK);
    },
  },
  { name: "no answer, and OK", serve: (attempt) => attempt.status(status.OK) },
  {
    name: "a compressed message that is none",
    serve: (attempt) => {
      attempt.stream.respond({ ...HEAD, "grpc-encoding": "gzip" }, { waitForTrailers: true });
      attempt.stream.once("wantTrailers", () => attempt.stream.sendTrailers({ "grpc-status": "0" }));
      const message = framed("this is not gzip");
      message[0] = 1;
      attempt.stream.end(message);
    },
  },
  {
    name: "metadata that cannot be decoded",
    serve: (attempt) => attempt.status(status.INTERNAL, { "x-thing-bin": "@@@", "grpc-status-details-bin": "%%%" }),
  },
];

for (const { name, serve, kinds = KINDS } of hostile) {
  suite(`a server that sends ${name}`, () => {
    for (const kind of kinds) {
      test(`${kind}: the same as without premesh`, async (t) => {
        const peer = await openPeer(t, serve);
        const bare = await start(echoClient(t, peer.address), kind).came;
        const { client, echo } = policedEcho(t, peer.address, layers);
        const came = await start(echo, kind).came;
        assert.deepEqual(shown(came), shown(bare));
        assert.notEqual(client.explain(came.error ?? came.trailers), undefined);
        await Promise.all(peer.attempts.map((attempt) => attempt.closed()));
        assert.equal(peer.open(), 0);
        assert.deepEqual(client.status().policies["echo"]?.targets[peer.address]?.[0]?.state["active"], 0);
      });
    }
  });
}

/** An HTTP/2 server of frames by hand; `reply` is sent when the client's request has come. */
async function byHand(t: TestContext, reply: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.write(frame(4, 0, 0)); // SETTINGS
    socket.once("data", () => {
      socket.write(frame(4, 1, 0)); // ACK
      setImmediate(() => reply(socket));
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`; // the cast: it listens on TCP
}

function frame(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** A field without Huffman codes and without the table (RFC 7541, 6.2.2). */
const literal = (name: string, value: string): Buffer =>
  Buffer.concat([Buffer.from([0, name.length]), Buffer.from(name), Buffer.from([value.length]), Buffer.from(value)]);

const OK_HEAD = Buffer.concat([Buffer.from([0x88]), literal("content-type", "application/grpc")]); // 0x88: `:status` 200
const OK_TRAILERS = literal("grpc-status", "0");
const [END_HEADERS, END_STREAM] = [4, 1];

const frames: readonly { readonly name: string; readonly reply: (socket: Socket) => void }[] = [
  { name: "bytes that are no HTTP/2", reply: (socket) => void socket.write("HTTP/1.1 400 Bad Request\r\n\r\n") },
  { name: "frames of a type and length that are not there", reply: (socket) => void socket.write(Buffer.alloc(4_096, 0xaa)) },
  {
    name: "messages after its status",
    reply: (socket) =>
      void socket.write(
        Buffer.concat([
          frame(1, END_HEADERS, 1, OK_HEAD),
          frame(0, 0, 1, framed("one")),
          frame(1, END_HEADERS | END_STREAM, 1, OK_TRAILERS),
          frame(0, 0, 1, framed("late")),
        ]),
      ),
  },
  {
    name: "its status twice",
    reply: (socket) =>
      void socket.write(
        Buffer.concat([
          frame(1, END_HEADERS | END_STREAM, 1, Buffer.concat([OK_HEAD, OK_TRAILERS])),
          frame(1, END_HEADERS | END_STREAM, 1, OK_TRAILERS),
        ]),
      ),
  },
  { name: "a message before its head", reply: (socket) => void socket.write(frame(0, 0, 1, framed("early"))) },
  { name: "a head that no table can read", reply: (socket) => void socket.write(frame(1, END_HEADERS, 1, Buffer.alloc(20, 0xff))) },
  { name: "nothing, and hangs up", reply: (socket) => void socket.destroy() },
];

describe("a server that sends", () => {
  for (const { name, reply } of frames) {
    test(`${name}: the same code as without premesh, and no exception`, async (t) => {
      const address = await byHand(t, reply);
      const bare = await start(echoClient(t, address), "Unary").came;
      const { client, echo } = policedEcho(t, address, layers);
      const came = await start(echo, "Unary").came;
      assert.deepEqual([came.code, came.messages], [bare.code, bare.messages]);
      assert.notEqual(client.explain(came.error ?? came.trailers), undefined);
    });
  }
});

suite("metadata of 1 MB", () => {
  const big = "x".repeat(1_048_576);

  test("from the server", async (t) => {
    const peer = await openPeer(t, (attempt) => attempt.status(status.OK, { "x-big": big }));
    const bare = await start(echoClient(t, peer.address), "Unary").came;
    const { client, echo } = policedEcho(t, peer.address, layers);
    const came = await start(echo, "Unary").came;
    assert.deepEqual([came.code, came.messages], [bare.code, bare.messages]);
    assert.notEqual(client.explain(came.error ?? came.trailers), undefined);
    while (peer.open() > 0) await new Promise((resolve) => setImmediate(resolve));
  });

  test("from the caller", async (t) => {
    const peer = await openPeer(t, (attempt) => attempt.status(status.OK));
    const metadata = new Metadata();
    metadata.set("x-big", big);
    const bare = await start(echoClient(t, peer.address), "Unary", { metadata }).came;
    const { client, echo } = policedEcho(t, peer.address, layers);
    const came = await start(echo, "Unary", { metadata }).came;
    assert.equal(came.code, bare.code);
    assert.notEqual(client.explain(came.error ?? came.trailers), undefined);
    const after = await start(echo, "Unary", { metadata: new Metadata({ waitForReady: true }) }).came;
    assert.equal(after.code, status.OK);
  });
});

describe("a caller that", () => {
  for (const kind of ["ClientStream", "Bidi"] satisfies RpcKind[]) {
    test(`never half-closes gets the status of a server that does not wait for it: ${kind}`, async (t) => {
      const peer = await openPeer(t, async (attempt) => {
        await attempt.received(1);
        attempt.send("enough");
        attempt.status(status.OK);
      });
      const { client, echo } = policedEcho(t, peer.address, layers);
      const { call, came } = start(echo, kind, { end: false });
      const { code, messages } = await came;
      assert.deepEqual([code, messages], [status.OK, ["enough"]]);
      assert.ok("write" in call);
      const { promise, resolve } = Promise.withResolvers<unknown>();
      call.write("late", resolve); // nobody takes it, and nobody waits for that
      await promise;
      call.end();
      await Promise.all(peer.attempts.map((attempt) => attempt.closed()));
      assert.equal(client.status().policies["echo"]?.targets[peer.address]?.[0]?.state["active"], 0);
    });
  }

  test("writes nothing and half-closes gets the server's answer to that", async (t) => {
    const peer = await openPeer(t, async (attempt) => {
      await attempt.ended();
      attempt.send("nothing");
      attempt.status(status.OK);
    });
    const { echo } = policedEcho(t, peer.address, layers);
    const { code, messages } = await start(echo, "ClientStream", { messages: [] }).came;
    assert.deepEqual([code, messages], [status.OK, ["nothing"]]);
  });

  test("destroys its stream leaves nothing open", async (t) => {
    const peer = await openPeer(t, (attempt) => attempt.send("one"));
    const { client, echo } = policedEcho(t, peer.address, layers);
    const stream = echo.ServerStream("a");
    stream.on("error", () => undefined);
    for await (const message of stream) {
      assert.equal(message, "one");
      stream.cancel();
      break;
    }
    await peer.attempts[0]?.closed();
    while (client.status().policies["echo"]?.targets[peer.address]?.[0]?.state["active"] !== 0)
      await new Promise((resolve) => setImmediate(resolve));
  });

  for (const field of ["requestSerialize", "responseDeserialize"] as const) {
    test(`cannot ${field === "requestSerialize" ? "write" : "read"} a message hears the same as without premesh`, async (t) => {
      const peer = await openPeer(t, (attempt) => {
        attempt.send("one");
        attempt.status(status.OK);
      });
      const unable = (): never => {
        throw new Error("no such thing");
      };
      const unary = definition["Unary"];
      assert.ok(unary);
      const Broken = makeGenericClientConstructor({ Unary: { ...unary, [field]: unable } }, "test.Echo");
      const client = createClient({ policies: [definePolicy({ name: "echo", match: [{ service: "*" }], layers })] });
      const outcomes: unknown[] = [];
      for (const options of [{}, channelOptions(client)]) {
        const stub = new Broken(peer.address, credentials.createInsecure(), { "grpc.use_local_subchannel_pool": 1, ...options });
        t.after(() => stub.close());
        const { code, details } = await start(stub as unknown as EchoClient, "Unary").came; // the cast: it has the method that is called
        outcomes.push([code, details]);
      }
      assert.deepEqual(outcomes[1], outcomes[0]);
      await Promise.all(peer.attempts.map((attempt) => attempt.closed()));
    });
  }
});

describe("an address that never resolves", () => {
  test("ends with the caller's deadline where the call waits for it", async (t) => {
    const { client, echo } = policedEcho(t, "dns:///nowhere.invalid:443", layers);
    const metadata = new Metadata({ waitForReady: true });
    const { code, error } = await start(echo, "Unary", { metadata, options: { deadline: Date.now() + 50 } }).came;
    assert.equal(code, status.DEADLINE_EXCEEDED);
    assert.equal(client.explain(error)?.attempts, 1);
  });

  test("ends with UNAVAILABLE where it does not, after all attempts, since none was sent", async (t) => {
    const { client, echo } = policedEcho(t, "dns:///nowhere.invalid:443", layers, {
      channel: { "grpc.service_config_disable_resolution": 0 },
    });
    const { code, details, error } = await start(echo, "Unary").came;
    assert.equal(code, status.UNAVAILABLE);
    assert.match(details, /Name resolution failed/);
    assert.deepEqual(
      client.explain(error)?.decisions.map(({ what }) => what),
      ["retrying", "retrying", "exhausted"],
    );
  });
});
