// trace: one span per call, one per attempt beneath it, and W3C context on the wire; with the real SDK.
import assert from "node:assert/strict";
import test, { after, beforeEach } from "node:test";
import { context, propagation, SpanKind, SpanStatusCode, trace as api } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import { UndiciInstrumentation } from "@opentelemetry/instrumentation-undici";
import { InMemorySpanExporter, type ReadableSpan, SimpleSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import { breaker, createClient, definePolicy, fallback, type LayerDefinition, retry, timeout, trace } from "../../src/index.ts";
import { turns } from "../harness/time.ts";
import { closedPort, openUpstream } from "../harness/upstream.ts";

const exporter = new InMemorySpanExporter();
const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] });
api.setGlobalTracerProvider(provider);
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
propagation.setGlobalPropagator(new W3CTraceContextPropagator());

beforeEach(() => exporter.reset());
after(() => provider.shutdown());

const clientOf = (...layers: LayerDefinition[]): ReturnType<typeof createClient> =>
  createClient({ policies: [definePolicy({ name: "p", match: [{ host: "*" }], layers: [trace(), ...layers] })] });
const again = retry({ backoff: { base: "0ms", max: "0ms" } });

/** The spans so far, once there are so many. */
async function spans(count: number): Promise<readonly ReadableSpan[]> {
  while (exporter.getFinishedSpans().length < count) await turns(1);
  await turns();
  const all = exporter.getFinishedSpans();
  assert.equal(all.length, count);
  return all;
}

const ofKind = (all: readonly ReadableSpan[], kind: SpanKind): ReadableSpan[] => all.filter((span) => span.kind === kind);
const attribute = (span: ReadableSpan | undefined, name: string): unknown => span?.attributes[name];
const traceparent = (span: ReadableSpan): string => `00-${span.spanContext().traceId}-${span.spanContext().spanId}-01`;

test("one INTERNAL span for the call and one CLIENT span beneath it for each attempt, each on the wire", async (t) => {
  const upstream = await openUpstream(t, [{ status: 503 }, "reset", {}]);
  await (await clientOf(again).fetch(`${upstream.url}a?sig=secret&b=c`)).text();
  const all = await spans(4);
  const [call, ...more] = ofKind(all, SpanKind.INTERNAL);
  const attempts = ofKind(all, SpanKind.CLIENT);
  assert.ok(call !== undefined && more.length === 0);
  assert.equal(call.name, "premesh p");
  assert.equal(attribute(call, "premesh.policy"), "p");
  assert.equal(attribute(call, "premesh.target"), upstream.host);
  assert.equal(attribute(call, "premesh.attempts"), 3);
  assert.equal(call.status.code, SpanStatusCode.UNSET);
  assert.deepEqual(
    attempts.map(({ name, parentSpanContext }) => [name, parentSpanContext?.spanId]),
    attempts.map(() => ["GET", call.spanContext().spanId]),
  );
  assert.deepEqual(
    attempts.map((span) => ["http.request.resend_count", "http.response.status_code", "error.type"].map((name) => attribute(span, name))),
    [
      [undefined, 503, "503"],
      [1, undefined, "UND_ERR_SOCKET"],
      [2, 200, undefined],
    ],
  );
  assert.deepEqual(
    attempts.map(({ status }) => status.code),
    [SpanStatusCode.ERROR, SpanStatusCode.ERROR, SpanStatusCode.UNSET],
  );
  const [host, port] = upstream.host.split(":");
  assert.deepEqual(
    ["http.request.method", "server.address", "server.port", "url.full"].map((name) => attribute(attempts[0], name)),
    ["GET", host, Number(port), `${upstream.url}a?sig=REDACTED&b=c`],
  );
  assert.deepEqual(
    upstream.requests.map(({ headers }) => headers["traceparent"]),
    attempts.map(traceparent),
  );
});

test("the call's span stands beneath the caller's own", async (t) => {
  const upstream = await openUpstream(t, [{}]);
  await api.getTracer("app").startActiveSpan("handler", async (span) => {
    await (await clientOf().fetch(upstream.url)).text();
    span.end();
  });
  const all = await spans(3);
  const handler = all.find(({ name }) => name === "handler");
  assert.equal(
    ofKind(all, SpanKind.INTERNAL).find(({ name }) => name === "premesh p")?.parentSpanContext?.spanId,
    handler?.spanContext().spanId,
  );
});

