// Servers that answer with what is no answer, and callers who give what is no message: a ConnectError in good time, nothing leaks, the process lives.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer as createHttp, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createHttp2, type IncomingHttpHeaders, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { after, suite, test, type TestContext } from "node:test";
import { Code } from "@connectrpc/connect";
import { premeshTransport } from "../../../src/connect.ts";
import { bulkhead, type Client, createClient, definePolicy, type Duration, retry, timeout } from "../../../src/index.ts";
import { turns } from "../../harness/time.ts";
import { wires } from "./server.ts";
import { all, failure, type KindsClient, kindsClient, type Text, texts } from "./service.ts";

const unhandled: unknown[] = [];
process.on("unhandledRejection", (reason) => unhandled.push(reason));
after(() => assert.deepEqual(unhandled, []));

interface Opened {
  readonly baseUrl: string;
  /** How many requests or connections have come. */
  readonly came: () => number;
}

async function listening(t: TestContext, server: Server, came: () => number): Promise<Opened> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket.on("error", () => undefined));
    socket.once("close", () => sockets.delete(socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, came }; // the cast: a TCP server has such an address
}

type Hostile = (t: TestContext) => Promise<Opened>;

/** Answers bytes with bytes. */
const bytes =
  (answer: string | Buffer | undefined): Hostile =>
  (t) => {
    let count = 0;
    const server = createServer((socket) => {
      count++;
      if (answer === undefined) return void socket.destroy();
      return void socket.once("data", () => socket.write(answer));
    });
    return listening(t, server, () => count);
  };

const http =
  (answer: (request: IncomingMessage, response: ServerResponse) => void): Hostile =>
  (t) => {
    let count = 0;
    const server = createHttp((request, response) => {
      count++;
      request.resume();
      answer(request, response);
    });
    return listening(t, server, () => count);
  };

const http2 =
  (answer: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void): Hostile =>
  async (t) => {
    let count = 0;
    const server = createHttp2();
    const sessions = new Set<ServerHttp2Session>();
    server.on("session", (session) => void sessions.add(session.on("error", () => undefined)));
    server.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
      count++;
      stream.on("error", () => undefined).resume();
      answer(stream, headers);
    });
    const opened = await listening(t, server, () => count);
    t.after(() => {
      for (const session of sessions) session.destroy();
    });
    return opened;
  };

/** An envelope of Connect and gRPC: flags, length, message. */
function envelope(flags: number, message: string | Buffer, length = Buffer.byteLength(message)): Buffer {
  const head = Buffer.alloc(5);
  head[0] = flags;
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, Buffer.from(message)]);
}

const GRPC = { ":status": 200, "content-type": "application/grpc+proto" };
const STREAM = { "content-type": "application/connect+proto" };
const TEXT = Buffer.from("\n\u0001x"); // a StringValue

