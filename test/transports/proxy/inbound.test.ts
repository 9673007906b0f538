// Inbound: calls that come in go through the policies whose match says so, and then to the application, whatever they name.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import {
  bulkhead,
  definePolicy,
  fault,
  type LayerDefinition,
  type Match,
  type Policy,
  rateLimit,
  timeout,
  trace,
} from "../../../src/index.ts";
import { ask } from "../../harness/ask.ts";
import { rawClient } from "../../harness/raw.ts";
import { openShim, type Shim } from "../../harness/shim.ts";
import { openUpstream, type Step, type Upstream } from "../../harness/upstream.ts";
import { echoClient, start } from "../grpc/calls.ts";
import { openPeer } from "../grpc/peer.ts";

const policy = (name: string, match: Match, layers: readonly LayerDefinition[]): Policy => definePolicy({ name, match: [match], layers });

async function open(t: TestContext, script: readonly Step[], policies: readonly Policy[]): Promise<{ app: Upstream; shim: Shim }> {
  const app = await openUpstream(t, script);
  const shim = await openShim(t, { policies }, { direction: "inbound", app: { origin: new URL(app.url) }, trusts: () => false });
  return { app, shim };
}

test("everything goes to the application, under the name that it was called by", async (t) => {
  const { app, shim } = await open(t, [{}], [policy("out", { host: "*" }, [fault({ abort: { status: 500, percent: 100 } })])]);
  for (const host of ["shop.internal", "127.0.0.1:1", shim.address]) {
    const answer = await ask(shim.address, { host, path: "/a?b" });
    assert.equal(answer.status, 200);
  }
  assert.deepEqual(
    app.requests.map(({ headers, url }) => [headers.host, url]),
    [
      ["shop.internal", "/a?b"],
      ["127.0.0.1:1", "/a?b"],
      [shim.address, "/a?b"],
    ],
  );
  assert.deepEqual(
    shim.entries.map(({ upstream_cluster: cluster, upstream_host: host }) => [cluster, host]),
    Array.from({ length: 3 }, () => [null, app.host]),
  );
});

test("policies for calls that come in stand before it", async (t) => {
  const layers = [
    trace(),
    rateLimit({ rate: 2, per: "1h", burst: 2 }),
    bulkhead({ limit: 1 }),
    timeout("5s"),
    fault({ delay: { for: "1ms", percent: 100 } }),
  ];
  const { app, shim } = await open(
    t,
    [{}],
    [policy("in", { inbound: true, path: "/api" }, layers), policy("out", { host: "*" }, [timeout("1ms")])],
  );
  // one count for all, whatever name a client calls it by
  const statuses = [];
  for (const host of ["a.internal", "b.internal", "c.internal"]) statuses.push((await ask(shim.address, { host, path: "/api/x" })).status);
  assert.deepEqual(statuses, [200, 200, 429]);
  assert.equal((await ask(shim.address, { host: "a.internal", path: "/other" })).status, 200);
  assert.equal(
    (await ask(shim.address, { host: "a.internal", path: "/../api/x" })).status,
    429,
    "a path is looked at as the application will",
  );
  assert.equal(app.requests.length, 3);
  assert.deepEqual(Object.keys(shim.client.status().policies["in"]?.targets ?? {}), [app.host]);
});

test("RPCs go to it over HTTP/2", async (t) => {
  const peer = await openPeer(t, async (attempt) => {
    await attempt.ended();
    attempt.send(...attempt.messages);
    attempt.status(0);
  });
  const shim = await openShim(
    t,
    { policies: [policy("in", { inbound: true, service: "test.Echo" }, [rateLimit({ rate: 1, per: "1h", burst: 1 })])] },
    { direction: "inbound", app: { origin: new URL(`http://${peer.address}`) }, trusts: () => false },
  );
  const stub = echoClient(t, shim.address);
  assert.deepEqual((await start(stub, "Bidi", { messages: ["a", "b"] }).came).messages, ["a", "b"]);
  assert.equal((await start(stub, "Unary", { messages: ["a"] }).came).code, 8);
  assert.equal(peer.attempts[0]?.headers[":authority"], shim.address);
});

test("a tunnel is not for it", async (t) => {
  const { app, shim } = await open(t, [{}], []);
  const client = await rawClient(t, shim.address);
  client.send(`CONNECT ${app.host} HTTP/1.1\r\nHost: ${app.host}\r\n\r\n`);
  assert.match(await client.until(/\r\n\r\n/), /^HTTP\/1\.1 405 /);
});
