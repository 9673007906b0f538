// Fields: what of a message is for one hop and what goes on, and what a proxy and a mesh add.
import assert from "node:assert/strict";
import { suite, test, type TestContext } from "node:test";
import { definePolicy, type LayerDefinition, retry, timeout } from "../../../src/index.ts";
import type { ProxySettings } from "../../../src/transports/proxy/context.ts";
import { ask } from "../../harness/ask.ts";
import { openShim, type Shim } from "../../harness/shim.ts";
import { openUpstream, type Step, type Upstream } from "../../harness/upstream.ts";

async function open(
  t: TestContext,
  script: readonly Step[],
  { layers = [], ...settings }: { layers?: readonly LayerDefinition[] } & Partial<ProxySettings> = {},
): Promise<{ readonly upstream: Upstream; readonly shim: Shim }> {
  const upstream = await openUpstream(t, script);
  const shim = await openShim(t, { policies: [definePolicy({ name: "p", match: [{ host: "*" }], layers })] }, settings);
  return { upstream, shim };
}

const first = ({ requests }: Upstream) => requests[0]?.headers ?? {};

suite("what is for one hop stays there (RFC 9110, 7.6.1)", () => {
  test("of a request", async (t) => {
    const { upstream, shim } = await open(t, [{}]);
    const headers = {
      connection: "close, x-mine, content-length, x-request-id",
      "x-mine": "1",
      "keep-alive": "timeout=5",
      "proxy-connection": "keep-alive",
      "proxy-authorization": "Basic eDp5",
      te: "gzip",
      expect: "100-continue",
      "x-kept": "yes",
    };
    await ask(shim.address, { method: "PUT", host: upstream.host, headers, body: ["hello"] });
    const seen = first(upstream);
    for (const name of ["x-mine", "keep-alive", "proxy-connection", "proxy-authorization", "te", "expect"])
      assert.equal(seen[name], undefined, name);
    assert.equal(seen["x-kept"], "yes");
    assert.equal(upstream.requests[0]?.body, "hello");
  });

  test("of a response", async (t) => {
    const headers = {
      connection: "close, x-mine",
      "x-mine": "1",
      "keep-alive": "timeout=9",
      "proxy-authenticate": "Basic",
      "x-kept": "yes",
    };
    const { upstream, shim } = await open(t, [{ headers }]);
    const answer = await ask(shim.address, { host: upstream.host });
    for (const name of ["x-mine", "keep-alive", "proxy-authenticate"]) assert.equal(answer.headers[name], undefined, name);
    assert.equal(answer.headers["x-kept"], "yes");
  });
});

