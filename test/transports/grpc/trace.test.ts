// Spans of RPCs by OpenTelemetry's conventions, and no second CLIENT span where grpc-js is instrumented; each program is a process of its own.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { SpanKind } from "@opentelemetry/api";
import type { Shown, Traced } from "./traced.ts";

async function traced(how: "plain" | "instrumented"): Promise<Traced> {
  const file = fileURLToPath(new URL("traced.ts", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [file, how], { env: { ...process.env, NODE_OPTIONS: "" } });
  return JSON.parse(stdout) as Traced; // the cast: what the program prints
}

/** The kinds that count as a client's, as numbers. */
const CLIENT: ReadonlySet<number> = new Set([SpanKind.CLIENT]);

const attempts = ({ spans }: Traced, method: string): readonly Shown[] =>
  spans.filter(({ name }) => name === `Attempt test.Echo/${method}`);
const clients = ({ spans }: Traced): readonly Shown[] => spans.filter(({ kind }) => CLIENT.has(kind));
const status = ({ attributes }: Shown): unknown => attributes["rpc.status_code"];

describe("without an instrumentation", () => {
  test("one CLIENT span for the call, one INTERNAL span beneath it for each attempt, each on the wire", async () => {
    const all = await traced("plain");
    const [unary, stream] = clients(all);
    assert.ok(unary !== undefined && stream !== undefined && clients(all).length === 2);
    assert.deepEqual([unary.name, status(unary), unary.error], ["test.Echo/Unary", "OK", false]);
    const { attributes } = unary;
    assert.deepEqual(
      [attributes["rpc.system.name"], attributes["rpc.method"], attributes["premesh.attempts"]],
      ["grpc", "test.Echo/Unary", 3],
    );
    const sends = attempts(all, "Unary");
    assert.deepEqual(sends.map(status), ["UNAVAILABLE", "UNAVAILABLE", "OK"]);
    for (const { parent, kind } of sends) assert.deepEqual([parent, kind], [unary.id, SpanKind.INTERNAL]);
    assert.deepEqual(
      all.traceparents,
      [...sends, ...attempts(all, "ServerStream")].map(({ id, trace }) => `00-${trace}-${id}-01`),
    );
  });

  test("a stream that fails behind its head has the status that ended it", async () => {
    const [, stream] = clients(await traced("plain"));
    assert.ok(stream !== undefined);
    assert.deepEqual([status(stream), stream.error, stream.attributes["error.type"]], ["NOT_FOUND", true, "not-found"]);
  });
});

test("where grpc-js is instrumented, its span is the only CLIENT one, and ours stand beneath it", async () => {
  const all = await traced("instrumented");
  assert.deepEqual(
    clients(all).map(({ name }) => name),
    ["grpc.test.Echo/Unary", "grpc.test.Echo/ServerStream"],
  );
  const [outer] = clients(all);
  const call = all.spans.find(({ parent }) => parent === outer?.id);
  assert.ok(call !== undefined);
  assert.deepEqual([call.name, call.kind], ["premesh echo", SpanKind.INTERNAL]);
  for (const { parent } of attempts(all, "Unary")) assert.equal(parent, call.id);
  assert.equal(all.spans.length, 8);
});
