// trace over Connect: a span for the call, one for each attempt beneath it, W3C context on the wire, and the end of a stream; with the real SDK.
import assert from "node:assert/strict";
import test, { after, beforeEach } from "node:test";
import { context, propagation, SpanKind, SpanStatusCode, trace as api } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import { InMemorySpanExporter, type ReadableSpan, SimpleSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import { Code } from "@connectrpc/connect";
import { retry, trace } from "../../../src/index.ts";
import { gate, turns } from "../../harness/time.ts";
import { all, failure, SERVICE, texts } from "./service.ts";
import { openTrial } from "./trial.ts";

const exporter = new InMemorySpanExporter();
const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] });
api.setGlobalTracerProvider(provider);
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
propagation.setGlobalPropagator(new W3CTraceContextPropagator());

beforeEach(() => exporter.reset());
after(() => provider.shutdown());

/** The spans so far, once there are so many. */
async function spans(count: number): Promise<readonly ReadableSpan[]> {
  while (exporter.getFinishedSpans().length < count) await turns(1);
  await turns();
  const finished = exporter.getFinishedSpans();
  assert.equal(finished.length, count);
  return finished;
}

const layers = [trace(), retry({ attempts: 3, methods: ["*"], backoff: { base: "0ms" } })];

test("one CLIENT span for the call, and beneath it one for each attempt, which is what the server is told", async (t) => {
  const { kinds, server } = await openTrial(t, layers, [{ fail: Code.Unavailable }, { reset: "connection" }, {}]);
  await kinds.collect(texts("a", "b"));
  const [call, ...none] = (await spans(4)).filter(({ kind }) => kind === SpanKind.CLIENT);
  assert.ok(call !== undefined && none.length === 0);
  assert.equal(call.name, `${SERVICE}/Collect`);
  assert.equal(call.attributes["rpc.system.name"], "connectrpc");
  assert.equal(call.attributes["rpc.method"], `${SERVICE}/Collect`);
  assert.equal(call.attributes["premesh.attempts"], 3);
  const attempts = exporter.getFinishedSpans().filter(({ kind }) => kind === SpanKind.INTERNAL);
  assert.deepEqual(
    attempts.map(({ parentSpanContext, status }) => [parentSpanContext?.spanId, status.code]),
    [SpanStatusCode.ERROR, SpanStatusCode.ERROR, SpanStatusCode.UNSET].map((code) => [call.spanContext().spanId, code]),
  );
  assert.deepEqual(
    server.seen.map(({ header }) => header.get("traceparent")),
    attempts.map((span) => `00-${span.spanContext().traceId}-${span.spanContext().spanId}-01`),
  );
});

test("the spans of a stream end when it does", async (t) => {
  const { kinds } = await openTrial(t, layers);
  const replies = kinds.count({ value: "n" })[Symbol.asyncIterator]();
  await replies.next();
  await turns();
  assert.equal(exporter.getFinishedSpans().length, 0);
  await replies.return?.();
  await spans(2);
});

test("a stream that breaks off says so on its spans", async (t) => {
  const read = gate();
  const { kinds } = await openTrial(t, layers, [{ sends: 1, holds: read.promise, fail: Code.DataLoss }]);
  await failure(
    (async () => {
      for await (const message of kinds.count({ value: "n" })) if (message.value === "n1") read.open();
    })(),
  );
  for (const span of await spans(2)) assert.equal(span.status.code, SpanStatusCode.ERROR, span.name);
});

test("context of the caller's own is not replaced", async (t) => {
  const { kinds, server } = await openTrial(t, layers);
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  await all(kinds.count({ value: "n" }, { headers: { traceparent } }));
  assert.equal(server.seen[0]?.header.get("traceparent"), traceparent);
});
