// What counts as which failure: every status, error and thrown value is judged in one place.
import assert from "node:assert/strict";
import test from "node:test";
import {
  abortedOutcome,
  conditionsOfCode,
  conditionsOfHttpStatus,
  errorOutcome,
  gaveUpOutcome,
  httpOutcome,
  matcher,
  misuseOutcome,
  REFUSAL,
  rpcFailure,
  thrownOutcome,
  TIMEOUT,
} from "../../src/call/classify.ts";
import { Code } from "../../src/call/codes.ts";
import type { Failure, Outcome } from "../../src/call/outcome.ts";
import { type Condition, CONDITIONS } from "../../src/policy/conditions.ts";
import { PolicyError } from "../../src/policy/error.ts";

const failure = (conditions: number): Failure<never> => ({ ok: false, code: Code.UNKNOWN, by: "peer", sent: true, conditions });
const wordsOf = (outcome: Outcome<unknown>): Condition[] => CONDITIONS.filter((word) => matcher([word])(outcome));
const status = (code: number): Condition[] => wordsOf(failure(conditionsOfHttpStatus(code)));
const coded = (code: string, cause?: Error): Error => Object.assign(new Error(code, { cause }), { code });

test("statuses fit Envoy's words and gRPC's", () => {
  assert.deepEqual(status(400), ["invalid-argument"]);
  assert.deepEqual(status(401), ["unauthenticated"]);
  assert.deepEqual(status(403), ["permission-denied"]);
  assert.deepEqual(status(404), ["not-found"]);
  assert.deepEqual(status(409), ["retriable-4xx", "aborted"]);
  assert.deepEqual(status(429), ["resource-exhausted"]);
  assert.deepEqual(status(499), ["cancelled"]);
  assert.deepEqual(status(500), ["5xx", "internal"]);
  assert.deepEqual(status(501), ["5xx", "unimplemented"]);
  assert.deepEqual(status(502), ["5xx", "gateway-error", "unavailable"]);
  assert.deepEqual(status(503), ["5xx", "gateway-error", "unavailable"]);
  assert.deepEqual(status(504), ["5xx", "gateway-error", "deadline-exceeded"]);
  assert.deepEqual(status(507), ["5xx", "internal"]);
  assert.deepEqual(status(418), ["failed-precondition"]);
});

test("every gRPC code fits its own word and no other", () => {
  for (const code of Object.values(Code)) assert.equal(wordsOf(failure(conditionsOfCode(code))).length, code === Code.OK ? 0 : 1);
});

test("no word's bit is lost: all fit one number", () => {
  const every = CONDITIONS.reduce((bits, word) => {
    const one = [...Array(32).keys()].map((n) => 2 ** n).filter((bit) => wordsOf(failure(bit)).includes(word));
    assert.equal(one.length, 1, word);
    return bits | (one[0] ?? 0);
  }, 0);
  assert.deepEqual(wordsOf(failure(every)), [...CONDITIONS]);
});

test("a status below 400 is a success, from 400 on a failure of the peer that was sent", () => {
  const discard = (): void => undefined;
  assert.equal(httpOutcome({}, 399, undefined, undefined, discard).ok, true);
  const outcome = httpOutcome({}, 400, 7, undefined, discard);
  assert.ok(!outcome.ok);
  assert.deepEqual([outcome.by, outcome.sent, outcome.status, outcome.retryAfterMs], ["peer", true, 400, 7]);
});

test("an error of a connection that was never made counts as not sent, also deep in causes and aggregates", () => {
  for (const error of [
    coded("ECONNREFUSED"),
    new TypeError("fetch failed", { cause: coded("ENOTFOUND") }),
    new TypeError("fetch failed", { cause: new AggregateError([coded("ECONNREFUSED"), coded("ENETUNREACH")]) }),
    new Error("a", { cause: new Error("b", { cause: coded("UND_ERR_CONNECT_TIMEOUT") }) }),
  ]) {
    const outcome = errorOutcome(error, undefined);
    assert.equal(outcome.sent, false);
    assert.deepEqual(wordsOf(outcome), ["5xx", "gateway-error", "reset", "reset-before-request", "connect-failure", "unavailable"]);
  }
});

test("an error after a byte may have left counts as sent, whatever its code: the second hop of a redirect may be refused", () => {
  const outcome = errorOutcome(new TypeError("fetch failed", { cause: coded("ECONNREFUSED") }), true);
  assert.equal(outcome.sent, true);
  assert.deepEqual(wordsOf(outcome), ["5xx", "gateway-error", "reset", "unavailable"]);
});

test("a stream that was refused is safe to send again", () => {
  const outcome = errorOutcome(
    Object.assign(new Error("Stream closed with error code NGHTTP2_REFUSED_STREAM"), { code: "ERR_HTTP2_STREAM_ERROR" }),
    true,
  );
  assert.equal(outcome.sent, false);
  assert.ok(matcher(["refused-stream"])(outcome));
});