test("error.type says what it was: the status, the socket's code, or premesh's", async (t) => {
  const upstream = await openUpstream(t, [{ status: 500 }]);
  const errorTypes = async (client: ReturnType<typeof createClient>, url: string, count: number): Promise<unknown[]> => {
    exporter.reset();
    await client.fetch(url).then(
      (response) => response.text(),
      () => undefined,
    );
    return (await spans(count)).map((span) => attribute(span, "error.type"));
  };
  assert.deepEqual(await errorTypes(clientOf(), upstream.url, 2), ["500", "500"]);
  assert.deepEqual(await errorTypes(clientOf(), await closedPort(), 2), ["ECONNREFUSED", "ECONNREFUSED"]);
  const hanging = await openUpstream(t, ["hang"]);
  assert.deepEqual(await errorTypes(clientOf(timeout("20ms")), hanging.url, 2), ["ERR_PREMESH_TIMEOUT", "ERR_PREMESH_TIMEOUT"]);
  const open = clientOf(breaker());
  open.isolate("p");
  assert.deepEqual(await errorTypes(open, upstream.url, 1), ["unavailable"]);
});

test("spans end when the body has ended, and say when it broke off", async (t) => {
  const upstream = await openUpstream(t, [{ after: "hang" }, { after: "reset" }]);
  const client = clientOf();
  const response = await client.fetch(upstream.url);
  await turns();
  assert.equal(exporter.getFinishedSpans().length, 0);
  upstream.finish();
  await response.text();
  for (const span of await spans(2)) assert.equal(span.status.code, SpanStatusCode.UNSET);
  exporter.reset();
  await assert.rejects((await client.fetch(upstream.url)).text());
  for (const span of await spans(2)) {
    assert.equal(span.status.code, SpanStatusCode.ERROR);
    assert.match(String(attribute(span, "error.type")), /^(?:UND_ERR_SOCKET|HTTPParserError)$/); // as the peer's last byte was read or not
  }
});

test("a fallback is marked on the call's span", async (t) => {
  const upstream = await openUpstream(t, [{ status: 503 }]);
  await clientOf(fallback({ response: { status: 200 } })).fetch(upstream.url);
  const [call] = ofKind(await spans(2), SpanKind.INTERNAL);
  assert.deepEqual([attribute(call, "premesh.fallback"), call?.status.code], [true, SpanStatusCode.UNSET]);
});

test("what layers decided stands on the call's span, each at its time", async (t) => {
  const upstream = await openUpstream(t, [{ status: 503 }, {}]);
  await (await clientOf(again).fetch(upstream.url)).text();
  const [call] = ofKind(await spans(3), SpanKind.INTERNAL);
  assert.deepEqual(
    call?.events.map(({ name, attributes }) => [name, attributes]),
    [
      [
        "retry retrying",
        {
          "premesh.layer": "retry",
          "premesh.layer.kind": "retry",
          "premesh.decision": "retrying",
          "premesh.attempt": 1,
          "premesh.detail.code": "unavailable",
          "premesh.detail.status": 503,
          "premesh.detail.waitMs": 0,
          "premesh.detail.next": 2,
        },
      ],
    ],
  );
  assert.ok(call !== undefined);
  const ms = ([seconds, nanos]: readonly [number, number]): number => seconds * 1_000 + nanos / 1e6;
  const at = ms(call.events[0]?.time ?? [0, 0]);
  assert.ok(ms(call.startTime) - 2 <= at && at <= ms(call.endTime) + 2, "within the span, but for the clocks' grain");
});

test("run has its span too, and the work runs inside it", async () => {
  const client = clientOf(again);
  await client.run("p", () => api.getTracer("app").startActiveSpan("query", (span) => span.end()));
  const all = await spans(2);
  const call = all.find(({ name }) => name === "premesh p");
  assert.equal(all.find(({ name }) => name === "query")?.parentSpanContext?.spanId, call?.spanContext().spanId);
});

test("with undici's instrumentation at work its spans are the attempts': none twice, and the context is on the wire", async (t) => {
  const instrumentation = new UndiciInstrumentation();
  instrumentation.setTracerProvider(provider);
  t.after(() => instrumentation.disable());
  const upstream = await openUpstream(t, [{ status: 503 }, {}]);
  await (await clientOf(again).fetch(upstream.url)).text();
  const all = await spans(3);
  const [call, ...more] = ofKind(all, SpanKind.INTERNAL);
  assert.ok(call !== undefined && more.length === 0);
  const attempts = ofKind(all, SpanKind.CLIENT);
  for (const { parentSpanContext, instrumentationScope } of attempts) {
    assert.equal(parentSpanContext?.spanId, call.spanContext().spanId);
    assert.equal(instrumentationScope.name, "@opentelemetry/instrumentation-undici");
  }
  assert.deepEqual(
    attempts.map((span) => [attribute(span, "http.request.resend_count"), attribute(span, "premesh.policy")]),
    [
      [undefined, "p"],
      [1, "p"],
    ],
  );
  assert.deepEqual(
    upstream.requests.map(({ headers }) => headers["traceparent"]),
    attempts.map(traceparent),
  );
});
