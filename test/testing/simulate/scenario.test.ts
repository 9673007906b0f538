// Scenarios: what a text may say, and everything that is wrong with one at once, each with its place.
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseScenario, type Scenario, simulate } from "../../../src/testing/index.ts";
import { PolicyError } from "../../../src/index.ts";

const bare = { name: "bare", layers: [] };

test("a text may be YAML or JSON, and says the same", () => {
  const yaml = `
rate: 20
upstream: { latency: { p50: 20ms, p99: 200ms } }
phases:
  - for: 60s
  - { for: 30s, name: half of it fails, statuses: { "503": 50, 429: 1.5 }, retryAfter: 2s }
  - { refuse: 100 }
`;
  const scenario = parseScenario(yaml);
  assert.deepEqual(scenario, {
    rate: 20,
    upstream: { latency: { p50: "20ms", p99: "200ms" } },
    phases: [
      { for: "60s" },
      { for: "30s", name: "half of it fails", statuses: { "503": 50, "429": 1.5 }, retryAfter: "2s" },
      { refuse: 100 },
    ],
  });
  assert.deepEqual(parseScenario(JSON.stringify(scenario)), scenario);
  assert.ok(Object.isFrozen(scenario.phases));
});

const wrong: readonly (readonly [text: string, message: RegExp])[] = [
  ["rate: fast", /line 1, column 7: rate: must be a number above 0 and at most 100000; got "fast"/],
  ["rate: 0", /rate: must be a number above 0/],
  ["rte: 5", /line 1, column 1: rte: is not a known field \(did you mean "rate"\?\)/],
  ["for: soon", /for: must be a duration such as/],
  ["arrivals: bursts", /arrivals: must be "poisson" or "even"; got "bursts"/],
  ["phases: []", /phases: must hold at least one phase/],
  [
    "phases:\n  - { for: 1s }\n  - { statuses: { '503': 150 } }",
    /line 3, column \d+: phases\[1\]\.statuses\.503: must be a percentage from 0 to 100/,
  ],
  ["upstream: { statuses: { '200': 5 } }", /upstream\.statuses\.200: is no status from 400 to 599/],
  ["upstream: { latency: { p50: 5ms } }", /upstream\.latency\.p99: is missing/],
  ["upstream: { latency: { p50: 50ms, p99: 5ms } }", /upstream\.latency\.p99: must not be shorter than p50/],
  ["upstream: { latency: [] }", /upstream\.latency: must be a duration such as "20ms", \{ mean \}, or \{ p50, p99 \}/],
  ["upstream: { capacity: 0 }", /upstream\.capacity: must be a whole number from 1 to 1000000; got 0/],
  ["upstream: { refuse: 60, hang: 60 }", /upstream: what goes wrong adds up to 120 % of the attempts/],
  ["upstream: { refuse: 60 }\nphases: [{ hang: 60 }]", /phases\[0\]: what goes wrong adds up to 120 %/],
  ["phases: [{}, { for: 1s }]", /phases\[0\]\.for: is missing \(only the last phase may leave it out\)/],
  ["rate: 100000\nfor: 24h", /is about 8640000000 calls, and at most 5000000 are simulated/],
  ["rate: 1\nrate: 2", /stands twice|unique/],
  ["a: [", /line/],
  ["- 1", /must|Expected/i],
  ["just text", /must|Expected/i],
];

for (const [text, message] of wrong) {
  test(`says what is wrong with ${JSON.stringify(text)}`, () => {
    assert.throws(
      () => parseScenario(text),
      (error) => {
        assert.ok(error instanceof PolicyError && error.code === "ERR_PREMESH_INVALID_SCENARIO");
        assert.match(error.message, /^invalid scenario:\n {2}/);
        assert.match(error.message, message);
        assert.ok(error.issues.length > 0);
        return true;
      },
    );
  });
}

test("says everything at once", () => {
  assert.throws(
    () => parseScenario("rate: -1\npatience: never\nphases:\n  - { fr: 5s }"),
    (error: PolicyError) => error.issues.length === 3,
  );
});

test("a value is checked as a text is, before anything is played", async () => {
  const loop: { phases: unknown[] } = { phases: [] };
  loop.phases.push(loop);
  for (const scenario of [{ rate: "5" }, loop, null, 7]) {
    await assert.rejects(simulate(bare, scenario as never), { code: "ERR_PREMESH_INVALID_SCENARIO" }); // the cast: that is what is tested
  }
  await assert.rejects(simulate({ name: "bare", layers: [] }, "outrage" as never), {
    code: "ERR_PREMESH_INVALID_OPTIONS",
    message: 'simulate: "outrage" is no scenario; those with a name are none, flaky, slow, brownout, outage, overload',
  });
});

test("lasts as long as it says, else as its phases say, else five minutes", async () => {
  const lengthOf = async (scenario: Scenario): Promise<number> =>
    (await simulate({ name: "bare", layers: [] }, { rate: 1, ...scenario })).lengthMs;
  assert.equal(await lengthOf({ for: "10s", phases: [{ for: "1m" }] }), 10_000);
  assert.equal(await lengthOf({ phases: [{ for: "1m" }, { for: "30s" }] }), 90_000);
  assert.equal(await lengthOf({ phases: [{ for: "1m" }, {}] }), 300_000);
  assert.equal(await lengthOf({ phases: [{ for: "10m" }, {}] }), 600_000);
  assert.equal(await lengthOf({}), 300_000);
});
