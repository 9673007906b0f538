// The worst case: exact figures, and a client in virtual time that never does worse and can do as badly.
import assert from "node:assert/strict";
import { describe, suite, test } from "node:test";
import fc from "fast-check";
import {
  adopt,
  breaker,
  bulkhead,
  createClient,
  definePolicy,
  type Duration,
  fallback,
  fault,
  idempotency,
  type LayerDefinition,
  rateLimit,
  retry,
  type RetryOptions,
  standard,
  timeout,
  trace,
} from "../../src/index.ts";
import { noop } from "cockatiel";
import { backoffCeilings } from "../../src/layers/retry/backoff.ts";
import { budgetBounds, waitCeilings, type WorstCase, worstCaseOf, worstCasesOf } from "../../src/policy/worst-case.ts";
import { scriptedUpstream, simulate, type Step, virtualClock } from "../../src/testing/index.ts";
import { layerLists, layersByKind } from "../harness/arbitraries.ts";

const quick = { base: "0ms", max: "0ms" } as const;
const unpushed = { retryAfter: false } as const;

const rows: Readonly<Record<string, readonly [layers: readonly LayerDefinition[], worst: Partial<WorstCase>]>> = {
  "no layers": [[], { headMs: Infinity, endMs: Infinity, sends: 1, sendsUnderLoad: 1 }],
  "a timeout": [[timeout("2s")], { headMs: 2_000, headPushedMs: 2_000, endMs: 2_000, sends: 1 }],
  "a timeout in shadow": [[timeout({ after: "2s", shadow: true })], { headMs: Infinity, endMs: Infinity }],
  "timeouts within each other, the shorter inside": [[timeout("2s"), timeout("300ms")], { headMs: 300, endMs: 300 }],
  "timeouts within each other, the shorter outside": [[timeout("300ms"), timeout("2s")], { headMs: 300, endMs: 300 }],
  "a retry without timeouts": [[retry()], { headMs: Infinity, sends: 3, sendsUnderLoad: 1.25 }],
  "an attempt's timeout": [
    [retry({ attempts: 3, backoff: { base: "100ms", max: "150ms" } }), timeout("1s")],
    { headMs: 3_250, headPushedMs: 63_250, endMs: Infinity },
  ],
  "Retry-After that is not heeded": [
    [retry({ attempts: 3, backoff: quick, ...unpushed }), timeout("1s")],
    { headMs: 3_000, headPushedMs: 3_000 },
  ],
  "Retry-After up to a bound": [
    [retry({ attempts: 2, backoff: quick, retryAfter: { max: "5s" } }), timeout("1s")],
    { headMs: 2_000, headPushedMs: 7_000 },
  ],
  "a timeout outside retry that is longer": [
    [timeout("10s"), retry({ attempts: 3, backoff: quick }), timeout("1s")],
    { headMs: 3_000, headPushedMs: 10_000, endMs: 10_000 },
  ],
  "a timeout outside retry that is shorter": [
    [timeout("2s"), retry({ attempts: 3, backoff: quick }), timeout("1s")],
    { headMs: 2_000, endMs: 2_000 },
  ],
  "nested retries": [
    [
      retry({ attempts: 2, backoff: quick, ...unpushed }),
      timeout("10s"),
      retry({ attempts: 3, backoff: { base: "500ms", max: "500ms" }, ...unpushed }),
      timeout("1s"),
    ],
    { headMs: 8_000, sends: 6, sendsUnderLoad: 1.5625 },
  ],
  "nested retries, the inner one cut": [
    [retry({ attempts: 2, backoff: quick }), timeout("2500ms"), retry({ attempts: 3, backoff: quick }), timeout("1s")],
    { headMs: 5_000, sends: 6 },
  ],
  "queues outside and inside a timeout": [
    [rateLimit({ rate: 1, per: "1s", queue: { size: 5 } }), timeout("2s"), bulkhead({ limit: 1, queue: { size: 5, timeout: "3s" } })],
    { headMs: 3_000, endMs: 3_000 },
  ],
  "a queue inside retry": [
    [retry({ attempts: 2, backoff: quick, ...unpushed }), bulkhead({ limit: 1, queue: { size: 5, timeout: "3s" } }), timeout("1s")],
    { headMs: 8_000 },
  ],
  "a queue in shadow": [[bulkhead({ limit: 1, queue: { size: 5, timeout: "3s" }, shadow: true }), timeout("1s")], { headMs: 1_000 }],
  "a limit without a queue": [[rateLimit({ rate: 1, per: "1s" }), bulkhead({ limit: 1 }), timeout("1s")], { headMs: 1_000 }],
  "a delay on purpose": [[fault({ delay: { for: "300ms", percent: 1 } }), timeout("1s")], { headMs: 1_300 }],
  "a delay that never happens": [[fault({ delay: { for: "300ms", percent: 0 } }), timeout("1s")], { headMs: 1_000 }],
  "a fixed answer": [[fallback({ response: { status: 200 } }), timeout("1s")], { headMs: 1_000, sends: 1 }],
  "another target": [
    [fallback({ response: { target: "http://b.internal" } }), retry({ attempts: 3, backoff: quick, ...unpushed }), timeout("1s")],
    { headMs: 6_000, sends: 6, sendsUnderLoad: 2.5 },
  ],
  "one attempt": [[retry({ attempts: 1 }), timeout("1s")], { headMs: 1_000, headPushedMs: 1_000, sends: 1, sendsUnderLoad: 1 }],
  "a budget of nothing": [[retry({ budget: { percent: 0, min: 0 } }), timeout("1s")], { headMs: 1_000, sends: 1 }],
  "no budget": [[retry({ attempts: 4, budget: false })], { sends: 4, sendsUnderLoad: 4 }],
  "a large budget": [[retry({ attempts: 4, budget: { percent: 50 } })], { sends: 4, sendsUnderLoad: 2 }],
  "a budget as large as all": [[retry({ attempts: 4, budget: { percent: 100 } })], { sends: 4, sendsUnderLoad: 4 }],
  "layers that take no time": [[trace(), breaker(), idempotency(), adopt(noop), timeout("1s")], { headMs: 1_000, sends: 1 }],
  "standard()": [standard(), { headMs: 30_000, endMs: 30_000, sends: 3, sendsUnderLoad: 1.25 }],
};

