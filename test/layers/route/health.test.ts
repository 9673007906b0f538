// Health checks of endpoints: real servers over HTTP and HTTP/2, asked at the times of a clock that stands still.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createH2Server, type IncomingHttpHeaders, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from "node:net";
import { suite, test, type TestContext } from "node:test";
import * as z from "zod";
import { type Endpoint, newEndpoint } from "../../../src/layers/route/endpoint.ts";
import { type HealthChecks, newHealthChecks } from "../../../src/layers/route/health/checks.ts";
import { type HealthOptions, healthSchema } from "../../../src/layers/route/health/definition.ts";
import { newTimeline } from "../../../src/testing/timeline.ts";
import { until } from "../../transports/fetch/upstream.ts";

async function listening(t: TestContext, server: Server, close: () => void): Promise<URL> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    close();
    server.close();
  });
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`); // the cast: it listens on TCP
}

interface Asked {
  readonly url: URL;
  readonly requests: IncomingMessage[];
  open(): number;
}

async function httpServer(t: TestContext, serve: (nth: number, response: ServerResponse) => void): Promise<Asked> {
  const requests: IncomingMessage[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((request, response) => {
    requests.push(request);
    serve(requests.length, response);
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  const url = await listening(t, server, () => server.closeAllConnections());
  return { url, requests, open: () => sockets.size };
}

interface AskedGrpc {
  readonly url: URL;
  readonly requests: { readonly headers: IncomingHttpHeaders; readonly body: Buffer }[];
  sessions(): number;
}

async function grpcServer(t: TestContext, serve: (nth: number, stream: ServerHttp2Stream) => void): Promise<AskedGrpc> {
  const requests: AskedGrpc["requests"] = [];
  const sessions = new Set<ServerHttp2Session>();
  const server = createH2Server();
  server.on("session", (session) => {
    sessions.add(session);
    session.on("error", () => undefined);
    session.on("close", () => sessions.delete(session));
  });
  server.on("stream", (stream, headers) => {
    const parts: Buffer[] = [];
    stream.on("error", () => undefined);
    stream.on("data", (part: Buffer) => parts.push(part));
    stream.on("end", () => {
      requests.push({ headers, body: Buffer.concat(parts) });
      serve(requests.length, stream);
    });
  });
  const url = await listening(t, server, () => {
    for (const session of sessions) session.destroy();
  });
  return { url, requests, sessions: () => sessions.size };
}

const framed = (...message: number[]): Buffer => Buffer.from([0, 0, 0, 0, message.length, ...message]);

/** An answer as a server of grpc.health.v1 gives it. */
function answered(stream: ServerHttp2Stream, message: Buffer, grpcStatus = "0"): void {
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": grpcStatus }));
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  stream.end(message);
}

interface Checked {
  readonly checks: HealthChecks;
  readonly endpoint: Endpoint;
  /** What happened, in order: `changed true`, `passed`, `healthy`. */
  readonly told: string[];
  readonly details: Readonly<Record<string, unknown>>[];
  /** Lets time pass; timers fall due. */
  readonly pass: (ms: number) => void;
  readonly pending: () => number;
  /** Waits until so many checks have been judged. */
  readonly judged: (count: number) => Promise<void>;
  readonly now: () => number;
}

/** Checks of one endpoint that are begun. */
function checked(t: TestContext, url: URL, options: HealthOptions, authority?: string): Checked {
  const time = newTimeline();
  const told: string[] = [];
  const details: Readonly<Record<string, unknown>>[] = [];
  let judged = 0;
  let timers = 0;
  const setTimer: typeof time.setTimer = (due, ms) => {
    timers++;
    return time.setTimer(due, ms);
  };
  const checks = newHealthChecks(
    options,
    { now: time.now, timers: { setTimer, clearTimer: time.clearTimer }, random: () => 0 },
    {
      changed: (one) => void told.push(`changed ${one.healthy}`),
      passed: () => void told.push("passed"),
      report: (what, detail) => {
        told.push(what);
        details.push(detail);
      },
      authority,
    },
  );
  const endpoint = newEndpoint({ url }, time.now());
  checks.update([endpoint]);
  t.after(() => checks.close());
  const pass = (ms: number): void => {
    const end = time.now() + ms;
    for (let at = time.next(); at !== undefined && at <= end; at = time.next()) time.step();
    time.goTo(end);
  };
  pass(0);
  return {
    checks,
    endpoint,
    told,
    details,
    pass,
    pending: () => time.pending(),
    // one timer for the first check, and for each check one for its patience and, once it is judged, one for the next
    judged: async (count) => {
      judged += count;
      await until(() => timers >= 1 + 2 * judged, `${judged} checks`);
    },
    now: time.now,
  };
}

const http = { path: "/healthz" } as const;

suite("over HTTP", () => {
  test("asks for the path at each interval, one question at a time, over connections of its own", async (t) => {
    const server = await httpServer(t, (_nth, response) => response.end("fine"));
    const { judged, pass, told, endpoint } = checked(t, server.url, { http, intervalJitterPercent: 0 });
    await judged(1);
    assert.deepEqual(told, ["passed"]);
    pass(9_999);
    assert.equal(server.requests.length, 1);
    pass(1);
    await judged(1);
    assert.deepEqual([server.requests.length, endpoint.healthy], [2, true]);
    const [request] = server.requests;
    assert.deepEqual([request?.method, request?.url, request?.headers.host], ["GET", "/healthz", server.url.host]);
    await until(() => server.open() === 0, "no connection is kept");
  });

  test("an answer that says no counts at once; being well again takes two good ones, and slow start begins then", async (t) => {
    const statuses = [200, 503, 200, 200];
    const server = await httpServer(t, (nth, response) => response.writeHead(statuses[nth - 1] ?? 200).end());
    const { judged, pass, told, details, endpoint, now } = checked(t, server.url, { http, interval: "1s", intervalJitterPercent: 0 });
    await judged(1);
    pass(1_000);
    await judged(1);
    assert.equal(endpoint.healthy, false);
    pass(1_000);
    await judged(1);
    assert.equal(endpoint.healthy, false);
    pass(1_000);
    await judged(1);
    assert.equal(endpoint.healthy, true);
    assert.equal(endpoint.since, now());
    assert.deepEqual(told, ["passed", "changed false", "unhealthy", "passed", "changed true", "healthy", "passed"]);
    assert.deepEqual(details, [
      { endpoint: endpoint.key, checks: 1, why: "status 503" },
      { endpoint: endpoint.key, checks: 2 },
    ]);
  });

  test("no answer counts after three in a row, and one that comes between begins anew", async (t) => {
    const server = await httpServer(t, (nth, response) => {
      if (nth === 1 || nth === 4) response.end();
      else response.destroy();
    });
    const { judged, pass, endpoint, details } = checked(t, server.url, { http, interval: "1s", intervalJitterPercent: 0 });
    for (const expected of [true, true, true, true, true, true, false]) {
      await judged(1);
      assert.equal(endpoint.healthy, expected, `after ${server.requests.length}`);
      pass(1_000);
    }
    assert.deepEqual(details, [{ endpoint: endpoint.key, checks: 3, why: "ECONNRESET" }]);
  });

  test("the first check decides alone", async (t) => {
    const closed = createTcpServer();
    const url = await listening(t, closed, () => undefined);
    closed.close();
    await once(closed, "close");
    const { judged, endpoint, details } = checked(t, url, { http });
    await judged(1);
    assert.equal(endpoint.healthy, false);
    assert.equal(details[0]?.["why"], "ECONNREFUSED");
  });

  test("an answer that does not come in time is none, and its connection is closed", async (t) => {
    for (const begins of [false, true]) {
      const server = await httpServer(t, (_nth, response) => {
        if (begins) response.write("part");
      });
      const { judged, pass, endpoint, checks } = checked(t, server.url, { http, timeout: "500ms" });
      await until(() => server.requests.length === 1, "it was asked");
      if (begins) await new Promise((resolve) => setImmediate(resolve));
      pass(499);
      pass(1);
      await judged(1);
      assert.equal(endpoint.healthy, false);
      assert.deepEqual(checks.status(endpoint), { health: { checked: true, healthy: false, why: "no answer within 500 ms" } });
      await until(() => server.open() === 0, "the connection is closed");
    }
  });

  test("statuses, method and Host are those of the definition; Host is else what calls say", async (t) => {
    const server = await httpServer(t, (_nth, response) => response.writeHead(204).end());
    const own = checked(t, server.url, {
      http: { path: "/up?deep=1", method: "HEAD", expectedStatuses: [200, 204], host: "probe.internal" },
    });
    await own.judged(1);
    const calls = checked(t, server.url, { http: { path: "//other.internal/", expectedStatuses: [204] } }, "payments.internal:8080");
    await calls.judged(1);
    assert.ok(own.endpoint.healthy && calls.endpoint.healthy);
    assert.deepEqual(
      server.requests.map(({ method, url, headers }) => [method, url, headers.host]),
      [
        ["HEAD", "/up?deep=1", "probe.internal"],
        ["GET", "//other.internal/", "payments.internal:8080"],
      ],
    );
  });

  test("garbage, endless bodies and redirects end as what they are", async (t) => {
    const garbage = createTcpServer((socket) => {
      socket.on("error", () => undefined);
      socket.end("not HTTP at all\r\n\r\n");
    });
    const one = checked(t, await listening(t, garbage, () => undefined), { http });
    await one.judged(1);
    assert.equal(one.endpoint.healthy, false);

    const endless = await httpServer(t, (_nth, response) => {
      const more = (): void => {
        if (!response.destroyed) response.write(Buffer.alloc(65_536), () => setImmediate(more));
      };
      more();
    });
    const two = checked(t, endless.url, { http });
    await two.judged(1);
    assert.equal(two.endpoint.healthy, true);
    await until(() => endless.open() === 0, "it does not read for ever");

    const redirect = await httpServer(t, (_nth, response) => response.writeHead(302, { location: "/login" }).end());
    const three = checked(t, redirect.url, { http });
    await three.judged(1);
    assert.equal(three.checks.status(three.endpoint)["health"] !== undefined && three.endpoint.healthy, false);
    assert.equal(three.details[0]?.["why"], "status 302");
  });
});

suite("over grpc.health.v1", () => {
  test("asks for the service, and SERVING is well", async (t) => {
    const server = await grpcServer(t, (_nth, stream) => answered(stream, framed(8, 1)));
    const { judged, endpoint } = checked(t, server.url, { grpc: { service: "payments.v1.Payments" } }, "payments.internal");
    await judged(1);
    assert.equal(endpoint.healthy, true);
    const [request] = server.requests;
    assert.equal(request?.headers[":path"], "/grpc.health.v1.Health/Check");
    assert.equal(request?.headers[":authority"], "payments.internal");
    assert.equal(request?.headers["content-type"], "application/grpc");
    const name = Buffer.from("payments.v1.Payments");
    assert.deepEqual(request?.body, Buffer.concat([Buffer.from([0, 0, 0, 0, name.length + 2, 10, name.length]), name]));
    await until(() => server.sessions() === 0, "no session is kept");
  });

  test("the server as a whole is an empty message; a name of more than 127 bytes is written right", async (t) => {
    const server = await grpcServer(t, (_nth, stream) => answered(stream, framed(8, 1)));
    await checked(t, server.url, { grpc: {} }).judged(1);
    await checked(t, server.url, { grpc: { service: "s".repeat(300) } }).judged(1);
    assert.deepEqual(server.requests[0]?.body, framed());
    assert.deepEqual(server.requests[1]?.body.subarray(0, 8), Buffer.from([0, 0, 0, 1, 47, 10, 172, 2]));
  });

  test("anything else is not well, and says why", async (t) => {
    const cases: readonly (readonly [why: string, serve: (stream: ServerHttp2Stream) => void])[] = [
      ["NOT_SERVING", (stream) => answered(stream, framed(8, 2))],
      ["SERVICE_UNKNOWN", (stream) => answered(stream, framed(8, 3))],
      ["UNKNOWN", (stream) => answered(stream, framed())],
      ["UNKNOWN", (stream) => answered(stream, Buffer.from("garbage"))],
      ["UNKNOWN", (stream) => answered(stream, Buffer.alloc(100_000, 1))],
      [
        "grpc-status 12",
        (stream) => stream.respond({ ":status": 200, "content-type": "application/grpc", "grpc-status": "12" }, { endStream: true }),
      ],
      ["grpc-status 14", (stream) => answered(stream, framed(8, 1), "14")],
      ["grpc-status missing", (stream) => void (stream.respond({ ":status": 200 }), stream.end(framed(8, 1)))],
      ["status 404", (stream) => stream.respond({ ":status": 404 }, { endStream: true })],
      ["ERR_HTTP2_STREAM_ERROR", (stream) => stream.close(2)],
    ];
    for (const [why, serve] of cases) {
      const server = await grpcServer(t, (_nth, stream) => serve(stream));
      const { judged, endpoint, checks } = checked(t, server.url, { grpc: {} });
      await judged(1);
      assert.deepEqual(checks.status(endpoint), { health: { checked: true, healthy: false, why } });
      await until(() => server.sessions() === 0, "no session is kept");
    }
  });

  test("no answer in time, no server, and a server of HTTP/1.1 are no answers", async (t) => {
    const silent = await grpcServer(t, () => undefined);
    const one = checked(t, silent.url, { grpc: {}, timeout: "500ms" });
    await until(() => silent.requests.length === 1, "it was asked");
    one.pass(500);
    await one.judged(1);
    assert.equal(one.details[0]?.["why"], "no answer within 500 ms");
    await until(() => silent.sessions() === 0, "the session is closed");

    const old = await httpServer(t, (_nth, response) => response.end());
    const two = checked(t, old.url, { grpc: {} });
    await two.judged(1);
    assert.equal(two.endpoint.healthy, false);
  });
});

suite("of many endpoints", () => {
  test("those that join later take no calls before their first good check; those that leave are not asked again", async (t) => {
    const server = await httpServer(t, (_nth, response) => response.end());
    const { checks, endpoint, told, judged, pass, pending } = checked(t, server.url, { http, intervalJitterPercent: 0 });
    await judged(1);
    const other = await httpServer(t, (_nth, response) => response.end());
    const late = newEndpoint({ url: other.url }, 0);
    checks.update([endpoint, late]);
    assert.deepEqual([endpoint.healthy, late.healthy], [true, false]);
    pass(0);
    await until(() => late.healthy, "it was found well");
    assert.deepEqual(told, ["passed", "changed false", "changed true", "healthy", "passed"]);
    const moved = newEndpoint({ url: other.url, priority: 1 }, 0);
    checks.update([moved]);
    assert.equal(moved.healthy, true, "what is known by its address is not asked for the first time");
    pass(0);
    await until(() => other.requests.length >= 2, "it was asked");
    assert.equal(server.requests.length, 1);
    checks.update([]);
    await until(() => other.open() === 0, "the question under way is over");
    assert.equal(pending(), 0);
    assert.deepEqual(checks.status(endpoint), {});
  });

  test("while nobody calls they are asked more seldom", async (t) => {
    const server = await httpServer(t, (_nth, response) => response.end());
    const { checks, judged, pass } = checked(t, server.url, { http, interval: "1s", noTrafficInterval: "1m", intervalJitterPercent: 0 });
    await judged(1);
    for (let n = 0; n < 3; n++) {
      checks.used();
      pass(1_000);
      await judged(1);
    }
    for (let n = 0; n < 60; n++) {
      pass(1_000);
      await judged(1);
    }
    assert.equal(server.requests.length, 64);
    pass(59_999);
    assert.equal(server.requests.length, 64);
    pass(1);
    await judged(1);
    assert.equal(server.requests.length, 65);
    checks.used();
    pass(60_000);
    await judged(1);
    pass(1_000);
    await judged(1);
    assert.equal(server.requests.length, 67);
  });

  test("closing ends the question under way, and nothing is told of it", async (t) => {
    const server = await httpServer(t, () => undefined);
    const { checks, told, pending } = checked(t, server.url, { http });
    await until(() => server.requests.length === 1, "it was asked");
    checks.close();
    await until(() => server.open() === 0, "the connection is closed");
    assert.deepEqual([told, pending()], [[], 0]);
  });
});

test("a definition asks in exactly one way", () => {
  const schema = healthSchema(z);
  for (const right of [{ http }, { grpc: {} }, { http: { path: "/", expectedStatuses: [200, 429] }, interval: "1s", initialJitter: "0ms" }])
    assert.ok(schema.safeParse(right).success, JSON.stringify(right));
  for (const wrong of [
    {},
    { http, grpc: {} },
    { http: { path: "healthz" } },
    { http: { path: "/a b" } },
    { http: { path: "/", host: "http://a" } },
    { http, interval: "0ms" },
    { http, unhealthyThreshold: 0 },
    { http, tcp: {} },
  ])
    assert.ok(!schema.safeParse(wrong).success, JSON.stringify(wrong));
});
