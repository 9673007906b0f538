// retry: sends again what failed and may be sent again, and nothing else.
import assert from "node:assert/strict";
import test from "node:test";
import { createClient, type Condition, definePolicy, idempotency, retry, timeout } from "../../src/index.ts";
import { answer, bare, failing, failureOf, hung, ok, refused, reset, successOf } from "../harness/bare.ts";
import { gate, stoppedTime, turns, watch } from "../harness/time.ts";
import { overTransports } from "../harness/trial.ts";
import { closedPort, openUpstream } from "../harness/upstream.ts";

const atOnce = { base: "0ms", max: "0ms" } as const;

overTransports("retries until it succeeds", async (open) => {
  const trial = await open([retry()], [{ status: 503 }, "reset", { status: 200 }]);
  const call = watch(trial.call());
  await trial.arrived(1);
  while (trial.attempts() < 3) await trial.time.pass(50);
  while (!call.settled) await turns(1);
  assert.equal(call.value?.ok, true);
  const explained = trial.client.explain(call.value?.result);
  assert.equal(explained?.attempts, 3);
  assert.deepEqual(
    explained.decisions.map(({ what, attempt }) => [what, attempt]),
    [
      ["retrying", 1],
      ["retrying", 2],
    ],
  );
});

overTransports("returns the last response when attempts run out, and says so", async (open) => {
  const trial = await open([retry({ attempts: 2, backoff: atOnce })], [{ status: 502 }, { status: 503 }]);
  const call = watch(trial.call());
  while (!call.settled) await trial.time.pass(1);
  assert.deepEqual([call.value?.status, call.value?.refusal, trial.attempts()], [503, undefined, 2]);
  const last = trial.client.explain(call.value?.result)?.decisions.at(-1);
  assert.deepEqual([last?.what, last?.attempt, last?.detail?.["code"]], ["exhausted", 2, "unavailable"]);
});

overTransports("leaves alone what no word fits", async (open) => {
  const trial = await open([retry({ backoff: atOnce })], [{ status: 404 }, { status: 500 }]);
  assert.equal((await trial.call()).status, 404);
  assert.equal((await trial.call()).status, 500);
  assert.equal(trial.attempts(), 2);
});

const marked = { status: 503, headers: { "x-envoy-ratelimited": "true" } } as const;

overTransports(
  "does not repeat what an Envoy's rate limit refused, and says so",
  async (open) => {
    const trial = await open([retry({ backoff: atOnce, statuses: [503] })], [marked, { status: 200 }]);
    const came = await trial.call();
    assert.deepEqual([came.status, trial.attempts()], [503, 1]);
    assert.deepEqual(
      trial.client.explain(came.result)?.decisions.map(({ what }) => what),
      ["rate-limited"],
    );
  },
  { except: ["run"] },
);

overTransports(
  "repeats what an Envoy's rate limit refused where the word for it is given, whatever its status",
  async (open) => {
    const trial = await open(
      [retry({ on: ["envoy-ratelimited"], backoff: atOnce })],
      [{ ...marked, status: 429 }, marked, { status: 200 }],
    );
    const call = watch(trial.call());
    while (!call.settled) await trial.time.pass(1);
    assert.deepEqual([call.value?.status, trial.attempts()], [200, 3]);
  },
  { except: ["run"] },
);

overTransports("an abort during the backoff ends the call at once, and nothing more is sent", async (open) => {
  const trial = await open([retry({ backoff: { base: "1h", max: "1h" } })], [{ status: 503 }]);
  const caller = new AbortController();
  const call = watch(trial.call({ signal: caller.signal }));
  await trial.arrived(1);
  while (!isRetrying(trial.client.status())) await turns(1);
  caller.abort(new Error("enough"));
  while (!call.settled) await turns(1);
  assert.equal(call.value?.error, caller.signal.reason);
  await trial.time.pass(7_200_000);
  assert.equal(trial.attempts(), 1);
});