const hostiles: Readonly<Record<string, { readonly wire: string; readonly open: Hostile }>> = {
  "hangs up at once (HTTP/1.1)": { wire: "Connect over HTTP/1.1", open: bytes(undefined) },
  "hangs up at once (HTTP/2)": { wire: "gRPC", open: bytes(undefined) },
  "answers garbage (HTTP/1.1)": { wire: "Connect over HTTP/1.1", open: bytes("\u0000\u0001 no HTTP at all\r\n\r\n") },
  "answers garbage (HTTP/2)": { wire: "gRPC", open: bytes(Buffer.alloc(4_096, 0xff)) },
  "answers HTTP/1.1 to HTTP/2": { wire: "gRPC", open: bytes("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n") },
  "answers with a page (HTTP/1.1)": {
    wire: "Connect over HTTP/1.1",
    open: http((_request, response) => response.writeHead(200, { "content-type": "text/html" }).end("<h1>hello</h1>")),
  },
  "answers with a proxy's 503": {
    wire: "Connect over HTTP/1.1",
    open: http((_request, response) => response.writeHead(503, { "content-type": "text/html" }).end("<h1>no upstream</h1>")),
  },
  "breaks its promise of a length": {
    wire: "Connect over HTTP/1.1",
    open: http((_request, response) => {
      response.writeHead(200, { "content-type": "application/proto", "content-length": "100" });
      response.write("x", () => response.destroy());
    }),
  },
  "ends a Connect stream without its last word": {
    wire: "Connect over HTTP/1.1",
    open: http((_request, response) => response.writeHead(200, STREAM).end(envelope(0, TEXT))),
  },
  "cuts an envelope short": {
    wire: "Connect over HTTP/1.1",
    open: http((_request, response) => response.writeHead(200, STREAM).end(envelope(0, "ab", 4_000))),
  },
  "claims an envelope of 4 GB": {
    wire: "Connect over HTTP/1.1",
    open: http((_request, response) => response.writeHead(200, STREAM).end(envelope(0, "ab", 4_294_967_295))),
  },
  "goes on after its last word": {
    wire: "Connect over HTTP/1.1",
    open: http((_request, response) => response.writeHead(200, STREAM).end(Buffer.concat([envelope(2, "{}"), envelope(0, TEXT)]))),
  },
  "sends what is no message": {
    wire: "gRPC",
    open: http2((stream) => {
      stream.respond(GRPC, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      stream.end(envelope(0, "\u000f\u00ff\u00ff"));
    }),
  },
  "sends a message and no status": {
    wire: "gRPC",
    open: http2((stream) => {
      stream.respond(GRPC);
      stream.end(envelope(0, TEXT));
    }),
  },
  "sends a status that is none": {
    wire: "gRPC",
    open: http2((stream) => stream.respond({ ...GRPC, "grpc-status": "999", "grpc-message": "%E0%A4%A" }, { endStream: true })),
  },
  "sends details that are none": {
    wire: "gRPC",
    open: http2((stream) => stream.respond({ ...GRPC, "grpc-status": "14", "grpc-status-details-bin": "CGMSAXg" }, { endStream: true })),
  },
  "sends 1 MB of metadata": {
    wire: "gRPC",
    open: http2((stream) => {
      try {
        stream.respond({ ...GRPC, "grpc-status": "2", "x-large": "x".repeat(1_000_000) }, { endStream: true });
      } catch {
        stream.close();
      }
    }),
  },
  "sends no head for ever": { wire: "gRPC", open: http2(() => undefined) },
  "sends a head and nothing more for ever": { wire: "gRPC", open: http2((stream) => stream.respond(GRPC)) },
};

function under(wire: string, baseUrl: string, patience: Duration = "300ms"): { readonly client: Client; readonly kinds: KindsClient } {
  const client = createClient({
    policies: [
      definePolicy({
        name: "hostile",
        match: [{ service: "*" }],
        layers: [timeout(patience), bulkhead({ limit: 1 }), retry({ attempts: 2, methods: ["*"], backoff: { base: "0ms" } })],
      }),
    ],
  });
  const chosen = wires[wire];
  if (chosen === undefined) throw new Error(`no wire ${wire}`);
  return { client, kinds: kindsClient(premeshTransport(client, chosen.open(baseUrl))) };
}

for (const [what, { wire, open }] of Object.entries(hostiles)) {
  suite(`a server that ${what}`, () => {
    const kinds: Readonly<Record<string, (client: KindsClient) => Promise<unknown>>> = {
      unary: (client) => client.say({ value: "a" }),
      "client stream": (client) => client.collect(texts("a", "b")),
      "server stream": (client) => all(client.count({ value: "a" })),
    };
    for (const [kind, call] of Object.entries(kinds)) {
      test(`is an error to a ${kind} call, and its permit comes back`, async (t) => {
        const { baseUrl, came } = await open(t);
        const { client, kinds: opened } = under(wire, baseUrl);
        const error = await failure(call(opened));
        assert.ok((client.explain(error)?.attempts ?? 0) >= 1);
        assert.ok(came() <= 2, `${came()} came`);
        await turns();
        const [targets] = Object.values(client.status().policies).map((policy) => Object.values(policy.targets).flat());
        assert.deepEqual(targets?.find((layer) => layer.kind === "bulkhead")?.state, { active: 0, limit: 1, waiting: 0 });
      });
    }
  });
}

test("a proxy's 503 is tried again, and so is garbage", async (t) => {
  for (const name of [
    "answers with a proxy's 503",
    "answers garbage (HTTP/1.1)",
    "answers garbage (HTTP/2)",
    "hangs up at once (HTTP/2)",
  ]) {
    const { wire, open } = hostiles[name] ?? assert.fail(name);
    const { baseUrl, came } = await open(t);
    await failure(under(wire, baseUrl, "1m").kinds.say({ value: "a" }));
    assert.equal(came(), 2, name);
  }
});

suite("a caller who gives", () => {
  const never = (): AsyncIterable<Text> => ({ [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => undefined) }) });

  test("a stream that never comes nor ends is ended by the timeout", async (t) => {
    const { baseUrl } = await (hostiles["sends no head for ever"] ?? assert.fail()).open(t);
    const { kinds } = under("gRPC", baseUrl);
    assert.equal((await failure(kinds.collect(never()))).code, Code.DeadlineExceeded);
    assert.equal((await failure(all(kinds.talk(never())))).code, Code.DeadlineExceeded);
  });

  for (const [what, stream] of Object.entries({
    "no stream at all": undefined,
    "a stream whose iterator throws": { [Symbol.asyncIterator]: () => assert.fail("no iterator") },
    "a stream that gives no result": { [Symbol.asyncIterator]: () => ({ next: () => Promise.resolve(undefined) }) },
    "a stream that throws at once": { [Symbol.asyncIterator]: () => ({ next: () => assert.fail("no next") }) },
  })) {
    test(`${what} is told so`, async (t) => {
      const { baseUrl } = await (hostiles["sends no head for ever"] ?? assert.fail()).open(t);
      const { client, kinds } = under("gRPC", baseUrl);
      const error = await failure(kinds.collect(stream as unknown as AsyncIterable<Text>)); // the cast: a mistake of a caller without types
      assert.notEqual(error.code, Code.DeadlineExceeded);
      assert.equal(client.explain(error)?.attempts, 1);
    });
  }
});
