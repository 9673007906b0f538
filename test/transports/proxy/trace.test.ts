// Spans through the proxy, by OpenTelemetry's conventions: those of the call stand in the trace that the request came with.
import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";
import { Metadata } from "@grpc/grpc-js";
import { context, propagation, SpanKind, trace as api } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import { InMemorySpanExporter, type ReadableSpan, SimpleSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import { definePolicy, type LayerDefinition, retry, route, trace } from "../../../src/index.ts";
import { ask } from "../../harness/ask.ts";
import { openShim } from "../../harness/shim.ts";
import { turns } from "../../harness/time.ts";
import { openUpstream } from "../../harness/upstream.ts";
import { echoClient, start } from "../grpc/calls.ts";
import { openPeer } from "../grpc/peer.ts";

const exporter = new InMemorySpanExporter();
const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] });
api.setGlobalTracerProvider(provider);
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
propagation.setGlobalPropagator(new W3CTraceContextPropagator());

beforeEach(() => exporter.reset());
after(() => provider.shutdown());

const again = retry({ methods: ["*"], backoff: { base: "0ms" } });
const policy = (layers: readonly LayerDefinition[]) => ({ policies: [definePolicy({ name: "p", match: [{ host: "*" }], layers })] });

async function spans(count: number): Promise<readonly ReadableSpan[]> {
  while (exporter.getFinishedSpans().length < count) await turns(1);
  return exporter.getFinishedSpans();
}

const OUTER = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331" };
const traceparent = `00-${OUTER.traceId}-${OUTER.spanId}-01`;
const onWire = (span: ReadableSpan): string => `00-${span.spanContext().traceId}-${span.spanContext().spanId}-01`;

test("HTTP: INTERNAL for the call, beneath the span that the request came with; CLIENT for each attempt, each on the wire", async (t) => {
  const upstream = await openUpstream(t, [{ status: 503 }, {}]);
  const shim = await openShim(t, policy([trace(), again]));
  await ask(shim.address, { host: upstream.host, path: "/a?sig=secret", headers: { traceparent, tracestate: "a=b" } });
  const all = await spans(3);
  const call = all.find(({ kind }) => kind === SpanKind.INTERNAL);
  const attempts = all.filter(({ kind }) => kind === SpanKind.CLIENT);
  assert.deepEqual([call?.name, call?.parentSpanContext?.spanId, call?.spanContext().traceId], ["premesh p", OUTER.spanId, OUTER.traceId]);
  assert.deepEqual(
    attempts.map(({ parentSpanContext }) => parentSpanContext?.spanId),
    attempts.map(() => call?.spanContext().spanId),
  );
  assert.deepEqual(
    upstream.requests.map(({ headers }) => [headers["traceparent"], headers["tracestate"]]),
    attempts.map((span) => [onWire(span), "a=b"]),
  );
  const { port } = new URL(upstream.url);
  assert.deepEqual(
    attempts.map(({ name, attributes }) => [
      name,
      attributes["server.port"],
      attributes["url.full"],
      attributes["http.response.status_code"],
      attributes["http.request.resend_count"],
    ]),
    [
      ["GET", Number(port), `http://127.0.0.1:${port}/a?sig=REDACTED`, 503, undefined],
      ["GET", Number(port), `http://127.0.0.1:${port}/a?sig=REDACTED`, 200, 1],
    ],
  );
});

test("gRPC: CLIENT for the call with its status, INTERNAL for each attempt", async (t) => {
  const peer = await openPeer(t, (attempt) => {
    if (attempt.nth === 1) return attempt.status(14);
    attempt.send("fine");
    return attempt.status(5);
  });
  const shim = await openShim(t, policy([trace(), again, route({ to: [{ endpoints: [`http://${peer.address}`] }] })]));
  const metadata = new Metadata();
  metadata.set("traceparent", traceparent);
  await start(echoClient(t, shim.address), "Unary", { messages: ["a"], metadata }).came;
  const all = await spans(3);
  const call = all.find(({ kind }) => kind === SpanKind.CLIENT);
  const attempts = all.filter(({ kind }) => kind === SpanKind.INTERNAL);
  assert.deepEqual(
    [call?.name, call?.parentSpanContext?.spanId, call?.attributes["rpc.status_code"]],
    ["test.Echo/Unary", OUTER.spanId, "NOT_FOUND"],
  );
  assert.deepEqual(
    attempts.map(({ attributes }) => attributes["rpc.status_code"]),
    ["UNAVAILABLE", "NOT_FOUND"],
  );
  assert.deepEqual(
    peer.attempts.map(({ headers }) => headers["traceparent"]),
    attempts.map(onWire),
  );
});

test("a call that comes in: SERVER for the call, beneath its caller's span; CLIENT for what goes to the application, on the wire", async (t) => {
  const app = await openUpstream(t, [{}]);
  const policies = [definePolicy({ name: "in", match: [{ inbound: true }], layers: [trace()] })];
  const shim = await openShim(t, { policies }, { direction: "inbound", app: { origin: new URL(app.url) }, trusts: () => false });
  await ask(shim.address, { path: "/a", headers: { traceparent } });
  const all = await spans(2);
  const call = all.find(({ kind }) => kind === SpanKind.SERVER);
  const attempt = all.find(({ kind }) => kind === SpanKind.CLIENT);
  assert.deepEqual([call?.parentSpanContext?.spanId, call?.attributes["http.response.status_code"]], [OUTER.spanId, 200]);
  assert.equal(attempt?.parentSpanContext?.spanId, call?.spanContext().spanId);
  assert.equal(app.requests[0]?.headers["traceparent"], attempt === undefined ? "" : onWire(attempt));
});
