// The assertions: what they accept and give, and that they fail with `actual` and `expected` where a test has to read them.
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { breaker, bulkhead, type Client, createClient, definePolicy, type LayerDefinition, retry, timeout } from "../../src/index.ts";
import {
  assertAttempts,
  assertDecision,
  assertIdle,
  assertPolicyError,
  type Script,
  scriptedUpstream,
  virtualClock,
} from "../../src/testing/index.ts";

const URL = "http://api.internal/";

function clientOf(script: Script, layers: readonly LayerDefinition[], clock = virtualClock()): Client {
  const policy = definePolicy({ name: "api", match: [{ host: "*" }], layers });
  return createClient({ policies: [policy], fetch: scriptedUpstream(script, { clock }), clock, seed: 1 });
}

const atOnce = retry({ backoff: { base: "0ms", max: "0ms" } });

suite("assertAttempts", () => {
  test("accepts the number of attempts, of a response or an error, and gives the explanation", async () => {
    const client = clientOf([503, 200, "reset", "reset", "reset"], [atOnce]);
    assert.equal(assertAttempts(client, await client.fetch(URL), 2).policy, "api");
    assertAttempts(client, await client.fetch(URL).catch((error: unknown) => error), 3);
  });

  test("fails with both numbers and what happened", async () => {
    const client = clientOf([503, 200], [atOnce]);
    const response = await client.fetch(URL);
    assert.throws(() => assertAttempts(client, response, 1), {
      name: "AssertionError",
      message: /^expected 1 attempt, got 2:\nGET api\.internal [^]*attempt 2 follows/,
      actual: 2,
      expected: 1,
    });
    assert.throws(() => assertAttempts(client, new Response(), 1), /the client knows nothing of this/);
  });

  test("its stack begins in the test", async () => {
    const client = clientOf([200], [atOnce]);
    const response = await client.fetch(URL);
    assert.throws(
      () => assertAttempts(client, response, 2),
      (error: Error) => /at .*assertions\.test\.ts/.test(error.stack?.split("\n").find((line) => line.includes("    at ")) ?? ""),
    );
  });
});

suite("assertDecision", () => {
  test("accepts a decision by any of its fields, and gives it", async () => {
    const client = clientOf([503, 200], [atOnce]);
    const response = await client.fetch(URL);
    assert.equal(assertDecision(client, response, { layer: "retry", what: "retrying" }).attempt, 1);
    assertDecision(client, response, { kind: "retry", attempt: 1 });
  });

  test("fails with what was decided", async () => {
    const client = clientOf([503, 200], [atOnce]);
    const response = await client.fetch(URL);
    assert.throws(() => assertDecision(client, response, { what: "exhausted" }), {
      name: "AssertionError",
      message: /^no layer decided what "exhausted":\n/,
      actual: [{ layer: "retry", kind: "retry", what: "retrying", attempt: 1 }],
      expected: { what: "exhausted" },
    });
  });
});

suite("assertPolicyError", () => {
  test("accepts a PolicyError by its code, itself or as a cause, and gives it", async () => {
    const clock = virtualClock();
    const client = clientOf([503, { body: "part", after: "hang" }], [breaker({ trip: { consecutive: 1 } }), timeout("1s")], clock);
    await client.fetch(URL);
    const refusal = assertPolicyError(await client.fetch(URL).catch((error: unknown) => error), "ERR_PREMESH_BREAKER_OPEN");
    assert.equal(refusal.retryAfterMs, 5_000);
    client.reset("api");
    const cut = (await client.fetch(URL)).text().catch((error: unknown) => error);
    await clock.runAll();
    assertPolicyError(new TypeError("terminated", { cause: await cut }), "ERR_PREMESH_TIMEOUT");
  });

  test("fails with the code there is, or the error", () => {
    const error = new Error("other");
    assert.throws(() => assertPolicyError(error, "ERR_PREMESH_TIMEOUT"), {
      name: "AssertionError",
      message: "expected a PolicyError with the code ERR_PREMESH_TIMEOUT, got Error: other",
      actual: error,
      expected: "ERR_PREMESH_TIMEOUT",
    });
    assert.throws(() => assertPolicyError({ name: "PolicyError", code: "ERR_PREMESH_FAULT" }, "ERR_PREMESH_TIMEOUT"), {
      actual: "ERR_PREMESH_FAULT",
    });
    assert.throws(() => assertPolicyError(undefined, "ERR_PREMESH_TIMEOUT"), /got no error but undefined/);
  });
});

suite("assertIdle", () => {
  test("accepts a client whose layers hold nothing, and tells which do", async () => {
    const clock = virtualClock();
    const client = clientOf([{ delay: "1s" }, 200], [atOnce, breaker(), bulkhead({ limit: 1, queue: { size: 5, timeout: "10s" } })], clock);
    assertIdle(client);
    const read = async (): Promise<string> => (await client.fetch(URL)).text();
    const both = Promise.all([read(), read()]);
    await clock.advance(1);
    assert.throws(() => assertIdle(client), {
      name: "AssertionError",
      message: /were every|was every body read/,
      actual: ["api, api.internal, retry: active 2", "api, api.internal, bulkhead: active 1", "api, api.internal, bulkhead: waiting 1"],
      expected: [],
    });
    await clock.runAll();
    await both;
    assertIdle(client);
  });

  test("sees a probe that is under way", async () => {
    const clock = virtualClock();
    const client = clientOf([503, { delay: "1s" }], [breaker({ trip: { consecutive: 1 }, openFor: "5s" })], clock);
    await client.fetch(URL);
    await clock.advance(5_000);
    const probe = client.fetch(URL);
    await clock.advance(1);
    assert.throws(() => assertIdle(client), { actual: ["api, api.internal, breaker: probes under way 1"] });
    await clock.runAll();
    await probe;
    assertIdle(client);
  });
});
