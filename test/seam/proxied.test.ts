// A process whose environment names the shim as its proxy for http: its calls come there whatever layers do, and no layer runs twice.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { EnvHttpProxyAgent } from "undici7";
import { type Client, createClient, definePolicy, type LayerDefinition, retry, sidecar, timeout } from "../../src/index.ts";
import { openShim, type Shim } from "../harness/shim.ts";
import { openUpstream, type Upstream } from "../harness/upstream.ts";

const GLOBAL = Symbol.for("undici.globalDispatcher.1");
const slots = globalThis as unknown as Record<symbol, unknown>; // the cast: undici keeps its dispatchers there

async function proxied(
  t: TestContext,
  layers: readonly LayerDefinition[],
): Promise<{ readonly client: Client; readonly shim: Shim; readonly upstream: Upstream }> {
  const policies = [definePolicy({ name: "p", match: [{ host: "*" }], layers })];
  const upstream = await openUpstream(t, [{ status: 503 }]);
  const shim = await openShim(t, { policies });
  const before = { dispatcher: slots[GLOBAL], proxy: process.env["http_proxy"] };
  process.env["http_proxy"] = shim.url;
  const agent = new EnvHttpProxyAgent({ httpProxy: shim.url, noProxy: "" });
  slots[GLOBAL] = agent;
  const client = createClient({ policies, sidecar: shim.url });
  t.after(async () => {
    slots[GLOBAL] = before.dispatcher;
    if (before.proxy === undefined) delete process.env["http_proxy"];
    else process.env["http_proxy"] = before.proxy;
    await client.close();
    await agent.destroy();
  });
  return { client, shim, upstream };
}

test("a call that runs in the process passes the shim as a proxy, and runs no layer there", async (t) => {
  const { client, shim, upstream } = await proxied(t, [retry({ attempts: 2, backoff: { base: "0ms" } }), timeout("5s")]);
  const response = await client.fetch(upstream.url);
  assert.equal(response.status, 503);
  assert.equal(upstream.requests.length, 2, "and not four");
  assert.ok(
    upstream.requests.every(({ headers }) => headers["via"] !== undefined),
    "they came through the shim",
  );
  assert.ok(upstream.requests.every(({ headers }) => headers["premesh-policy"] === undefined));
  assert.ok(shim.entries.length > 0);
});

test("a call that crosses goes to the shim itself, and not through it to itself", async (t) => {
  const { client, upstream } = await proxied(t, [retry({ attempts: 2, backoff: { base: "0ms" } }), sidecar(), timeout("5s")]);
  const response = await client.fetch(upstream.url);
  assert.equal(response.status, 503);
  assert.match(client.explain(response)?.text ?? "", /gave it to the sidecar/);
  assert.equal(upstream.requests.length, 2);
});
