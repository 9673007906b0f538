// What the environment asks of OpenTelemetry, and what a collector gets of a running shim.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test } from "node:test";
import { telemetryWanted } from "../../src/sidecar/telemetry/environment.ts";
import { ask } from "../harness/http-get.ts";
import { startSidecarProcess } from "../harness/sidecar-process.ts";
import { openUpstream } from "../harness/upstream.ts";

suite("what the environment asks for", () => {
  const asked = (env: NodeJS.ProcessEnv): readonly unknown[] => {
    const { traces, metrics, problems } = telemetryWanted(env);
    return [traces, metrics, problems.length];
  };
  const ENDPOINT = "http://collector:4318";

  test("is nothing without a collector", () => {
    assert.deepEqual(asked({}), [undefined, undefined, 0]);
    assert.deepEqual(asked({ OTEL_EXPORTER_OTLP_ENDPOINT: " " }), [undefined, undefined, 0]);
  });

  test("is both with one, by protobuf, or JSON where that is said", () => {
    assert.deepEqual(asked({ OTEL_EXPORTER_OTLP_ENDPOINT: ENDPOINT }), ["http/protobuf", "http/protobuf", 0]);
    assert.deepEqual(asked({ OTEL_EXPORTER_OTLP_ENDPOINT: ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL: "http/json" }), [
      "http/json",
      "http/json",
      0,
    ]);
    assert.deepEqual(asked({ OTEL_EXPORTER_OTLP_ENDPOINT: ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: "http/json" }), [
      "http/json",
      "http/protobuf",
      0,
    ]);
  });

  test("is one where only that has a collector, or the other is none", () => {
    assert.deepEqual(asked({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: ENDPOINT }), ["http/protobuf", undefined, 0]);
    assert.deepEqual(asked({ OTEL_EXPORTER_OTLP_ENDPOINT: ENDPOINT, OTEL_METRICS_EXPORTER: "none" }), ["http/protobuf", undefined, 0]);
    assert.deepEqual(asked({ OTEL_TRACES_EXPORTER: "otlp" }), ["http/protobuf", undefined, 0]);
  });

  test("is nothing when all is switched off", () => {
    assert.deepEqual(asked({ OTEL_SDK_DISABLED: "true", OTEL_EXPORTER_OTLP_ENDPOINT: ENDPOINT }), [undefined, undefined, 0]);
  });

  test("is told of where it cannot be had", () => {
    assert.deepEqual(asked({ OTEL_EXPORTER_OTLP_ENDPOINT: ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" }), [undefined, undefined, 2]);
    assert.deepEqual(asked({ OTEL_TRACES_EXPORTER: "zipkin", OTEL_TRACES_SAMPLER: "some", OTEL_METRIC_EXPORT_INTERVAL: "soon" }), [
      undefined,
      undefined,
      3,
    ]);
  });
});

test("a collector gets spans beneath the caller's trace, and metrics, before the shim has ended", { timeout: 60_000 }, async (t) => {
  const got: { readonly path: string; readonly body: string }[] = [];
  const collector = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (text: string) => (body += text));
    request.on("end", () => {
      got.push({ path: request.url ?? "", body });
      response.setHeader("content-type", "application/json");
      response.end("{}");
    });
  });
  await new Promise<void>((resolve) => collector.listen(0, "127.0.0.1", resolve));
  t.after(() => collector.close().closeAllConnections());
  const upstream = await openUpstream(t, [{}]);
  const folder = mkdtempSync(join(tmpdir(), "premesh-otlp-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, "policies.json");
  const layers = [{ kind: "trace" }, { kind: "route", to: [{ endpoints: [upstream.url] }] }];
  writeFileSync(file, JSON.stringify([{ name: "shop", match: [{ host: "shop.internal" }], layers }]));
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${(collector.address() as AddressInfo).port}`, // the cast: it listens on a port
    OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
    OTEL_SERVICE_NAME: "shop-sidecar",
  };
  const shim = await startSidecarProcess(t, [file], { env });
  const trace = "0af7651916cd43dd8448eb211c80319c";
  const traceparent = `00-${trace}-b7ad6b7169203331-01`;
  assert.equal((await ask(shim.outbound, "http://shop.internal/a", { headers: { host: "shop.internal", traceparent } })).status, 200);
  shim.child.kill("SIGTERM");
  assert.equal(await shim.ended, 0);
  const traces = got
    .filter(({ path }) => path === "/v1/traces")
    .map(({ body }) => body)
    .join("");
  assert.ok(traces.includes('"b7ad6b7169203331"') && traces.includes("shop-sidecar") && traces.includes('"premesh shop"'), traces);
  assert.equal(traces.split(trace).length - 1, 2, "the span of the call and that of its attempt");
  const [sent] = upstream.requests;
  assert.match(String(sent?.headers["traceparent"]), new RegExp(`^00-${trace}-(?!b7ad6b7169203331)\\w{16}-01$`));
  const metrics = got
    .filter(({ path }) => path === "/v1/metrics")
    .map(({ body }) => body)
    .join("");
  assert.ok(metrics.includes("premesh.sidecar.requests") && metrics.includes("premesh.call.duration"), metrics);
});
