// Orders: what a trusted caller asks of retry, timeout and hedge by Envoy's fields.
import assert from "node:assert/strict";
import { suite, test, type TestContext } from "node:test";
import { definePolicy, hedge, type LayerDefinition, retry, timeout } from "../../../src/index.ts";
import { virtualClock } from "../../../src/testing/index.ts";
import { type Answer, ask } from "../../harness/ask.ts";
import { openShim } from "../../harness/shim.ts";
import { openUpstream, type Step } from "../../harness/upstream.ts";

const atOnce = { base: "0ms", max: "0ms" } as const;

interface Came {
  readonly answer: Answer;
  readonly attempts: number;
  /** What the upstream was told of the time it has. */
  readonly expected: readonly (string | string[] | undefined)[];
}

/** `passing`: how much time passes behind each attempt that has arrived. */
async function under(
  t: TestContext,
  layers: readonly LayerDefinition[],
  script: readonly Step[],
  headers: Readonly<Record<string, string>>,
  { trusted = true, passing = [] }: { readonly trusted?: boolean; readonly passing?: readonly number[] } = {},
): Promise<Came> {
  const clock = passing.length === 0 ? undefined : virtualClock();
  const upstream = await openUpstream(t, script);
  const shim = await openShim(
    t,
    { policies: [definePolicy({ name: "p", match: [{ host: "*" }], layers })], ...(clock === undefined ? {} : { clock }) },
    { trusts: () => trusted },
  );
  const asking = ask(shim.address, { host: upstream.host, headers });
  for (const [index, ms] of passing.entries()) {
    await upstream.arrived(index + 1);
    await clock?.advance(ms);
  }
  const answer = await asking;
  await shim.logged(1);
  for (const { headers: sent } of upstream.requests)
    for (const name of Object.keys(headers)) if (name !== "x-envoy-expected-rq-timeout-ms") assert.equal(sent[name], undefined, name);
  return {
    answer,
    attempts: shim.entries[0]?.attempts ?? 0,
    expected: upstream.requests.map(({ headers: sent }) => sent["x-envoy-expected-rq-timeout-ms"]),
  };
}

suite("x-envoy-retry-on", () => {
  test("adds to the policy's words", async (t) => {
    const layers = [retry({ on: ["reset"], backoff: atOnce })];
    const { answer, attempts } = await under(t, layers, ["reset", { status: 500 }, {}], { "x-envoy-retry-on": "5xx, no-such-word" });
    assert.deepEqual([answer.status, attempts], [200, 3]);
  });

  test("has what an Envoy's rate limit refused repeated, for the policy's words too", async (t) => {
    const marked = { status: 503, headers: { "x-envoy-ratelimited": "true" } };
    const layers = [retry({ on: ["gateway-error"], backoff: atOnce })];
    const without = await under(t, layers, [marked, {}], { "x-envoy-retry-on": "5xx" });
    assert.deepEqual([without.answer.status, without.answer.headers["x-envoy-ratelimited"], without.attempts], [503, "true", 1]);
    const withIt = await under(t, layers, [marked, {}], { "x-envoy-retry-on": "envoy-ratelimited" });
    assert.deepEqual([withIt.answer.status, withIt.attempts], [200, 2]);
  });

  test("of somebody who is not trusted counts for nothing", async (t) => {
    const { answer, attempts } = await under(
      t,
      [retry({ on: ["reset"], backoff: atOnce })],
      [{ status: 500 }, {}],
      { "x-envoy-retry-on": "5xx" },
      { trusted: false },
    );
    assert.deepEqual([answer.status, attempts], [500, 1]);
  });

  test("with retriable-status-codes names statuses", async (t) => {
    const layers = [retry({ on: ["reset"], backoff: atOnce })];
    const orders = { "x-envoy-retry-on": "retriable-status-codes", "x-envoy-retriable-status-codes": "404, 418" };
    const { answer, attempts } = await under(t, layers, [{ status: 418 }, { status: 404 }, {}], orders);
    assert.deepEqual([answer.status, attempts], [200, 3]);
  });

  test("opens no method that the policy has not", async (t) => {
    const upstream = await openUpstream(t, [{ status: 503 }, {}]);
    const shim = await openShim(t, {
      policies: [definePolicy({ name: "p", match: [{ host: "*" }], layers: [retry({ backoff: atOnce })] })],
    });
    const answer = await ask(shim.address, { method: "POST", host: upstream.host, headers: { "x-envoy-retry-on": "5xx" } });
    assert.deepEqual([answer.status, upstream.requests.length], [503, 1]);
  });
});

test("x-envoy-max-retries stands in place of the policy's number", async (t) => {
  const layers = [retry({ attempts: 2, backoff: atOnce, budget: false })];
  const more = await under(t, layers, [{ status: 503 }], { "x-envoy-max-retries": "4" });
  assert.equal(more.attempts, 5);
  const none = await under(t, layers, [{ status: 503 }], { "x-envoy-max-retries": "0" });
  assert.equal(none.attempts, 1);
});

test("times stand in place of the policy's: of the call, and of each attempt", async (t) => {
  const layers = [timeout("1h"), retry({ attempts: 2, on: ["timeout"], backoff: atOnce }), timeout("30m")];
  const orders = { "x-envoy-upstream-rq-timeout-ms": "5000", "x-envoy-upstream-rq-per-try-timeout-ms": "200" };
  const { answer, attempts, expected } = await under(t, layers, ["hang"], orders, { passing: [200, 200] });
  assert.deepEqual([answer.status, attempts, expected], [504, 2, ["200", "200"]]);
  const whole = await under(t, layers, ["hang"], { "x-envoy-upstream-rq-timeout-ms": "300" }, { passing: [300] });
  assert.deepEqual([whole.answer.status, whole.attempts, whole.answer.body], [504, 1, "upstream request timeout"]);
});

test("a time for the call holds where the policy has no timeout", async (t) => {
  const { answer, attempts } = await under(t, [], ["hang"], { "x-envoy-upstream-rq-timeout-ms": "300" }, { passing: [300] });
  assert.deepEqual([answer.status, attempts], [504, 1]);
});

test("the time that the caller waits ends the call, and what is left of it goes on", async (t) => {
  const { answer, expected } = await under(t, [timeout("1h")], ["hang"], { "x-envoy-expected-rq-timeout-ms": "400" }, { passing: [400] });
  assert.deepEqual([answer.status, expected], [504, ["400"]]);
});

test("x-envoy-hedge-on-per-try-timeout sends a copy after the time for an attempt, or none", async (t) => {
  const layers = [hedge({ after: "1h" })];
  const orders = { "x-envoy-hedge-on-per-try-timeout": "true", "x-envoy-upstream-rq-per-try-timeout-ms": "20" };
  const hedged = await under(t, layers, ["hang", {}], orders, { passing: [20] });
  assert.deepEqual([hedged.answer.status, hedged.attempts], [200, 2]);
  const { promise, resolve } = Promise.withResolvers<void>();
  setImmediate(() => setImmediate(resolve));
  const without = await under(t, [hedge({ after: "1ms" })], [{ until: promise }], { "x-envoy-hedge-on-per-try-timeout": "false" });
  assert.deepEqual([without.answer.status, without.attempts], [200, 1]);
});