const isRetrying = (status: unknown): boolean => JSON.stringify(status).includes('"retries":1');

test("attempts counts every send, the first included", async (t) => {
  const time = stoppedTime(t);
  for (const attempts of [1, 2, 5]) {
    const stack = bare([retry({ attempts, backoff: atOnce, budget: false })]);
    stack.answers(failing(503));
    const call = watch(stack.call());
    while (!call.settled) await time.pass(0);
    assert.equal(stack.sent.length, attempts);
    assert.deepEqual(
      stack.sent.map(({ attempt }) => attempt),
      Array.from({ length: attempts }, (_, n) => n + 1),
    );
  }
});

/** How often a failing call is sent under these words. */
async function sends(
  t: Parameters<typeof stoppedTime>[0],
  on: readonly (Condition | number)[],
  one: Parameters<ReturnType<typeof bare>["answers"]>[0],
): Promise<number> {
  const stack = bare([retry({ on, attempts: 2, backoff: atOnce })]);
  stack.answers(one);
  const call = watch(stack.call());
  while (!call.settled) {
    await turns(1);
    t.mock.timers.tick(1);
  }
  return stack.sent.length;
}

test("each word picks its own failures", async (t) => {
  stoppedTime(t);
  const failures = { 409: failing(409), 429: failing(429), 500: failing(500), 502: failing(502), reset, refused } as const;
  const expected: readonly [Condition | number, readonly (keyof typeof failures)[]][] = [
    ["5xx", [500, 502, "reset", "refused"]],
    ["gateway-error", [502, "reset", "refused"]],
    ["reset", ["reset", "refused"]],
    ["connect-failure", ["refused"]],
    ["reset-before-request", ["refused"]],
    ["refused-stream", []],
    ["retriable-4xx", [409]],
    ["resource-exhausted", [429]],
    ["internal", [500]],
    ["unavailable", [502, "reset", "refused"]],
    ["aborted", [409]],
    [429, [429]],
  ];
  for (const [word, fits] of expected) {
    for (const [name, one] of Object.entries(failures)) {
      assert.equal(await sends(t, [word], one), fits.map(String).includes(name) ? 2 : 1, `${word} ${name}`);
    }
  }
});

test("statuses are retried besides the words", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([retry({ statuses: [429, 418], backoff: atOnce })]);
  stack.answers(failing(429), failing(418), failing(503), ok);
  const call = watch(stack.call());
  while (!call.settled) await time.pass(0);
  assert.deepEqual([stack.sent.length, call.value?.status], [3, 503]);
});

test("by default an attempt's timeout is retried, as Envoy counts it among resets", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([retry({ backoff: atOnce }), timeout("10ms")]);
  stack.answers(hung, ok);
  const call = watch(stack.call());
  await time.pass(10);
  await time.pass(0);
  assert.ok(call.value?.ok);
});

test("only idempotent methods are sent again, unless the policy or the caller says otherwise", async (t) => {
  const time = stoppedTime(t);
  const cases: readonly (readonly [string, Parameters<typeof retry>[0], boolean | undefined, number])[] = [
    ...["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"].map((method) => [method, {}, undefined, 2] as const),
    ...["POST", "PATCH", "CONNECT", "PROPFIND"].map((method) => [method, {}, undefined, 1] as const),
    ["POST", { methods: ["POST"] }, undefined, 2],
    ["GET", { methods: ["POST"] }, undefined, 1],
    ["PATCH", { methods: ["*"] }, undefined, 2],
    ["POST", {}, true, 2],
    ["GET", {}, false, 1],
    ["POST", { methods: ["*"] }, false, 1],
  ];
  for (const [method, options, idempotent, times] of cases) {
    const stack = bare([retry({ attempts: 2, backoff: atOnce, ...options })]);
    stack.answers(failing(503));
    const call = watch(stack.call({ method, idempotent }));
    while (!call.settled) await time.pass(0);
    assert.equal(stack.sent.length, times, `${method} ${JSON.stringify(options)} ${idempotent}`);
    if (times === 1) assert.deepEqual(stack.whats(), ["not-idempotent"]);
  }
});