suite("what a proxy adds", () => {
  test("Via, on both ways, behind what is there", async (t) => {
    const { upstream, shim } = await open(t, [{ headers: { via: "1.0 there" } }]);
    const answer = await ask(shim.address, { host: upstream.host, headers: { via: "1.1 here" } });
    assert.equal(first(upstream).via, "1.1 here, 1.1 shim");
    assert.equal(answer.headers.via, "1.0 there, 1.1 shim");
  });

  test("a request that has come by here before is refused", async (t) => {
    const { upstream, shim } = await open(t, [{}]);
    const answer = await ask(shim.address, { host: upstream.host, headers: { via: "1.1 shimmy, 1.1 shim (premesh)" } });
    assert.equal(answer.status, 508);
    assert.match(String(answer.headers["proxy-status"]), /^shim; error=proxy_loop_detected; details="/);
    assert.equal((await ask(shim.address, { host: upstream.host, headers: { via: "1.1 shimmy" } })).status, 200);
    assert.equal(upstream.requests.length, 1);
  });

  test("where the request came from, behind what is there", async (t) => {
    const { upstream, shim } = await open(t, [{}]);
    await ask(shim.address, { host: upstream.host, headers: { "x-forwarded-for": "10.1.1.1", "x-forwarded-proto": "https" } });
    assert.deepEqual([first(upstream)["x-forwarded-for"], first(upstream)["x-forwarded-proto"]], ["10.1.1.1, 127.0.0.1", "https"]);
  });

  test("the scheme that a client claims counts only when it is trusted", async (t) => {
    const { upstream, shim } = await open(t, [{}], { trusts: () => false });
    await ask(shim.address, { host: upstream.host, headers: { "x-forwarded-proto": "https" } });
    assert.equal(first(upstream)["x-forwarded-proto"], "http");
  });

  test("a Date, where the upstream has sent none", async (t) => {
    const { upstream, shim } = await open(t, [{ headers: { date: "Mon, 01 Jan 2024 00:00:00 GMT" } }]);
    assert.equal((await ask(shim.address, { host: upstream.host })).headers.date, "Mon, 01 Jan 2024 00:00:00 GMT");
    const refused = await ask(shim.address, { host: "nobody.invalid" });
    assert.ok(!Number.isNaN(Date.parse(String(refused.headers.date))));
  });
});

suite("Max-Forwards (RFC 9110, 7.6.2)", () => {
  for (const method of ["OPTIONS", "TRACE"]) {
    test(`${method}: one less each time, and the last answers itself`, async (t) => {
      const { upstream, shim } = await open(t, [{}]);
      const asking = { method, host: upstream.host, path: "/a?b", headers: { "max-forwards": "1", cookie: "secret", "x-mine": "1" } };
      assert.equal((await ask(shim.address, asking)).status, 200);
      assert.equal(first(upstream)["max-forwards"], "0");
      const last = await ask(shim.address, { ...asking, headers: { ...asking.headers, "max-forwards": "0" } });
      assert.equal(last.status, 200);
      assert.equal(upstream.requests.length, 1);
      if (method === "OPTIONS") return assert.equal(last.headers["content-length"], "0");
      assert.equal(last.headers["content-type"], "message/http");
      assert.match(last.body, /^TRACE \/a\?b HTTP\/1\.1\r\n[\s\S]*x-mine: 1\r\n/);
      assert.doesNotMatch(last.body, /secret/);
    });
  }

  test("is for no other method", async (t) => {
    const { upstream, shim } = await open(t, [{}]);
    await ask(shim.address, { host: upstream.host, headers: { "max-forwards": "0" } });
    assert.equal(first(upstream)["max-forwards"], "0");
  });
});

suite("what a mesh adds", () => {
  test("a request id: the client's own, else one that stays over all attempts; it is given back", async (t) => {
    const { upstream, shim } = await open(t, [{ status: 503 }, {}, {}], { layers: [retry({ backoff: { base: "0ms" } })] });
    const answer = await ask(shim.address, { host: upstream.host });
    const ids = upstream.requests.map(({ headers }) => headers["x-request-id"]);
    assert.match(String(ids[0]), /^[\da-f-]{36}$/);
    assert.deepEqual(ids, [ids[0], ids[0]]);
    assert.equal(answer.headers["x-request-id"], ids[0]);
    const named = await ask(shim.address, { host: upstream.host, headers: { "x-request-id": "mine" } });
    assert.deepEqual([named.headers["x-request-id"], upstream.requests[2]?.headers["x-request-id"]], ["mine", "mine"]);
  });

  test("which attempt it is, how long there is for it, and how long the upstream took", async (t) => {
    const layers = [timeout("20s"), retry({ backoff: { base: "0ms" } }), timeout("10s")];
    const { upstream, shim } = await open(t, [{ status: 503 }, {}], { layers });
    const answer = await ask(shim.address, { host: upstream.host });
    assert.deepEqual(
      upstream.requests.map(({ headers }) => headers["x-envoy-attempt-count"]),
      ["1", "2"],
    );
    for (const { headers } of upstream.requests) {
      const ms = Number(headers["x-envoy-expected-rq-timeout-ms"]);
      assert.ok(ms > 1_000 && ms <= 10_000, `${ms}`);
    }
    assert.match(String(answer.headers["x-envoy-upstream-service-time"]), /^\d+$/);
  });

  test("nothing of its own that comes from outside goes on, nor anything of ours", async (t) => {
    const { upstream, shim } = await open(
      t,
      [{ headers: { "premesh-outcome": "forged", "x-envoy-upstream-service-time": "9999999" } }],
      { trusts: () => false }, // whoever is trusted is taken at its word: test/seam
    );
    const headers = { "x-envoy-retry-on": "5xx", "x-envoy-attempt-count": "7", "premesh-policy": "p", "premesh-call": "attempt=9" };
    const answer = await ask(shim.address, { host: upstream.host, headers });
    const seen = first(upstream);
    assert.deepEqual(
      ["x-envoy-retry-on", "premesh-policy", "premesh-call", "x-envoy-attempt-count"].map((name) => seen[name]),
      [undefined, undefined, undefined, "1"],
    );
    assert.equal(answer.headers["premesh-outcome"], undefined);
    assert.notEqual(answer.headers["x-envoy-upstream-service-time"], "9999999");
  });

  test("trace context goes on as it is while nobody traces", async (t) => {
    const { upstream, shim } = await open(t, [{}]);
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    await ask(shim.address, { host: upstream.host, headers: { traceparent, tracestate: "a=b" } });
    assert.deepEqual([first(upstream)["traceparent"], first(upstream)["tracestate"]], [traceparent, "a=b"]);
  });
});
