// Which policy an RPC belongs to: services, methods and hosts; the most specific match wins.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { definePolicy, type Match } from "../../src/index.ts";
import { newMatching } from "../../src/policy/matching.ts";

const HOST = "payments.internal:443";
const CHARGE = "payments.v1.Payments/Charge";

/** The name of the policy that an RPC goes to. */
function chosen(matches: Readonly<Record<string, Match | readonly Match[]>>, host = HOST, method = CHARGE): string {
  const policies = Object.entries(matches).map(([name, match]) => ({
    policy: definePolicy({ name, match: Array.isArray(match) ? match : [match], layers: [] }),
  }));
  return newMatching(policies).findRpc(host, method)?.policy.name ?? "none";
}

describe("a service", () => {
  const rows: readonly (readonly [match: Match, method: string, fits: boolean])[] = [
    [{ service: "payments.v1.Payments" }, CHARGE, true],
    [{ service: "payments.v1.Payments" }, "payments.v1.Payments/Refund", true],
    [{ service: "payments.v1.Payments" }, "payments.v1.PaymentsAdmin/Charge", false],
    [{ service: "payments.v1" }, CHARGE, false],
    [{ service: "Payments" }, CHARGE, false],
    [{ service: "payments.v1.payments" }, CHARGE, false],
    [{ service: "*" }, CHARGE, true],
    [{ service: "payments.v1.Payments", method: "Charge" }, CHARGE, true],
    [{ service: "payments.v1.Payments", method: "Charge" }, "payments.v1.Payments/ChargeAll", false],
    [{ service: "*", method: "Check" }, "grpc.health.v1.Health/Check", true],
    [{ service: "*", method: "Check" }, CHARGE, false],
    [{ service: "payments.v1.Payments", inbound: true }, CHARGE, false],
    [{ service: "payments.v1.Payments", host: "payments.internal" }, CHARGE, true],
    [{ service: "payments.v1.Payments", host: "payments.internal:443" }, CHARGE, true],
    [{ service: "payments.v1.Payments", host: "other.internal" }, CHARGE, false],
    [{ service: "Unpackaged" }, "Unpackaged/Do", true],
  ];
  for (const [match, method, fits] of rows) {
    test(`${JSON.stringify(match)} ${fits ? "fits" : "does not fit"} ${method}`, () => {
      assert.equal(chosen({ it: match }, HOST, method), fits ? "it" : "none");
    });
  }
});

describe("an entry without a service fits an RPC as it fits any POST to /service/method", () => {
  const rows: readonly (readonly [match: Match, fits: boolean])[] = [
    [{ host: "*" }, true],
    [{ host: "*.internal" }, true],
    [{ host: "payments.internal" }, true],
    [{ host: "payments.internal:80" }, false],
    [{ path: "/payments.v1.Payments" }, true],
    [{ path: "/payments.v1.Payments/Charge" }, true],
    [{ path: "/payments" }, false],
    [{ methods: ["POST"] }, true],
    [{ methods: ["GET"] }, false],
    [{ host: "*", inbound: true }, false],
  ];
  for (const [match, fits] of rows) {
    test(`${JSON.stringify(match)} ${fits ? "fits" : "does not fit"}`, () => {
      assert.equal(chosen({ it: match }), fits ? "it" : "none");
    });
  }
});

describe("the more specific entry wins, wherever it stands", () => {
  const order: readonly (readonly [name: string, match: Match])[] = [
    ["method", { service: "payments.v1.Payments", method: "Charge" }],
    ["service-host", { service: "payments.v1.Payments", host: "payments.internal" }],
    ["service", { service: "payments.v1.Payments" }],
    ["any-service-method", { service: "*", method: "Charge" }],
    ["any-service-host", { service: "*", host: "payments.internal" }],
    ["any-service", { service: "*" }],
    ["host-port", { host: "payments.internal:443" }],
    ["host-path", { host: "payments.internal", path: "/payments.v1.Payments" }],
    ["host", { host: "payments.internal" }],
    ["wildcard", { host: "*.internal" }],
    ["everything", { host: "*" }],
  ];
  for (const [index, [name]] of order.entries()) {
    test(name, () => {
      const rest = order.slice(index);
      assert.equal(chosen(Object.fromEntries(rest)), name);
      assert.equal(chosen(Object.fromEntries(rest.toReversed())), name);
    });
  }
});

test("among equals the first in the list wins", () => {
  assert.equal(chosen({ first: { service: "*" }, second: { service: "*" } }), "first");
});

test("what is remembered of one host or method is not taken for another's", () => {
  const only = { policy: definePolicy({ name: "it", match: [{ service: "a.A", host: "one.internal" }], layers: [] }) };
  const matching = newMatching([only]);
  for (let round = 0; round < 2; round++) {
    assert.equal(matching.findRpc("one.internal:443", "a.A/Do"), only);
    assert.equal(matching.findRpc("two.internal:443", "a.A/Do"), undefined);
    assert.equal(matching.findRpc("one.internal:443", "a.B/Do"), undefined);
  }
});
