// trace beside a subscriber of undici's channel that opens no spans: another vendor's agent, say. It must not cost the attempts theirs.
import assert from "node:assert/strict";
import { subscribe } from "node:diagnostics_channel";
import test, { after } from "node:test";
import { context, propagation, SpanKind, trace as api } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import { UndiciInstrumentation } from "@opentelemetry/instrumentation-undici";
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import { createClient, definePolicy, trace } from "../../src/index.ts";
import { turns } from "../harness/time.ts";
import { openUpstream } from "../harness/upstream.ts";

const exporter = new InMemorySpanExporter();
const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] });
api.setGlobalTracerProvider(provider);
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
propagation.setGlobalPropagator(new W3CTraceContextPropagator());
after(() => provider.shutdown());

subscribe("undici:request:create", () => undefined);

test("it is found out with the first attempt, and an instrumentation that comes later with its first span", async (t) => {
  const upstream = await openUpstream(t, [{}]);
  const client = createClient({ policies: [definePolicy({ name: "p", match: [{ host: "*" }], layers: [trace()] })] });
  const scopes = async (): Promise<readonly string[]> => {
    exporter.reset();
    await (await client.fetch(upstream.url)).text();
    await turns();
    return exporter
      .getFinishedSpans()
      .filter(({ kind }) => kind === SpanKind.CLIENT)
      .map(({ instrumentationScope }) => instrumentationScope.name);
  };
  assert.deepEqual(await scopes(), []);
  assert.deepEqual(await scopes(), ["premesh"]);
  const instrumentation = new UndiciInstrumentation();
  instrumentation.setTracerProvider(provider);
  assert.deepEqual((await scopes()).toSorted(), ["@opentelemetry/instrumentation-undici", "premesh"]);
  assert.deepEqual(await scopes(), ["@opentelemetry/instrumentation-undici"]);
  instrumentation.disable();
});
