// Upstreams over TLS: the two ends agree on the protocol, and the peer is who it was called.
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createSecureServer } from "node:http2";
import { createServer as createHttps } from "node:https";
import type { AddressInfo, Server } from "node:net";
import { suite, test, type TestContext } from "node:test";
import type { TLSSocket } from "node:tls";
import { createUpstreams } from "../../src/wire/upstreams.ts";
import type { Break, RequestHead, Upstreams } from "../../src/wire/wire.ts";

const pem = (name: string): Buffer => readFileSync(new URL(`../harness/tls/${name}`, import.meta.url));
const served = { key: pem("server.key"), cert: pem("server.pem") };

interface Secure {
  readonly origin: URL;
  /** What was agreed on each connection, and what its client asked for by name. */
  readonly connections: { protocol: string | false | null; name: string | false | null }[];
}

async function listening(t: TestContext, server: Server): Promise<Secure> {
  const connections: Secure["connections"] = [];
  server.on("secureConnection", (socket: TLSSocket & { servername?: string | false }) => {
    connections.push({ protocol: socket.alpnProtocol, name: socket.servername ?? null });
    t.after(() => socket.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
  });
  return { origin: new URL(`https://127.0.0.1:${(server.address() as AddressInfo).port}`), connections }; // the cast: a TCP server has such an address
}

const overHttp2 = (t: TestContext, allowHTTP1 = false): Promise<Secure> =>
  listening(
    t,
    createSecureServer({ ...served, allowHTTP1 }, (request, response) => {
      request.resume();
      response.end(`over ${request.httpVersion}`);
    }),
  );

const overHttp1 = (t: TestContext): Promise<Secure> =>
  listening(
    t,
    createHttps(served, (request, response) => {
      request.resume();
      response.end(`over ${request.httpVersion}`);
    }),
  );

function secure(t: TestContext, ca: Buffer | undefined = pem("ca.pem")): Upstreams {
  const upstreams = createUpstreams({ tls: { ca } });
  t.after(() => upstreams.close());
  return upstreams;
}

const asked = (more: Partial<RequestHead> = {}): RequestHead => ({
  method: "GET",
  scheme: "https",
  authority: "payments.internal:443",
  path: "/",
  fields: [],
  upgrade: undefined,
  ...more,
});

/** The body of the answer, or why there is none. */
function answer(upstreams: Upstreams, origin: URL, head = asked(), body?: string): Promise<string | Break> {
  const { promise, resolve } = Promise.withResolvers<string | Break>();
  let text = "";
  const stream = upstreams.open({ origin, version: "1.1" }, head, body === undefined, {
    connected: () => undefined,
    inform: () => undefined,
    head: (_head, ended) => {
      if (ended) resolve(text);
    },
    data: (chunk) => (text += Buffer.from(chunk).toString()),
    end: () => resolve(text),
    broken: resolve,
    drained: () => undefined,
  });
  if (body !== undefined) {
    stream.write(Buffer.from(body));
    stream.end();
  }
  return promise;
}

suite("an upstream over TLS", () => {
  test("is spoken to over HTTP/2 where it offers it, over one connection", async (t) => {
    const { origin, connections } = await overHttp2(t);
    const upstreams = secure(t);
    const answers = await Promise.all([1, 2, 3].map(() => answer(upstreams, origin)));
    answers.push(await answer(upstreams, origin, asked({ method: "POST" }), "more"));
    assert.deepEqual(answers, ["over 2.0", "over 2.0", "over 2.0", "over 2.0"]);
    assert.deepEqual(connections, [{ protocol: "h2", name: "payments.internal" }]);
  });

  test("is spoken to over HTTP/1.1 where it offers nothing else", async (t) => {
    const { origin, connections } = await overHttp1(t);
    const upstreams = secure(t);
    assert.equal(await answer(upstreams, origin), "over 1.1");
    assert.equal(await answer(upstreams, origin, asked({ method: "POST" }), "more"), "over 1.1");
    assert.deepEqual(connections, [{ protocol: "http/1.1", name: "payments.internal" }]);
  });

  test("is offered only HTTP/1.1 for an Upgrade", async (t) => {
    const { origin, connections } = await overHttp2(t, true);
    assert.equal(await answer(secure(t), origin, asked({ upgrade: "websocket" })), "over 1.1");
    assert.deepEqual(connections, [{ protocol: "http/1.1", name: "payments.internal" }]);
  });

  test("whose certificate is for another name gets nothing", async (t) => {
    const { origin, connections } = await overHttp2(t);
    const broken = await answer(secure(t), origin, asked({ authority: "orders.internal" }));
    assert.ok(typeof broken !== "string" && broken.why === "connect");
    assert.match(String(broken.cause), /orders\.internal/);
    assert.equal(await answer(secure(t), origin), "over 2.0");
    assert.equal(connections.length, 1, "the other was closed before it stood");
  });

  test("whose authority is not known gets nothing", async (t) => {
    const { origin } = await overHttp2(t);
    const upstreams = createUpstreams();
    t.after(() => upstreams.close());
    const broken = await answer(upstreams, origin);
    assert.ok(typeof broken !== "string" && broken.why === "connect");
  });

  test("that gave HTTP/2 up is agreed with anew", async (t) => {
    const offered = { protocols: ["h2"] };
    const server = createSecureServer(
      { ...served, allowHTTP1: true, ALPNCallback: ({ protocols }) => protocols.find((one) => offered.protocols.includes(one)) },
      (request, response) => {
        response.end(`over ${request.httpVersion}`);
      },
    );
    const sessions = new Set<{ destroy(): void }>();
    server.on("session", (session) => sessions.add(session));
    const { origin } = await listening(t, server);
    const upstreams = secure(t);
    assert.equal(await answer(upstreams, origin), "over 2.0");
    offered.protocols = ["http/1.1"];
    for (const session of sessions) session.destroy();
    // the old connection is found to be gone, then HTTP/2 is found to be gone: both before anything was sent, or as a reset
    const answers = [await answer(upstreams, origin), await answer(upstreams, origin), await answer(upstreams, origin)];
    assert.equal(answers.at(-1), "over 1.1");
  });

  test("gets no request that was given up before the two agreed", async (t) => {
    const { origin } = await overHttp2(t);
    const upstreams = secure(t);
    const never = (): void => assert.fail("nothing is told");
    const receiver = { connected: never, inform: never, head: never, data: never, end: never, broken: never, drained: never };
    const stream = upstreams.open({ origin, version: "1.1" }, asked({ method: "POST" }), false, receiver);
    assert.equal(stream.write(Buffer.from("x")), false);
    stream.reset("cancelled");
    assert.equal(await answer(upstreams, origin), "over 2.0");
  });
});
