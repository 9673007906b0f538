// Traces and metrics over real OTLP/HTTP, from the packed premesh under both lines of OpenTelemetry's SDK, with and without undici's instrumentation.
import assert from "node:assert/strict";
import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import http from "node:http";
import { join } from "node:path";
import { before, suite, test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { closedPort, openUpstream } from "../harness/upstream.ts";
import { folder, npm, pack, run, skip } from "./packing.ts";

/** What a user of each line installs. */
const LINES: Readonly<Record<string, readonly string[]>> = {
  "2.x": [
    "@opentelemetry/api@~1.9.0",
    "@opentelemetry/core@^2.12.0",
    "@opentelemetry/context-async-hooks@^2.12.0",
    "@opentelemetry/sdk-trace-base@^2.12.0",
    "@opentelemetry/sdk-metrics@^2.12.0",
    "@opentelemetry/exporter-trace-otlp-http@^0.220.0",
    "@opentelemetry/exporter-metrics-otlp-http@^0.220.0",
    "@opentelemetry/instrumentation-undici@0.30.0",
  ],
  "3.x": [
    "@opentelemetry/api@^1.10.0",
    "@opentelemetry/core@^3.1.1",
    "@opentelemetry/context-async-hooks@^3.1.1",
    "@opentelemetry/sdk-trace@^3.1.1",
    "@opentelemetry/sdk-metrics@^3.1.1",
    "@opentelemetry/exporter-trace-otlp-http@0.301.0",
    "@opentelemetry/exporter-metrics-otlp-http@0.301.0",
    "@opentelemetry/instrumentation-undici@^0.34.0",
  ],
};

/** OTLP's JSON, as far as it is looked at. */
interface Attribute {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}
interface Span {
  readonly name: string;
  readonly kind: number;
  readonly spanId: string;
  readonly traceId: string;
  readonly parentSpanId?: string;
  readonly attributes: readonly Attribute[];
}
interface Batch {
  readonly resourceSpans?: readonly {
    readonly scopeSpans: readonly { readonly scope: { readonly name: string }; readonly spans: readonly Span[] }[];
  }[];
  readonly resourceMetrics?: readonly { readonly scopeMetrics: readonly { readonly metrics: readonly { readonly name: string }[] }[] }[];
}

const INTERNAL = 1;
const CLIENT = 3;

/** A collector that takes OTLP/HTTP in JSON, and keeps it. */
async function openCollector(t: TestContext): Promise<{ url: string; spans: () => (Span & { scope: string })[]; metrics: () => string[] }> {
  const batches: Batch[] = [];
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      batches.push(JSON.parse(Buffer.concat(chunks).toString()) as Batch); // the cast: what exporters send
      response.setHeader("content-type", "application/json");
      response.end("{}");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close().closeAllConnections());
  return {
    url: `http://127.0.0.1:${(server.address() as { port: number }).port}`, // the cast: it listens on a port
    spans: () =>
      batches
        .flatMap(({ resourceSpans = [] }) => resourceSpans.flatMap(({ scopeSpans }) => scopeSpans))
        .flatMap(({ scope, spans }) => spans.map((span) => Object.assign(span, { scope: scope.name }))),
    metrics: () =>
      batches
        .flatMap(({ resourceMetrics = [] }) => resourceMetrics.flatMap(({ scopeMetrics }) => scopeMetrics))
        .flatMap(({ metrics }) => metrics.map(({ name }) => name)),
  };
}

const attribute = ({ attributes }: Span, name: string): unknown => {
  const { value = {} } = attributes.find(({ key }) => key === name) ?? {};
  return value["intValue"] === undefined ? value["stringValue"] : Number(value["intValue"]);
};

const consumer = (line: string): string => join(folder, `otel-${line}`);

suite("OpenTelemetry", { skip, timeout: 300_000 }, () => {
  before(async () => {
    const tarball = await pack();
    const install = async ([line, packages]: readonly [string, readonly string[]]): Promise<void> => {
      mkdirSync(consumer(line));
      writeFileSync(join(consumer(line), "package.json"), JSON.stringify({ private: true }));
      await npm(consumer(line), "install", tarball, ...packages);
      cpSync(fileURLToPath(new URL("otel-program.mjs", import.meta.url)), join(consumer(line), "program.mjs"));
    };
    await Promise.all(Object.entries(LINES).map(install));
  });

  for (const line of Object.keys(LINES)) {
    for (const how of ["plain", "instrumented"]) {
      test(`SDK ${line}, ${how}: one span for the call, one for each attempt, resends counted, context on the wire, metrics exported`, async (t) => {
        const collector = await openCollector(t);
        const upstream = await openUpstream(t, [{ status: 503 }, "reset", {}]);
        assert.equal(await run(consumer(line), process.execPath, ["program.mjs", collector.url, upstream.url, how]), "200\n");
        // the exporter's own requests have spans too where undici is instrumented and it sends by fetch
        const spans = collector.spans().filter((span) => !String(attribute(span, "url.full")).startsWith(collector.url));
        const [call, ...none] = spans.filter(({ kind }) => kind === INTERNAL);
        assert.ok(call !== undefined && none.length === 0, JSON.stringify(spans));
        const attempts = spans.filter(({ kind }) => kind === CLIENT);
        assert.equal(spans.length, 4);
        assert.deepEqual([call.name, call.scope, attribute(call, "premesh.attempts")], ["premesh p", "premesh", 3]);
        assert.deepEqual(
          attempts.map((span) => [
            span.parentSpanId,
            span.scope,
            attribute(span, "http.request.resend_count"),
            attribute(span, "http.response.status_code"),
          ]),
          [
            [call.spanId, how === "plain" ? "premesh" : "@opentelemetry/instrumentation-undici", undefined, 503],
            [call.spanId, how === "plain" ? "premesh" : "@opentelemetry/instrumentation-undici", 1, undefined],
            [call.spanId, how === "plain" ? "premesh" : "@opentelemetry/instrumentation-undici", 2, 200],
          ],
        );
        assert.deepEqual(
          upstream.requests.map(({ headers }) => headers["traceparent"]),
          attempts.map(({ traceId, spanId }) => `00-${traceId}-${spanId}-01`),
        );
        for (const name of [
          "premesh.call.duration",
          "premesh.attempt.duration",
          "premesh.call.attempts",
          "premesh.retry.delay",
          "premesh.policy.info",
        ])
          assert.ok(collector.metrics().includes(name), name);
      });
    }

    test(`SDK ${line}: a collector that is down costs no call`, async (t) => {
      const upstream = await openUpstream(t, [{}]);
      const down = (await closedPort()).replace(/\/$/, "");
      assert.equal(await run(consumer(line), process.execPath, ["program.mjs", down, upstream.url, "plain", "200"]), "200\n");
    });
  }
});
