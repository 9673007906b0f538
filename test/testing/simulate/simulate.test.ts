// simulate: the same seed gives the same result, nothing is lost on the way, and what comes out is what theory says.
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import * as cockatiel from "cockatiel";
import fc from "fast-check";
import {
  adopt,
  breaker,
  bulkhead,
  definePolicy,
  fallback,
  type LayerDefinition,
  type Policy,
  rateLimit,
  retry,
  route,
  standard,
  timeout,
  trace,
} from "../../../src/index.ts";
import { type Scenario, scenarios, simulate, type Simulation } from "../../../src/testing/index.ts";

const policyOf = (...layers: readonly LayerDefinition[]): Policy => definePolicy({ name: "simulated", layers });
const bare = policyOf();
const usual = policyOf(...standard());

const sum = (values: readonly number[]): number => values.reduce((all, value) => all + value, 0);

/** How often a layer decided so. */
const count = ({ decisions }: Simulation, what: string): number =>
  sum(decisions.filter((one) => one.what === what).map((one) => one.count));

/** What holds for every simulation. */
function conserved(result: Simulation): void {
  assert.equal(sum(Object.values(result.outcomes)), result.calls, "every call has one outcome");
  assert.equal(sum(result.slots.map(({ calls }) => calls)), result.calls);
  assert.equal(sum(result.slots.map(({ succeeded }) => succeeded)), result.succeeded);
  assert.equal(sum(result.slots.map(({ attempts }) => attempts)), result.attempts);
  assert.ok(result.seen <= result.attempts);
  assert.ok(result.latency.p50 <= result.latency.p99 && result.latency.p99 <= result.latency.max);
}

const stormy: Scenario = {
  rate: 40,
  phases: [
    { for: "20s" },
    { for: "20s", statuses: { "503": 40, "429": 10 }, reset: 5, hang: 5, retryAfter: "1s" },
    { for: "10s", refuse: 90, hang: 10 },
    { for: "20s", latency: { mean: "500ms" }, capacity: 8, queue: 20 },
    { for: "20s" },
  ],
};

test("the same seed gives the same result to the digit, and another another", async () => {
  const first = await simulate(usual, stormy);
  assert.deepEqual(await simulate(usual, stormy), first);
  assert.notDeepEqual(await simulate(usual, { ...stormy, seed: 2 }), first);
  conserved(first);
  for (const word of ["200", "503", "429", "timeout", "breaker"]) assert.ok((first.outcomes[word] ?? 0) > 0, word);
});

test("two policies meet the same calls, and the same luck with each first attempt", async () => {
  const scenario: Scenario = { rate: 20, for: "2m", upstream: { statuses: { "503": 30 } } };
  const without = await simulate(bare, scenario);
  const withRetry = await simulate(policyOf(retry({ attempts: 2, budget: false })), scenario);
  assert.equal(withRetry.calls, without.calls);
  assert.equal(count(withRetry, "retrying"), without.calls - without.succeeded);
});

test("nothing is lost, whatever the policy and whatever goes wrong", async () => {
  const layers = fc.subarray<LayerDefinition>([
    trace(),
    fallback({ response: { target: "http://backup.internal" } }),
    rateLimit({ rate: 30, per: "1s", queue: { size: 5 } }),
    timeout("2s"),
    retry(),
    breaker({ trip: { consecutive: 5 }, openFor: "1s" }),
    bulkhead({ limit: 3, queue: { size: 3 } }),
    timeout("300ms"),
  ]);
  const share = fc.integer({ min: 0, max: 25 });
  const phases = fc.array(
    fc.record({
      for: fc.constant<"3s">("3s"),
      refuse: share,
      reset: share,
      hang: share,
      statuses: fc.record({ "503": share }),
      capacity: fc.integer({ min: 1, max: 20 }),
      queue: fc.integer({ min: 0, max: 5 }),
      heedsAborts: fc.boolean(),
    }),
    { minLength: 1, maxLength: 4 },
  );
  await fc.assert(
    fc.asyncProperty(layers, phases, fc.nat(), async (list, some, seed) => {
      conserved(await simulate(policyOf(...list), { rate: 30, seed, patience: "5s", phases: some }));
    }),
    { numRuns: 30 },
  );
});