describe("the worst case of", () => {
  for (const [name, [layers, expected]] of Object.entries(rows)) {
    test(name, () => {
      const worst = worstCaseOf(layers);
      assert.deepEqual({ ...worst, ...expected }, worst);
    });
  }
});

suite("what is inside a layer", () => {
  test("has a worst case of its own", () => {
    const cases = worstCasesOf([timeout("2s"), retry({ attempts: 3, backoff: quick, ...unpushed }), timeout("300ms")]);
    assert.deepEqual(
      cases.map(({ headMs }) => headMs),
      [900, 900, 300, Infinity],
    );
  });
});

suite("the waits of a retry", () => {
  test("are bounded as those of the layer are", () => {
    fc.assert(
      fc.property(layersByKind.retry, (layer) => {
        const ceilings = backoffCeilings(layer);
        assert.deepEqual(waitCeilings({ ...layer, budget: false }).slice(0, ceilings.length), ceilings.slice(0, (layer.attempts ?? 3) - 1));
      }),
    );
  });
});

suite("the bounds of a budget", () => {
  const bounds = (budget: RetryOptions["budget"]): unknown => budgetBounds(retry(budget === undefined ? {} : { budget }));

  test("say how few calls can all be repeated, and from how many on the share counts", () => {
    assert.deepEqual(bounds(undefined), { all: 3, share: 15 });
    assert.deepEqual(bounds({ percent: 50, min: 0 }), { all: 0, share: 0 });
    assert.equal(bounds({ percent: 0 }), undefined);
    assert.equal(bounds(false), undefined);
  });

  for (const percent of [10, 20, 50]) {
    test(`are met in an outage that is simulated: a budget of ${percent} %`, async () => {
      const layers = [timeout("10s"), retry({ attempts: 10, backoff: { base: "1ms" }, budget: { percent } }), timeout("1s")];
      const outage = { rate: 500, for: "1m", upstream: { latency: "200ms", statuses: { "503": 100 } } } as const;
      const { attemptsPerCall } = await simulate(definePolicy({ name: "p", layers }), outage);
      const { sendsUnderLoad } = worstCaseOf(layers);
      assert.ok(
        attemptsPerCall <= sendsUnderLoad * 1.02 && attemptsPerCall > sendsUnderLoad * 0.9,
        `${attemptsPerCall}, and about ${sendsUnderLoad}`,
      );
    });
  }
});

/** Durations short enough that thousands of milliseconds hold a whole call. */
const spans = fc.integer({ min: 1, max: 2_000 }).map((ms): Duration => `${ms}ms`);

