// Calls that come in go by the entries with `inbound`, and calls that go out by the others.
import assert from "node:assert/strict";
import test from "node:test";
import { definePolicy } from "../../src/index.ts";
import { newMatching } from "../../src/policy/matching.ts";

const out = { policy: definePolicy({ name: "out", match: [{ host: "*" }], layers: [] }) };
const guard = {
  policy: definePolicy({
    name: "guard",
    match: [
      { path: "/v1", inbound: true },
      { service: "a.A", inbound: true },
    ],
    layers: [],
  }),
};
const both = { policy: definePolicy({ name: "both", match: [{ path: "/v1/both" }, { path: "/v1/both", inbound: true }], layers: [] }) };

const inbound = newMatching([out, guard, both], "inbound");
const outbound = newMatching([out, guard, both]);

test("an entry of the other direction never fits", () => {
  assert.equal(inbound.find("shop.internal:80", "/", "GET"), undefined);
  assert.equal(inbound.find("shop.internal:80", "/v1/x", "GET"), guard);
  assert.equal(outbound.find("shop.internal:80", "/v1/x", "GET"), out);
});

test("RPCs go by service in either direction", () => {
  assert.equal(inbound.findRpc("shop.internal:80", "a.A/Do"), guard);
  assert.equal(inbound.findRpc("shop.internal:80", "a.B/Do"), undefined);
  assert.equal(outbound.findRpc("shop.internal:80", "a.A/Do"), out);
});

test("a policy may be for both", () => {
  assert.equal(inbound.find("shop.internal:80", "/v1/both", "GET"), both);
  assert.equal(outbound.find("shop.internal:80", "/v1/both", "GET"), both);
});