test("what was never sent is sent again whatever its method", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([retry({ backoff: atOnce })]);
  stack.answers(refused, refused, ok);
  const call = watch(stack.call({ method: "POST", idempotent: false }));
  while (!call.settled) await time.pass(0);
  assert.deepEqual([call.value?.ok, stack.sent.length], [true, 3]);
});

test("a POST to a port where nobody listens is tried again; one that a server has seen is not", async (t) => {
  const policy = definePolicy({ name: "p", match: [{ host: "*" }], layers: [retry({ backoff: atOnce })] });
  const client = createClient({ policies: [policy] });
  const dead = await closedPort();
  const error: unknown = await client.fetch(dead, { method: "POST", body: "x" }).catch((one: unknown) => one);
  assert.equal(client.explain(error)?.attempts, 3);
  const upstream = await openUpstream(t, ["reset"]);
  await assert.rejects(client.fetch(upstream.url, { method: "POST", body: "x" }));
  assert.equal(upstream.requests.length, 1);
});

test("a POST that was answered with a redirect is not sent again when the second hop refuses", async (t) => {
  const policy = definePolicy({ name: "p", match: [{ host: "*" }], layers: [retry({ backoff: atOnce })] });
  const client = createClient({ policies: [policy] });
  const upstream = await openUpstream(t, [{ status: 303, headers: { location: await closedPort() } }]);
  await assert.rejects(client.fetch(upstream.url, { method: "POST", body: "x" }));
  assert.equal(upstream.requests.length, 1);
});

test("an idempotency layer outside lifts the gate; one inside does not", async (t) => {
  const time = stoppedTime(t);
  for (const [layers, times] of [
    [[idempotency(), retry({ attempts: 2, backoff: atOnce })], 2],
    [[retry({ attempts: 2, backoff: atOnce }), idempotency()], 1],
  ] as const) {
    const stack = bare(layers);
    stack.answers(failing(503));
    const call = watch(stack.call({ method: "POST" }));
    while (!call.settled) await time.pass(0);
    assert.equal(stack.sent.length, times);
  }
});

test("the budget bounds retries under way by default: 20 % of the calls, at least 3", async (t) => {
  const time = stoppedTime(t);
  const retried = async (calls: number, budget?: false | { readonly percent?: number; readonly min?: number }): Promise<number> => {
    const stack = bare([retry({ attempts: 2, backoff: { base: "1s", max: "1s" }, ...(budget === undefined ? {} : { budget }) })]);
    const held = Array.from({ length: calls }, () => gate());
    let n = 0;
    stack.answers(async () => {
      await held[n++]?.promise;
      return answer(503);
    });
    const all = held.map(() => watch(stack.call()));
    await turns();
    stack.answers(failing(503));
    for (const { open } of held) open();
    await turns();
    const spent = stack.whats().filter((what) => what === "budget-spent").length;
    const retrying = stack.whats().filter((what) => what === "retrying").length;
    assert.equal(spent + retrying, calls);
    assert.equal(stack.status("retry")["retries"], budget === false ? 0 : retrying);
    await time.pass(1_000);
    assert.ok(all.every(({ settled }) => settled));
    stack.idle();
    return retrying;
  };
  assert.equal(await retried(3), 3);
  assert.equal(await retried(10), 3);
  // the answers come one after another, and each call that ends without a retry leaves the sum: the first four find 20 under way
  assert.ok((await retried(20)) >= 4);
  assert.equal(await retried(40, false), 40);
  assert.equal(await retried(10, { percent: 0, min: 1 }), 1);
  assert.equal(await retried(10, { percent: 0, min: 0 }), 0);
});

