// Local replies: what a client is told when the answer is not the upstream's, in Envoy's statuses and flags, with Proxy-Status beside (RFC 9209).
import assert from "node:assert/strict";
import { suite, test, type TestContext } from "node:test";
import { connect, constants } from "node:http2";
import { once } from "node:events";
import {
  breaker,
  bulkhead,
  definePolicy,
  fallback,
  fault,
  type LayerDefinition,
  rateLimit,
  retry,
  route,
  timeout,
} from "../../../src/index.ts";
import type { ProxySettings } from "../../../src/transports/proxy/context.ts";
import { type Answer, ask, type Question } from "../../harness/ask.ts";
import { answering, rawServer } from "../../harness/raw.ts";
import { openShim, type Shim } from "../../harness/shim.ts";
import { turns } from "../../harness/time.ts";
import { closedPort, openUpstream, type Step } from "../../harness/upstream.ts";

const shimOf = (t: TestContext, layers: readonly LayerDefinition[], settings: Partial<ProxySettings> = {}): Promise<Shim> =>
  openShim(
    t,
    { policies: [definePolicy({ name: "p", match: [{ host: "*.internal" }, { host: "127.0.0.1" }], layers })], seed: 1 },
    settings,
  );

/** Everything that is said of an answer, the words for people aside. */
async function told(shim: Shim, answer: Answer): Promise<readonly unknown[]> {
  const entry = (await shim.logged(1)).at(-1);
  const [, error, details] = /^shim; error=(\w+); details="(.*)"$/.exec(String(answer.headers["proxy-status"])) ?? [];
  assert.notEqual(details, "", String(answer.headers["proxy-status"]));
  assert.equal(entry?.response_code, answer.status);
  return [answer.status, entry.response_flags, error, answer.body];
}

const reset = (reason: string): string => `upstream connect error or disconnect/reset before headers. reset reason: ${reason}`;