test("a request that undici would not write is the caller's mistake", () => {
  const outcome = errorOutcome(new TypeError("fetch failed", { cause: coded("UND_ERR_INVALID_ARG") }), false);
  assert.deepEqual([outcome.by, outcome.sent, outcome.conditions], ["caller", false, 0]);
});

test("what work throws is judged by its status, its gRPC code or its socket error", () => {
  const judged = (error: unknown): unknown[] => {
    const { code, status: given, sent } = thrownOutcome(error);
    return [code, given, sent];
  };
  assert.deepEqual(judged({ status: 503 }), [Code.UNAVAILABLE, 503, true]);
  assert.deepEqual(judged({ statusCode: 404 }), [Code.NOT_FOUND, 404, true]);
  assert.deepEqual(judged({ response: { status: 429 } }), [Code.RESOURCE_EXHAUSTED, 429, true]);
  assert.deepEqual(judged(new Error("x", { cause: { status: 500 } })), [Code.INTERNAL, 500, true]);
  assert.deepEqual(judged({ code: 14, metadata: {} }), [Code.UNAVAILABLE, undefined, true]);
  assert.deepEqual(judged({ code: 14 }), [Code.UNKNOWN, undefined, true], "a number alone is not gRPC's");
  assert.deepEqual(judged({ status: 200 }), [Code.UNKNOWN, undefined, true]);
  assert.deepEqual(judged({ status: 600 }), [Code.UNKNOWN, undefined, true]);
  assert.deepEqual(judged(coded("ECONNREFUSED")), [Code.UNAVAILABLE, undefined, false]);
  assert.deepEqual(judged(new Error("x", { cause: coded("EAI_AGAIN") })), [Code.UNAVAILABLE, undefined, false]);
  for (const odd of [undefined, null, 0, "boom", Symbol("s"), 1n, () => undefined])
    assert.deepEqual(judged(odd), [Code.UNKNOWN, undefined, true]);
});

test("judging what was thrown never throws and never loops", () => {
  const evil: object = new Proxy({}, { get: () => assert.fail("a getter that throws") });
  assert.equal(thrownOutcome(evil).cause, evil);
  const ring: { cause?: unknown } = {};
  ring.cause = ring;
  assert.equal(thrownOutcome(ring).code, Code.UNKNOWN);
});

test("a caller's abort is nobody's failure; a timeout layer's abort is one, told by the reason", () => {
  const byCaller = abortedOutcome(AbortSignal.abort());
  assert.deepEqual([byCaller.by, byCaller.code, byCaller.conditions, byCaller.sent], ["caller", Code.CANCELLED, 0, false]);
  const reason = new PolicyError("ERR_PREMESH_TIMEOUT", "late", { layer: "whole" });
  const byTimeout = abortedOutcome(AbortSignal.abort(reason), true);
  assert.deepEqual(
    [byTimeout.by, byTimeout.code, byTimeout.conditions, byTimeout.sent, byTimeout.layer],
    ["timeout", Code.DEADLINE_EXCEEDED, TIMEOUT, true, "whole"],
  );
});

test("a call that a timeout ended while it waited here says nothing about the peer", () => {
  const outcome = gaveUpOutcome(AbortSignal.abort(new PolicyError("ERR_PREMESH_TIMEOUT", "late")));
  assert.deepEqual([outcome.by, outcome.sent, outcome.conditions], ["timeout", false, REFUSAL]);
  assert.deepEqual([gaveUpOutcome(AbortSignal.abort()).by, gaveUpOutcome(AbortSignal.abort()).conditions], ["caller", 0]);
});

test("a list of words and statuses is one test of outcomes", () => {
  const fits = matcher(["reset", 429], [418]);
  assert.ok(fits(errorOutcome(coded("ECONNRESET"), true)));
  for (const [code, expected] of [
    [429, true],
    [418, true],
    [503, false],
  ] as const) {
    assert.equal(fits(httpOutcome({}, code, undefined, undefined, () => undefined)), expected, String(code));
  }
  assert.ok(!fits({ ok: true, response: 1 }));
  assert.ok(!fits(misuseOutcome(new Error("x"))));
});

test("what an Envoy's rate limit refused fits a word besides those of its status", () => {
  const head = { get: (name: string) => (name === "x-envoy-ratelimited" ? "true" : undefined) };
  assert.deepEqual(wordsOf(httpOutcome({}, 429, undefined, undefined, () => undefined, head)), ["envoy-ratelimited", "resource-exhausted"]);
  assert.deepEqual(wordsOf(rpcFailure(Code.UNAVAILABLE, "answer", undefined, { head })), ["envoy-ratelimited", "unavailable"]);
});