test("a place in the budget is held through the wait and the attempt, and given back however they end", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([retry({ attempts: 2, backoff: { base: "1s", max: "1s" }, budget: { percent: 0, min: 1 } })]);
  const caller = new AbortController();
  stack.answers(failing(503), hung);
  const call = watch(stack.call({ signal: caller.signal }));
  await turns();
  assert.deepEqual(stack.status("retry"), { active: 1, retries: 1, remaining: 0 });
  await time.pass(1_000);
  assert.deepEqual([stack.sent.length, stack.status("retry")["retries"]], [2, 1]);
  caller.abort();
  await turns();
  assert.ok(call.settled);
  stack.idle();
});

test("waits are random between nothing and a ceiling that doubles up to max", async (t) => {
  const time = stoppedTime(t);
  const waits = async (random: () => number): Promise<unknown[]> => {
    const stack = bare([retry({ attempts: 6, backoff: { base: "10ms", max: "50ms" }, budget: false })], { random });
    stack.answers(failing(503));
    const call = watch(stack.call());
    while (!call.settled) await time.pass(50);
    return stack.reports.filter(({ what }) => what === "retrying").map(({ detail }) => detail?.["waitMs"]);
  };
  assert.deepEqual(await waits(() => 0), [0, 0, 0, 0, 0]);
  assert.deepEqual(await waits(() => 0.5), [5, 10, 20, 25, 25]);
  for (const wait of await waits(() => 1 - Number.EPSILON)) assert.ok(typeof wait === "number" && wait < 50);
});

test("the wait really is as long as it was said to be", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([retry({ backoff: { base: "100ms", max: "100ms" } })], { random: () => 0.5 });
  stack.answers(failing(503), ok);
  const call = watch(stack.call());
  await time.pass(49);
  assert.equal(stack.sent.length, 1);
  await time.pass(1);
  assert.equal(stack.sent.length, 2);
  assert.ok(call.value?.ok);
});

test("the same seed gives the same waits, another seed others", async (t) => {
  const time = stoppedTime(t);
  const waits = async (seed: number): Promise<unknown[]> => {
    const client = createClient({ seed, policies: [definePolicy({ name: "p", layers: [retry({ attempts: 6, budget: false })] })] });
    const call = watch(client.run("p", () => Promise.reject(new Error("x")), { idempotent: true }));
    while (!call.settled) await time.pass(250);
    return client.explain(call.error)?.decisions.map(({ detail }) => detail?.["waitMs"]) ?? [];
  };
  const first = await waits(7);
  assert.equal(first.length, 6);
  assert.deepEqual(await waits(7), first);
  assert.notDeepEqual(await waits(8), first);
});

test("waits as long as the peer asks, in seconds or by date, and not less", async (t) => {
  const time = stoppedTime(t);
  for (const asDate of [false, true]) {
    const value = asDate ? new Date(time.now() + 3_000).toUTCString() : "3"; // the stopped clock stands at a whole second
    const upstream = await openUpstream(t, [{ status: 503, headers: { "retry-after": value } }, {}]);
    const client = createClient({ policies: [definePolicy({ name: "p", match: [{ host: "*" }], layers: [retry({ backoff: atOnce })] })] });
    const call = watch(client.fetch(upstream.url));
    while (!isRetrying(client.status())) await turns(1);
    await time.pass(2_999);
    assert.equal(upstream.requests.length, 1);
    await time.pass(1);
    await upstream.arrived(2);
    while (!call.settled) await turns(1);
    assert.equal(call.value?.status, 200);
  }
});

test("asked to wait longer than it may, gives up at once and returns the response", async (t) => {
  stoppedTime(t);
  const stack = bare([retry({ retryAfter: { max: "2s" } })]);
  stack.answers(failing(503, { retryAfterMs: 2_001 }), ok);
  const outcome = failureOf(await stack.call());
  assert.deepEqual([outcome.status, outcome.response?.dropped, stack.sent.length], [503, 0, 1]);
  assert.deepEqual(stack.whats(), ["asked-to-wait-too-long"]);
});