suite("to a client of HTTP", () => {
  interface Case {
    readonly name: string;
    readonly layers?: (url: string) => readonly LayerDefinition[];
    readonly script?: readonly Step[];
    readonly question?: Question;
    /** How many calls go before the one that is looked at. */
    readonly before?: number;
    readonly told: readonly unknown[];
    readonly fields?: Readonly<Record<string, string>>;
  }

  const cases: readonly Case[] = [
    {
      name: "nothing matches",
      question: { host: "elsewhere.example" },
      told: [404, "NR", "destination_not_found", "no policy matches elsewhere.example:80, and this is no open proxy"],
    },
    {
      name: "the rate limit",
      layers: () => [rateLimit({ rate: 1, per: "100s", burst: 1 })],
      before: 1,
      told: [429, "RL", "http_request_denied", "local_rate_limited"],
      fields: { "x-envoy-ratelimited": "true", "retry-after": "100" },
    },
    {
      name: "an open breaker",
      layers: () => [breaker({ trip: { consecutive: 1 }, openFor: "90s" })],
      script: [{ status: 500 }],
      before: 1,
      told: [503, "UO", "destination_unavailable", reset("overflow")],
      fields: { "x-envoy-overloaded": "true", "retry-after": "90" },
    },
    {
      name: "a timeout",
      layers: () => [timeout("30ms")],
      script: ["hang"],
      told: [504, "UT", "http_response_timeout", "upstream request timeout"],
    },
    {
      name: "an attempt's timeout, when no attempt is left",
      layers: () => [retry({ attempts: 2, on: ["timeout"], backoff: { base: "0ms" } }), timeout("30ms")],
      script: ["hang"],
      told: [504, "UT", "http_response_timeout", "upstream request timeout"],
    },
    { name: "a broken connection", script: ["reset"], told: [503, "UC", "connection_terminated", reset("connection termination")] },
    {
      name: "a fault",
      layers: () => [fault({ abort: { status: 418, percent: 100 } })],
      told: [418, "FI", "proxy_internal_response", "fault injected by a premesh policy"],
    },
    {
      name: "a fallback",
      layers: () => [fallback({ on: ["5xx"], response: { status: 200, body: { items: [] } } })],
      script: [{ status: 500 }],
      told: [200, "-", "proxy_internal_response", '{"items":[]}'],
      fields: { "premesh-fallback": "p", "content-type": "application/json" },
    },
    {
      name: "no route fits",
      layers: (url) => [route({ to: [{ match: { path: "/only" }, endpoints: [url] }] })],
      told: [404, "NR", "destination_not_found", "route_not_found"],
    },
  ];

  for (const { name, layers = () => [], script = [{}], question, before = 0, told: expected, fields = {} } of cases) {
    test(name, async (t) => {
      const upstream = await openUpstream(t, script);
      const shim = await shimOf(t, layers(new URL(upstream.url).origin));
      for (let n = 0; n < before; n++) await ask(shim.address, { host: upstream.host });
      const answer = await ask(shim.address, question ?? { host: upstream.host });
      await shim.logged(before + 1);
      assert.deepEqual(await told(shim, answer), expected);
      for (const [field, value] of Object.entries(fields)) assert.equal(answer.headers[field], value, field);
    });
  }

  test("a refused connection", async (t) => {
    const shim = await shimOf(t, []);
    const answer = await ask(shim.address, { host: new URL(await closedPort()).host });
    assert.deepEqual(await told(shim, answer), [503, "UF", "connection_refused", reset("connection failure")]);
    assert.equal(shim.entries[0]?.attempts, 1);
  });

  test("a name that is none", async (t) => {
    const shim = await shimOf(t, []);
    const [status, flag, error] = await told(shim, await ask(shim.address, { host: "none.internal" }));
    assert.deepEqual([status, flag], [503, "UF"]);
    assert.match(String(error), /^dns_(?:error|timeout)$/);
  });

  test("what is no HTTP", async (t) => {
    const upstream = await rawServer(t, answering("220 ready\r\n\r\n"));
    const shim = await shimOf(t, []);
    const answer = await ask(shim.address, { host: upstream.origin.host });
    assert.deepEqual(await told(shim, answer), [502, "UPE", "http_protocol_error", reset("protocol error")]);
  });

  test("too many calls under way", async (t) => {
    const upstream = await openUpstream(t, ["hang"]);
    const shim = await shimOf(t, [bulkhead({ limit: 1 })]);
    const caller = new AbortController();
    const hung = ask(shim.address, { host: upstream.host, signal: caller.signal }).catch(() => undefined);
    await upstream.arrived(1);
    const answer = await ask(shim.address, { host: upstream.host });
    assert.deepEqual(await told(shim, answer), [503, "UO", "connection_limit_reached", reset("overflow")]);
    caller.abort(new Error("over"));
    await hung;
    const entries = await shim.logged(2);
    assert.deepEqual([entries[1]?.response_code, entries[1]?.response_flags], [0, "DC"]);
  });

  test("the shim itself is never called, by whatever name", async (t) => {
    const shim = await shimOf(t, [retry({ attempts: 3, backoff: { base: "0ms" } })]);
    const port = shim.address.split(":")[1];
    for (const host of ["127.0.0.1", "127.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "0.0.0.0", "localhost"]) {
      const allowing = await openShim(t, { policies: [] }, { allowAny: true, upstreams: shim.upstreams });
      const answer = await ask(allowing.address, { host: `${host}:${port}` });
      const [status, , error] = await told(allowing, answer);
      assert.deepEqual([host, status, error], [host, 502, "destination_ip_prohibited"]);
    }
  });

  test("HEAD gets the head alone", async (t) => {
    const shim = await shimOf(t, []);
    const answer = await ask(shim.address, { method: "HEAD", host: "elsewhere.example" });
    assert.deepEqual([answer.status, answer.body], [404, ""]);
    assert.ok(Number(answer.headers["content-length"]) > 0);
  });

  test("closed policies take no call", async (t) => {
    const shim = await shimOf(t, []);
    await shim.client.close();
    const [status, flag, error] = await told(shim, await ask(shim.address, { host: "a.internal" }));
    assert.deepEqual([status, flag, error], [503, "LR", "proxy_internal_error"]);
  });
});

suite("to a client of gRPC: trailers alone, with the code of the outcome", () => {
  /** An RPC on bare HTTP/2: all fields of its one head. */
  async function rpc(t: TestContext, shim: Shim, authority: string): Promise<Readonly<Record<string, unknown>>> {
    const session = connect(shim.url);
    t.after(() => session.destroy());
    const stream = session.request(
      { ":method": "POST", ":path": "/a.B/C", ":authority": authority, "content-type": "application/grpc", te: "trailers" },
      { endStream: false },
    );
    stream.end();
    const [headers, flags] = (await once(stream, "response")) as [Record<string, unknown>, number]; // the cast: what node:http2 gives
    assert.ok((flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0, "there are no other trailers");
    stream.resume();
    return headers;
  }

  const cases: readonly (readonly [name: string, layers: readonly LayerDefinition[], code: number, message: RegExp])[] = [
    ["a refused connection", [], 14, /^no connection could be made$/],
    ["a timeout", [timeout("1ms"), fault({ delay: { for: "10s", percent: 100 } })], 4, /no response within 1ms/],
    ["a fault by status", [fault({ abort: { status: 403, percent: 100 } })], 7, /a fault was injected/],
    ["a fault by code", [fault({ abort: { code: "data-loss", percent: 100 } })], 15, /a fault was injected/],
    [
      "a bulkhead",
      [bulkhead({ limit: 1, queue: { size: 1, timeout: "1ms" } }), fault({ delay: { for: "10s", percent: 100 } })],
      14,
      /too many calls/,
    ],
    ["a fallback", [fallback({ response: { status: 409, body: "taken" } })], 10, /^taken$/],
    ["no route", [route({ to: [{ match: { path: "/only" }, endpoints: ["http://10.0.0.1"] }] })], 12, /no entry of the route fits/],
  ];

  for (const [name, layers, code, message] of cases) {
    test(name, async (t) => {
      const { host } = new URL(await closedPort());
      const shim = await shimOf(t, layers);
      if (name === "a bulkhead") {
        void rpc(t, shim, host).catch(() => undefined);
        while (!JSON.stringify(shim.client.status()).includes('"active":1')) await turns(1);
      }
      const headers = await rpc(t, shim, host);
      assert.deepEqual([headers[":status"], headers["content-type"], headers["grpc-status"]], [200, "application/grpc", String(code)]);
      assert.match(decodeURIComponent(String(headers["grpc-message"])), message);
      assert.match(String(headers["proxy-status"]), /^shim; error=/);
    });
  }

  test("nothing matches", async (t) => {
    const shim = await shimOf(t, []);
    const headers = await rpc(t, shim, "elsewhere.example");
    assert.deepEqual([headers[":status"], headers["grpc-status"]], [200, "12"]);
    assert.deepEqual([shim.entries[0]?.response_flags, shim.entries[0]?.grpc_status], ["NR", 12]);
  });
});