suite("what comes out is what theory says", () => {
  test("calls come as often as the rate says, at random or evenly", async () => {
    const random = await simulate(bare, { rate: 50, for: "10m" });
    assert.ok(Math.abs(random.calls - 30_000) < 3 * Math.sqrt(30_000), String(random.calls)); // three standard deviations
    const spread = random.slots.map(({ calls }) => calls);
    assert.ok(Math.max(...spread) > Math.min(...spread) + 20, "they come in clusters");
    const even = await simulate(bare, { rate: 50, for: "10m", arrivals: "even" });
    assert.equal(even.calls, 29_999);
    assert.ok(Math.max(...even.slots.map(({ calls }) => calls)) - Math.min(...even.slots.map(({ calls }) => calls)) <= 1);
  });

  for (const attempts of [1, 2, 3, 4]) {
    test(`with ${attempts} attempts that fail with probability 0.3, a share of 1 - 0.3^${attempts} succeeds`, async () => {
      const scenario: Scenario = { rate: 50, for: "10m", upstream: { statuses: { "503": 30 }, latency: "10ms" } };
      const { success, calls, attemptsPerCall } = await simulate(policyOf(retry({ attempts, budget: false })), scenario);
      const expected = 1 - 0.3 ** attempts;
      assert.ok(Math.abs(success - expected) < 4 * Math.sqrt((expected * (1 - expected)) / calls), `${success} is not ${expected}`);
      const sends = (1 - 0.3 ** attempts) / (1 - 0.3);
      assert.ok(Math.abs(attemptsPerCall - sends) < 0.02, `${attemptsPerCall} is not ${sends}`);
    });
  }

  test("latencies have the mean and the percentiles they were given", async () => {
    const near = (value: number, expected: number, within: number): void =>
      assert.ok(Math.abs(value / expected - 1) < within, `${value} is not near ${expected}`);
    const long: Scenario = { rate: 100, for: "10m" };
    const lognormal = await simulate(bare, { ...long, upstream: { latency: { p50: "20ms", p99: "200ms" } } });
    near(lognormal.latency.p50, 20, 0.03);
    near(lognormal.latency.p99, 200, 0.08);
    const exponential = await simulate(bare, { ...long, upstream: { latency: { mean: "100ms" } } });
    near(exponential.latency.p50, 100 * Math.LN2, 0.03);
    near(exponential.latency.p99, 100 * Math.log(100), 0.05);
    const fixed = await simulate(bare, { ...long, upstream: { latency: "30ms" } });
    assert.deepEqual([fixed.latency.p50, fixed.latency.max], [30, 30]);
  });

  test("a peer with one place is an M/M/1 queue: at 70 % load the stay has the mean, and so the median, that it should", async () => {
    // the time in the system is exponential with rate mu - lambda = 10 - 7 per second
    const { latency } = await simulate(bare, { rate: 7, for: "10h", upstream: { latency: { mean: "100ms" }, capacity: 1 } });
    const median = (Math.LN2 / 3) * 1_000;
    assert.ok(Math.abs(latency.p50 / median - 1) < 0.05, `${latency.p50} is not near ${median}`);
  });

  test("a peer with several places and twice the load it can bear answers as many as it can, and no more", async () => {
    const scenario: Scenario = { rate: 100, for: "5m", arrivals: "even", upstream: { latency: "100ms", capacity: 5, queue: 10 } };
    const { succeeded, outcomes, calls } = await simulate(bare, scenario);
    assert.ok(Math.abs(succeeded - 50 * 300) < 50, String(succeeded));
    assert.equal((outcomes["503"] ?? 0) + succeeded, calls);
  });
});