test("Retry-After of exactly the bound is heeded; false ignores it; the default bound is 30 s", async (t) => {
  const time = stoppedTime(t);
  for (const [options, retryAfterMs, wait] of [
    [{ retryAfter: { max: "2s" } }, 2_000, 2_000],
    [{ retryAfter: false }, 3_600_000, 0],
    [{}, 30_000, 30_000],
    [{}, 30_001, undefined],
  ] as const) {
    const stack = bare([retry({ backoff: atOnce, ...options })]);
    stack.answers(failing(503, { retryAfterMs }), ok);
    const call = watch(stack.call());
    await turns();
    assert.equal(stack.reports[0]?.detail?.["waitMs"], wait);
    await time.pass(30_000);
    assert.ok(call.settled);
  }
});

test("a deadline that leaves no time for the wait ends the retries", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([timeout("1s"), retry({ retryAfter: { max: "10s" } })]);
  stack.answers(failing(503, { retryAfterMs: 1_000 }), ok);
  const outcome = failureOf(await stack.call());
  assert.deepEqual([outcome.status, stack.whats()], [503, ["no-time-left"]]);
  assert.equal(time.now(), 1_000_000);
});

test("a body that cannot be sent again is reported, and its response returned", async (t) => {
  stoppedTime(t);
  const stack = bare([retry({ buffer: 10 })]);
  stack.answers(failing(503), ok);
  const outcome = failureOf(await stack.call({ payload: { replayable: false } }));
  assert.deepEqual([outcome.status, stack.sent.length], [503, 1]);
  assert.deepEqual(
    stack.reports.map(({ what, detail }) => [what, detail?.["buffer"]]),
    [["body-not-replayable", 10]],
  );
});

test("asks the transport to keep as much of a body as `buffer` says, and nothing where it will not retry", async () => {
  for (const [options, expected] of [
    [{}, 1_048_576],
    [{ buffer: 10 }, 10],
    [{ attempts: 1 }, 0],
  ] as const) {
    const kept: number[] = [];
    await bare([retry(options)]).call({ payload: { replayable: true, keep: (bytes) => kept.push(bytes) } });
    assert.deepEqual(kept, [expected]);
  }
});

test("every response but the last is let go of", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([retry({ backoff: atOnce })]);
  const given = [answer(503), answer(502), answer(504)];
  stack.answers(...given.map((one) => () => one));
  const call = watch(stack.call());
  while (!call.settled) await time.pass(0);
  assert.deepEqual(
    given.map(({ response }) => response?.dropped),
    [1, 1, 0],
  );
  assert.equal(call.value, given[2]);
});

test("a success is returned as it is, also when its body breaks later: nothing is sent after the head", async (t) => {
  const upstream = await openUpstream(t, [{ after: "reset" }, {}]);
  const client = createClient({ policies: [definePolicy({ name: "p", match: [{ host: "*" }], layers: [retry({ backoff: atOnce })] })] });
  const response = await client.fetch(upstream.url);
  await assert.rejects(response.text());
  assert.equal(upstream.requests.length, 1);
});

test("a breaker's refusal is retried only where the word `refusal` is given, after the time it asks for", async (t) => {
  const time = stoppedTime(t);
  const layers = (on: readonly Condition[]) =>
    [retry({ on, backoff: atOnce }), { kind: "breaker", trip: { consecutive: 1 }, openFor: "1s" }] as const;
  const without = bare(layers(["reset", "unavailable"]));
  without.answers(failing(500));
  await without.call();
  assert.equal(failureOf(await without.call()).by, "breaker");
  const withIt = bare(layers(["refusal"]));
  withIt.answers(failing(500), ok);
  await withIt.call();
  const call = watch(withIt.call());
  await time.pass(999);
  assert.ok(!call.settled);
  await time.pass(1);
  assert.ok(call.value !== undefined);
  successOf(call.value);
});
