// Hono on its own server for Node, and inboundFetch by itself: what passes, what is refused, and what a key does.
import assert from "node:assert/strict";
import { once } from "node:events";
import { request } from "node:http";
import type { AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import { serve } from "@hono/node-server";
import { type Context, Hono } from "hono";
import {
  bulkhead,
  type Client,
  type ClientOptions,
  createClient,
  definePolicy,
  idempotency,
  type LayerDefinition,
  rateLimit,
  timeout,
} from "../../../src/index.ts";
import { inboundCall, inboundFetch, inboundHono, type InboundOptions } from "../../../src/inbound.ts";
import { virtualClock } from "../../../src/testing/index.ts";
import { gate, turns } from "../../harness/time.ts";
import { ask, post, problemOf } from "./service.ts";

type HonoHandler = (context: Context) => Response | Promise<Response>;

async function open(
  t: TestContext,
  layers: readonly LayerDefinition[],
  handler: HonoHandler,
  { inbound, ...options }: Partial<ClientOptions> & { readonly inbound?: InboundOptions } = {},
): Promise<{ readonly port: number; readonly client: Client }> {
  const client = createClient({ policies: [definePolicy({ name: "guard", match: [{ inbound: true }], layers })], ...options });
  const app = new Hono();
  app.use(inboundHono(client, inbound));
  app.all("*", handler);
  const server = serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" });
  await once(server, "listening");
  t.after(async () => {
    server.close();
    if ("closeAllConnections" in server) server.closeAllConnections();
    await client.close();
  });
  return { port: (server.address() as AddressInfo).port, client }; // the cast: it listens on a port
}

const active = (client: Client): unknown => client.status().policies["guard"]?.targets["inbound"]?.[0]?.state["active"];

const large = "abcdefg".repeat(200_000);

test("a call passes as if nobody were there; a HEAD holds no place", async (t) => {
  const { client, ...service } = await open(t, [bulkhead({ limit: 1 }), timeout("5s")], async (context) => {
    const body = await context.req.text();
    context.header("x-path", context.req.path);
    return context.body(body, 201);
  });
  const reply = await ask(service, { method: "POST", path: "/v1/x", body: large });
  assert.equal(reply.status, 201);
  assert.equal(reply.headers["x-path"], "/v1/x");
  assert.equal(reply.body.toString(), large);
  for (let nth = 0; nth < 3; nth++) assert.equal((await ask(service, { method: "HEAD" })).status, 201);
  assert.equal(active(client), 0);
});

test("what the limit does not let pass gets 429", async (t) => {
  let worked = 0;
  const service = await open(t, [rateLimit({ rate: 6, per: "1m", burst: 1 })], (context) => {
    worked++;
    return context.text("done");
  });
  assert.equal((await ask(service)).status, 200);
  const refused = await ask(service);
  assert.equal(refused.status, 429);
  assert.equal(refused.headers["ratelimit-policy"], '"rateLimit";q=6;w=60');
  assert.equal(problemOf(refused).code, "ERR_PREMESH_RATE_LIMITED");
  assert.equal(worked, 1);
});

test("a place is held until the response has ended, and freed when whoever asked leaves", async (t) => {
  const left = gate();
  const { client, port } = await open(t, [bulkhead({ limit: 1 })], (context) => {
    inboundCall(context.req.raw)?.signal.addEventListener("abort", () => left.open());
    return context.body(new ReadableStream({ start: (controller) => controller.enqueue(new TextEncoder().encode("first")) }));
  });
  const sent = request({ port, host: "127.0.0.1", agent: false }).end();
  sent.on("error", () => undefined);
  const [response] = (await once(sent, "response")) as [NodeJS.ReadableStream]; // the cast: that is what the event has
  await once(response, "data");
  assert.equal((await ask({ port })).status, 503);
  sent.destroy();
  await left.promise;
  while (active(client) !== 0) await turns();
});

test("work that takes too long is answered for", async (t) => {
  const clock = virtualClock();
  const [began, finish] = [gate(), gate()];
  const service = await open(
    t,
    [timeout("1s")],
    async (context) => {
      began.open();
      await finish.promise;
      return context.text("late");
    },
    { clock },
  );
  const asked = ask(service);
  await began.promise;
  await clock.advance(1_000);
  assert.equal((await asked).status, 504);
  finish.open();
});

test("a key: done once, and the same answer to all", async (t) => {
  let worked = 0;
  const service = await open(t, [idempotency({ buffer: 4_000_000 })], async (context) => {
    const body = await context.req.text();
    context.header("x-order", String(++worked));
    context.header("set-cookie", "a=1", { append: true });
    context.header("set-cookie", "b=2", { append: true });
    return context.body(body, 201);
  });
  const [first, second] = [await post(service, "k", { body: large }), await post(service, '"k"', { body: large })];
  for (const reply of [first, second]) {
    assert.equal(reply.status, 201);
    assert.equal(reply.headers["x-order"], "1");
    assert.deepEqual(reply.headers["set-cookie"], ["a=1", "b=2"]);
    assert.equal(reply.body.toString(), large);
  }
  assert.deepEqual(
    [first, second].map(({ headers }) => headers["idempotency-replayed"]),
    [undefined, "true"],
  );
  assert.equal((await post(service, "k")).status, 422);
  assert.equal(worked, 1);
});

test("whoever leaves finds its answer when it comes again", async (t) => {
  const [began, finish] = [gate(), gate()];
  let worked = 0;
  const { client, ...service } = await open(t, [bulkhead({ limit: 1 }), idempotency()], async (context) => {
    worked++;
    began.open();
    await finish.promise;
    return context.text("done");
  });
  const controller = new AbortController();
  const first = post(service, "k", { signal: controller.signal });
  await began.promise;
  controller.abort();
  await assert.rejects(first);
  while (active(client) !== 0) await turns();
  assert.equal((await post(service, "k")).status, 409);
  finish.open();
  let second = await post(service, "k");
  while (second.status === 409) second = await post(service, "k");
  assert.equal(second.body.toString(), "done");
  assert.equal(worked, 1);
});

test("inboundFetch: what the work throws is thrown, and an unmatched call is not touched", async () => {
  const policies = [definePolicy({ name: "guard", match: [{ path: "/v1", inbound: true }], layers: [bulkhead({ limit: 1 })] })];
  const client = createClient({ policies });
  const guarded = inboundFetch(client);
  const boom = new Error("boom");
  for (let nth = 0; nth < 2; nth++)
    await assert.rejects(
      guarded(new Request("http://a/v1"), () => Promise.reject(boom)),
      boom,
    );
  const response = new Response("x");
  assert.equal(await guarded(new Request("http://a/other"), () => response), response);
  assert.equal(active(client), 0);
  const held = await guarded(new Request("http://a/v1"), () => new Response("x"));
  assert.equal(active(client), 1);
  assert.equal((await guarded(new Request("http://a/v1"), () => new Response("x"))).status, 503);
  await held.body?.cancel();
  assert.equal(active(client), 0);
  await client.close();
  assert.equal((await guarded(new Request("http://a/v1"), () => new Response("x"))).status, 503);
});