suite("the layers are the real ones", () => {
  test("a breaker opens in the outage, tries again after openFor, and closes when the peer is back", async () => {
    const scenario: Scenario = {
      rate: 20,
      arrivals: "even",
      phases: [{ for: "10s" }, { for: "12s", refuse: 100 }, { for: "10s" }],
      upstream: { latency: "10ms" },
    };
    const { transitions, outcomes } = await simulate(policyOf(breaker({ trip: { consecutive: 5 }, openFor: "5s" })), scenario);
    assert.deepEqual(
      transitions.map(({ what }) => what),
      ["opened", "half-opened", "opened", "half-opened", "opened", "half-opened", "closed"],
    );
    const [opened = 0, half = 0] = transitions.map(({ at }) => at);
    // calls come every 50 ms; the fifth failure is that of the call at 10.2 s
    assert.equal(opened, 10_200);
    assert.equal(half, 15_200);
    assert.equal(transitions.at(-1)?.at, 25_210); // 10.2 + 3 * 5 s, and the probe takes 10 ms
    assert.equal(outcomes["no connection"], 7, "five that open it, and two probes");
  });

  test("a timeout ends what hangs, at its time; without one the caller's patience does", async () => {
    const scenario: Scenario = { rate: 10, for: "1m", upstream: { hang: 100 }, patience: "20s" };
    const cut = await simulate(policyOf(timeout("2s")), scenario);
    assert.deepEqual(cut.outcomes, { timeout: cut.calls });
    assert.equal(cut.latency.max, 2_000);
    const waited = await simulate(bare, scenario);
    assert.deepEqual(waited.outcomes, { "gave up": waited.calls });
    assert.equal(waited.latency.max, 20_000);
  });

  test("a POST is not sent twice, unless it is idempotent or never left", async () => {
    const failing: Scenario = { rate: 10, for: "1m", method: "POST", upstream: { statuses: { "503": 50 } } };
    const policy = policyOf(retry({ budget: false }));
    assert.equal((await simulate(policy, failing)).attemptsPerCall, 1);
    assert.ok((await simulate(policy, { ...failing, idempotent: true })).attemptsPerCall > 1.4);
    assert.ok((await simulate(policy, { ...failing, upstream: { refuse: 50 } })).attemptsPerCall > 1.4);
  });

  test("Retry-After is heeded", async () => {
    const asked: Scenario = { rate: 5, for: "1m", upstream: { statuses: { "503": 100 }, retryAfter: "7s", latency: "10ms" } };
    const { latency } = await simulate(policyOf(retry({ attempts: 2, budget: false })), asked);
    assert.ok(latency.p50 >= 7_020 && latency.max < 7_300, String(latency.p50));
  });

  test("retries keep an overload going that would end by itself, and a breaker ends it", async () => {
    const rush: Scenario = {
      rate: 50,
      patience: "10s",
      upstream: { latency: { mean: "100ms" }, capacity: 8 },
      phases: [{ for: "30s" }, { for: "30s", load: 2.5 }, { for: "2m" }],
    };
    const storm = [timeout("10s"), retry({ attempts: 4, budget: false, backoff: { base: "1ms" } }), timeout("500ms")];
    const lastMinute = ({ slots }: Simulation): number => {
      const late = slots.filter(({ at }) => at >= 120_000);
      return sum(late.map(({ succeeded }) => succeeded)) / sum(late.map(({ calls }) => calls));
    };
    assert.ok(lastMinute(await simulate(bare, rush)) > 0.99, "bare it recovers");
    assert.ok(lastMinute(await simulate(policyOf(...storm), rush)) < 0.5, "with retries and no budget it does not");
    const guarded = policyOf(...storm.slice(0, 2), breaker({ openFor: "5s" }), timeout("500ms"));
    assert.ok(lastMinute(await simulate(guarded, rush)) > 0.9, "with a breaker it does");
  });

  test("a fallback's other target is always well, and counts as a success of its own name", async () => {
    const policy = policyOf(fallback({ response: { target: "http://backup.internal" } }));
    const result = await simulate(policy, { rate: 10, for: "1m", upstream: { refuse: 50 } });
    assert.equal(result.success, 1);
    assert.ok((result.outcomes["fallback"] ?? 0) > 200);
    assert.equal(result.seen, result.outcomes["200"]);
  });
});

