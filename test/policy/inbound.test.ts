// What is questionable about policies for calls that come in.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  definePolicy,
  fallback,
  hedge,
  idempotency,
  type LayerDefinition,
  type Match,
  retry,
  route,
  sidecar,
  timeout,
} from "../../src/index.ts";
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

test("what is wrong with a seam there is said in one sentence", () => {
  const finding = warningsOf([definePolicy({ name: "in", match: [{ inbound: true }], layers: [sidecar(), timeout("1s")] })], [""]).find(
    ({ code }) => code === "PM0530",
  );
  assert.equal(
    finding?.message,
    "on calls that come in the sidecar layer has no sidecar to hand them to, so only a sidecar before the service can run this policy for them",
  );
});

test("what idempotency asks of calls that come in is warned of where none do", () => {
  const layer = idempotency({ header: "X-Key", required: true, keep: "1h" });
  assert.deepEqual(found([{ host: "a" }], layer), ["PM0531 layers[1].required", "PM0531 layers[1].keep"]);
  assert.deepEqual(found([{ host: "a" }, { inbound: true }], layer), []);
});
