// What is questionable about policies for calls that come in.
import assert from "node:assert/strict";
import { test } from "node:test";
import { definePolicy, fallback, hedge, idempotency, type LayerDefinition, type Match, retry, route, timeout } from "../../src/index.ts";
import { warningsOf } from "../../src/policy/warnings.ts";

const found = (match: readonly Match[], ...layers: readonly LayerDefinition[]): string[] =>
  warningsOf([definePolicy({ name: "p", match, layers: [timeout("1s"), ...layers] })], [""])
    .filter(({ code }) => code.startsWith("PM053"))
    .map(({ code, path }) => `${code} ${path}`);

test("layers that would do the work again, or have nowhere to send it, are warned of where calls come in", () => {
  const layers = [
    retry({ methods: ["GET"] }),
    hedge({ after: "50ms", max: 1 }),
    fallback({ response: { target: "https://backup.internal" } }),
    fallback({ name: "fixed", response: { status: 200 } }),
    route({ to: [{ endpoints: ["http://a"] }] }),
  ];
  assert.deepEqual(found([{ inbound: true }], ...layers), ["PM0530 layers[1]", "PM0530 layers[2]", "PM0530 layers[3]", "PM0530 layers[5]"]);
  assert.deepEqual(found([{ host: "a" }], ...layers), []);
});

test("what idempotency asks of calls that come in is warned of where none do", () => {
  const layer = idempotency({ header: "X-Key", required: true, keep: "1h" });
  assert.deepEqual(found([{ host: "a" }], layer), ["PM0531 layers[1].required", "PM0531 layers[1].keep"]);
  assert.deepEqual(found([{ host: "a" }, { inbound: true }], layer), []);
});