test("behind a route each endpoint has a breaker of its own; endpoints that are looked up are refused", async () => {
  const endpoints = ["http://10.0.0.1:8080", "http://10.0.0.2:8080"];
  const routed = policyOf(retry(), route({ to: [{ endpoints }] }), breaker({ trip: { consecutive: 5 } }), timeout("500ms"));
  const result = await simulate(routed, "outage");
  conserved(result);
  assert.deepEqual(new Set(result.transitions.map(({ endpoint }) => endpoint)), new Set(endpoints));
  await assert.rejects(simulate(policyOf(route({ to: [{ dns: "http://api.internal:8080" }] })), "none"), {
    code: "ERR_PREMESH_INVALID_OPTIONS",
    message: /a route whose endpoints are looked up in real time; list them as endpoints/,
  });
});

test("an hour of traffic is played at once, timers and all", async () => {
  const result = await simulate(usual, { rate: 20, for: "1h", upstream: { statuses: { "503": 5 }, hang: 0.1 } });
  conserved(result);
  assert.ok(result.calls > 71_000);
  assert.ok(result.success > 0.999);
});

test("every scenario with a name can be played", async () => {
  for (const name of Object.keys(scenarios) as (keyof typeof scenarios)[]) {
    const result = await simulate(usual, name); // the cast above: keys of the table are its names
    conserved(result);
    assert.ok(scenarios[name].what.length > 10);
    assert.equal(result.success > 0.999, name === "none" || name === "flaky" || name === "slow", name);
  }
});

test("slots are as long as they are asked to be", async () => {
  const { slots, slotMs } = await simulate(bare, { rate: 1, for: "10s" }, { slot: "1s" });
  assert.equal(slotMs, 1_000);
  assert.deepEqual(
    slots.map(({ at }) => at),
    [0, 1_000, 2_000, 3_000, 4_000, 5_000, 6_000, 7_000, 8_000, 9_000],
  );
  for (const slot of slots) assert.equal("p99" in slot, slot.calls > 0);
});

test("one of several policies is chosen by its name, and one that cannot be played is refused", async () => {
  const other = definePolicy({ name: "other", layers: [timeout("1s")] });
  assert.equal((await simulate([bare, other], { for: "1s" }, { policy: "other" })).policy, "other");
  await assert.rejects(simulate([bare, other], { for: "1s" }), {
    code: "ERR_PREMESH_INVALID_OPTIONS",
    message: "simulate: say which policy to simulate; there are: simulated, other",
  });
  await assert.rejects(simulate([bare, other], { for: "1s" }, { policy: "payments" }), {
    code: "ERR_PREMESH_UNKNOWN_POLICY",
    message: 'simulate: there is no policy "payments"; there are: simulated, other',
  });
  const adopting = definePolicy({ name: "adopting", layers: [adopt(cockatiel.retry(cockatiel.handleAll, { maxAttempts: 2 }))] });
  await assert.rejects(simulate(adopting, "none"), {
    code: "ERR_PREMESH_INVALID_OPTIONS",
    message: /an adopt layer, whose instance goes by real time/,
  });
  await assert.rejects(simulate({ name: "x", layers: [{ kind: "retri" }] } as never, { for: "1s" }), {
    code: "ERR_PREMESH_INVALID_POLICY",
  }); // the cast: that is what is tested
});

test("it can be ended early", async () => {
  const controller = new AbortController();
  const playing = simulate(usual, { rate: 1_000, for: "1h" }, { signal: controller.signal });
  setImmediate(() => controller.abort(new Error("enough")));
  await assert.rejects(playing, /enough/);
  await assert.rejects(simulate(bare, "none", { signal: AbortSignal.abort(new Error("before")) }), /before/);
});
