// Spans of calls that come in, with the real SDK: SERVER, beneath the caller's, with the work within.
import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";
import { context, propagation, SpanKind, SpanStatusCode, trace as api } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import { InMemorySpanExporter, type ReadableSpan, SimpleSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import { createClient, definePolicy, idempotency, rateLimit, trace } from "../../../src/index.ts";
import { inboundFetch } from "../../../src/inbound.ts";
import { turns } from "../../harness/time.ts";
import { ask, open, post } from "./service.ts";

const exporter = new InMemorySpanExporter();
const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] });
api.setGlobalTracerProvider(provider);
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
propagation.setGlobalPropagator(new W3CTraceContextPropagator());

beforeEach(() => exporter.reset());
after(() => provider.shutdown());

const caller = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331" };
const traceparent = `00-${caller.traceId}-${caller.spanId}-01`;

async function spans(count: number): Promise<readonly ReadableSpan[]> {
  while (exporter.getFinishedSpans().length < count) await turns(1);
  return exporter.getFinishedSpans();
}

test("a call that comes in is a SERVER span beneath the caller's, and the work is within it, also behind a key", async (t) => {
  const active: unknown[] = [];
  const service = await open(t, [trace(), idempotency()], (_incoming, response) => {
    active.push(api.getActiveSpan()?.spanContext());
    response.statusCode = 201;
    response.end("done");
  });
  for (const key of [undefined, "k"]) {
    exporter.reset();
    await post(service, key, { path: "/orders?token=secret", headers: { traceparent } });
    const [span] = await spans(1);
    assert.ok(span);
    assert.equal(span.kind, SpanKind.SERVER);
    assert.equal(span.name, "POST");
    assert.deepEqual([span.spanContext().traceId, span.parentSpanContext?.spanId], [caller.traceId, caller.spanId]);
    assert.deepEqual(active.at(-1), span.spanContext());
    const { attributes } = span;
    assert.deepEqual(
      [attributes["premesh.policy"], attributes["http.request.method"], attributes["url.path"], attributes["http.response.status_code"]],
      ["guard", "POST", "/orders", 201],
    );
    assert.doesNotMatch(JSON.stringify(attributes), /secret/);
    assert.equal(span.status.code, SpanStatusCode.UNSET);
  }
});

test("5xx of the handler's is an error; what the caller did wrong or too often is none", async (t) => {
  let status = 404;
  const service = await open(t, [trace(), rateLimit({ rate: 2, per: "1h", burst: 2 })], (_incoming, response) => {
    response.statusCode = status;
    response.end();
  });
  await ask(service);
  status = 500;
  await ask(service);
  assert.equal((await ask(service)).status, 429);
  assert.deepEqual(
    (await spans(3)).map((span) => span.status.code),
    [SpanStatusCode.UNSET, SpanStatusCode.ERROR, SpanStatusCode.UNSET],
  );
});

test("beneath the span of an instrumentation it is an INTERNAL one", async () => {
  const client = createClient({ policies: [definePolicy({ name: "guard", match: [{ inbound: true }], layers: [trace()] })] });
  const guarded = inboundFetch(client);
  const server = provider.getTracer("instrumentation-http").startSpan("GET", { kind: SpanKind.SERVER });
  await context.with(api.setSpan(context.active(), server), async () => {
    await (await guarded(new Request("http://a/", { headers: { traceparent } }), () => new Response("x"))).text();
  });
  server.end();
  const [ours] = await spans(2);
  assert.deepEqual(
    [ours?.name, ours?.kind, ours?.parentSpanContext?.spanId],
    ["premesh guard", SpanKind.INTERNAL, server.spanContext().spanId],
  );
  await client.close();
});