const someLayers: fc.Arbitrary<readonly LayerDefinition[]> = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: spans.map((after) => timeout(after)) },
    {
      weight: 3,
      arbitrary: fc
        .record({
          attempts: fc.integer({ min: 1, max: 4 }),
          base: fc.integer({ min: 0, max: 200 }),
          pushed: fc.boolean(),
          unbounded: fc.boolean(),
        })
        .map(({ attempts, base, pushed, unbounded }) =>
          retry({
            attempts,
            methods: ["*"],
            backoff: { base: `${base}ms`, max: `${base * 2}ms` },
            ...(unbounded ? { budget: false as const } : {}),
            retryAfter: pushed ? { max: "2s" } : false,
          }),
        ),
    },
    fc
      .record({ limit: fc.integer({ min: 1, max: 2 }), wait: spans })
      .map(({ limit, wait }) => bulkhead({ limit, queue: { size: 2, timeout: wait } })),
    fc
      .record({ rate: fc.integer({ min: 1, max: 5 }), wait: spans })
      .map(({ rate, wait }) => rateLimit({ rate, per: "1s", queue: { size: 3, timeout: wait } })),
    fc.record({ wait: spans, percent: fc.constantFrom(0, 50, 100) }).map(({ wait, percent }) => fault({ delay: { for: wait, percent } })),
    fc.constant(fallback({ response: { target: "http://other.internal" } })),
    fc.constant(breaker({ trip: { consecutive: 4 }, openFor: "100ms" })),
  ),
  { maxLength: 5 },
);

const steps: fc.Arbitrary<Step> = fc.oneof(
  fc.constantFrom<Step>("hang", "refuse", "reset", 200, 503),
  fc.record({ status: fc.constantFrom(200, 503), delay: spans, retryAfter: fc.constantFrom<Duration>("1s", "2s", "3s") }),
);

suite("a client in virtual time", () => {
  test("never does worse, whatever the layers and the peer", async () => {
    await fc.assert(
      fc.asyncProperty(someLayers, fc.array(steps, { minLength: 1, maxLength: 20 }), fc.nat(), async (layers, script, seed) => {
        const worst = worstCaseOf(layers);
        fc.pre(worst.headPushedMs < Infinity || !script.includes("hang"));
        const clock = virtualClock();
        let turn = 0;
        const upstream = scriptedUpstream(() => script[turn++ % script.length] ?? 200, { clock });
        const client = createClient({
          policies: [definePolicy({ name: "p", match: [{ host: "*" }], layers })],
          fetch: upstream,
          clock,
          seed,
        });
        const ends: number[] = [];
        const calls = Array.from({ length: 4 }, () =>
          client
            .fetch("http://peer.internal/")
            .then((response) => response.arrayBuffer())
            .catch(() => undefined)
            .finally(() => ends.push(clock.now())),
        );
        await clock.runAll();
        await Promise.all(calls);
        assert.equal(ends.length, 4);
        for (const end of ends) assert.ok(end <= worst.headPushedMs + 1, `${end} ms, and at most ${worst.headPushedMs}`);
        assert.ok(upstream.requests.length <= 4 * worst.sends, `${upstream.requests.length} sends, and at most ${4 * worst.sends}`);
      }),
      { numRuns: 150 },
    );
  });

  const reached: Readonly<Record<string, readonly LayerDefinition[]>> = {
    "a timeout around retries": [timeout("2s"), retry({ attempts: 5, backoff: quick }), timeout("1s")],
    "attempts that each take their time": [retry({ attempts: 4, backoff: quick, budget: false }), timeout("300ms")],
    "nested retries": [retry({ attempts: 2, backoff: quick }), retry({ attempts: 3, backoff: quick }), timeout("100ms")],
    "a second target": [
      fallback({ response: { target: "http://other.internal" } }),
      retry({ attempts: 2, backoff: quick }),
      timeout("100ms"),
    ],
    "a delay on purpose": [retry({ attempts: 2, backoff: quick }), fault({ delay: { for: "200ms", percent: 100 } }), timeout("100ms")],
  };
  for (const [name, layers] of Object.entries(reached)) {
    test(`does as badly when the peer hangs: ${name}`, async () => {
      const clock = virtualClock();
      const upstream = scriptedUpstream([], { forever: "hang", clock });
      const client = createClient({ policies: [definePolicy({ name: "p", match: [{ host: "*" }], layers })], fetch: upstream, clock });
      const call = client.fetch("http://peer.internal/").catch(() => undefined);
      await clock.runAll();
      await call;
      assert.equal(clock.now(), worstCaseOf(layers).headMs);
    });
  }
});

test("the worst case of any layers is a number of every kind that it has", () => {
  fc.assert(
    fc.property(layerLists, (layers) => {
      for (const { headMs, headPushedMs, endMs, sends, sendsUnderLoad } of worstCasesOf(layers)) {
        assert.ok(headMs > 0 && headPushedMs >= headMs && endMs > 0);
        assert.ok(Number.isInteger(sends) && sends >= 1 && sendsUnderLoad >= 1 && sendsUnderLoad <= sends);
      }
    }),
  );
});
