// premesh simulate, run as users run it, and the text that it makes of a simulation.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import { breakerPlot, lanesText, sinceStart } from "../../src/cli/simulation-text.ts";
import { breaker, definePolicy } from "../../src/index.ts";
import { fencesOf } from "../docs/markdown.ts";
import { type Scenario, simulate, type Simulation } from "../../src/testing/index.ts";

const MAIN = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

const folder = mkdtempSync(join(tmpdir(), "premesh-simulate-"));
after(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, text: string): string {
  writeFileSync(join(folder, name), text);
  return name;
}

function premesh(...words: readonly string[]): Promise<{ readonly code: unknown; readonly out: string; readonly err: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, "simulate", ...words], { cwd: folder, timeout: 30_000 }, (error, out, err) =>
      resolve({ code: error === null ? 0 : error.code, out, err }),
    );
  });
}

const one = file(
  "one.yaml",
  "name: payments\nlayers:\n  - kind: retry\n  - { kind: breaker, openFor: 5s }\n  - { kind: timeout, after: 500ms }\n",
);
const several = file("several.yaml", "policies:\n  - { name: a, layers: [] }\n  - { name: b, layers: [{ kind: timeout, after: 1s }] }\n");
const faults = file(
  "faults.yaml",
  "rate: 10\nphases:\n  - { for: 20s, name: well }\n  - { for: 20s, name: gone, refuse: 100 }\n  - { for: 20s }\n",
);

suite("premesh simulate", () => {
  test("shows bare and premesh side by side, over time, with the phases of breaker and peer", async () => {
    const { code, out, err } = await premesh(one, "--script", faults, "--seed", "7");
    assert.equal(err, "");
    assert.equal(code, 0);
    const lines = out.split("\n");
    assert.equal(lines[0], "payments: retry > breaker > timeout 500ms");
    assert.equal(lines[1], "script: faults.yaml");
    assert.match(lines[2] ?? "", /^\d{3} calls, 10 per second, seed 7$/);
    assert.match(out, /^ {2}bare {6}[█▏▎▍▌▋▊▉░]{18} {3}\d\d\.\d % {6}1\.00 {6}0\.\d\d$/m);
    assert.match(out, /^ {2}premesh {3}[█▏▎▍▌▋▊▉░]{18}/m);
    assert.match(out, /^ {2}over time 60 columns of 1\.00 s each, 1m 00s in all$/m);
    assert.match(out, /^ {3}premesh {2}·+█+·+$/m, "the breaker");
    assert.match(out, /^ {2}phases {4}1 {19}2 {19}3\n {12}1 well, 2 gone, 3 as usual$/m);
    assert.match(out, /^ {2}bare {6}came out as 200 \d+x, no connection \d+x$/m);
    assert.match(out, /^ {2}layers {4}retry: .*retrying \d+x/m);
    assert.match(out, /^ {2}breaker {3}2\ds opened, /m);
    for (const line of lines) assert.ok(line.length <= 80, line);
  });

  test("says the same each time", async () => {
    const words = [one, "--scenario", "flaky", "--for", "30s"];
    assert.deepEqual(await premesh(...words), await premesh(...words));
  });

  test("plays an outage where nobody says what, and heeds rate and time", async () => {
    const { out } = await premesh(one, "--for", "90s", "--rate", "5");
    assert.match(out, /^outage: for a minute nothing answers/m);
    assert.match(out, /calls, 5 per second, seed 1$/m);
    assert.match(out, /1m 30s in all$/m);
  });

  test("gives all as JSON", async () => {
    const { code, out } = await premesh(several, "--policy", "b", "--json", "--scenario", "none", "--for", "10s");
    assert.equal(code, 0);
    const { policy, scenario, bare, premesh: guarded } = JSON.parse(out) as Record<string, unknown>; // the cast: what the command promises
    assert.deepEqual(policy, { name: "b", layers: [{ kind: "timeout", after: "1s" }] });
    assert.deepEqual(scenario, { rate: 50, for: "10s" });
    assert.deepEqual(guarded, await simulate({ name: "b", layers: [{ kind: "timeout", after: "1s" }] }, { rate: 50, for: "10s" }));
    assert.equal((bare as Simulation).calls, guarded.calls); // the cast: as above
  });

  test("plays the traffic alone with --bare", async () => {
    const { out } = await premesh(one, "--bare", "--script", faults);
    assert.match(out, /^ {2}bare /m);
    assert.doesNotMatch(out, /premesh|breaker {2}/);
  });

  const wrong: readonly (readonly [words: readonly string[], code: number, says: RegExp])[] = [
    [[], 2, /simulate needs one file/],
    [[one, "--scenario", "outrage"], 2, /"outrage" is no scenario; those with a name are none, flaky/],
    [[one, "--scenario", "none", "--script", faults], 2, /take --scenario or --script, not both/],
    [[one, "--rate", "fast"], 2, /--rate must be a number/],
    [[one, "--rate=-5"], 1, /PM0204 rate: must be a number above 0/],
    [[one, "--for", "soon"], 2, /--for must be a duration such as "10m"/],
    [[one, "--rate", "100000", "--for", "24h"], 1, /at most 5000000 are simulated/],
    [[one, "--script", "missing.yaml"], 2, /missing\.yaml: error PM0101 cannot be opened: there is no such file/],
    [[one, "--script", "."], 2, /^\.: error PM0102 is a directory/],
    [[one, "--script", "/dev/zero"], 2, /error PM0102 is not a file/],
    [
      [one, "--script", file("bad.yaml", "rate: 5\nphases:\n  - { fro: 5s }\n")],
      1,
      /bad\.yaml:3:\d+: error PM0201 phases\[0\]\.fro: is not a known field/,
    ],
    [[one, "--script", file("broken.yaml", "rate: [")], 1, /broken\.yaml:1:\d+: error PM0106/],
    [[several], 2, /several\.yaml: there are several policies: say --policy with one of a, b/],
    [[several, "--policy", "c"], 2, /there is no policy "c"; there are: a, b/],
    [["missing.json"], 2, /missing\.json: error PM0101/],
    [[file("bad.json", '{"name":"x","layers":[{"kind":"retri"}]}')], 1, /bad\.json:1:\d+: error PM0208/],
  ];
  for (const [words, code, says] of wrong) {
    test(`says what is wrong with "${words.join(" ")}"`, async () => {
      const ended = await premesh(...words);
      assert.equal(ended.code, code);
      assert.equal(ended.out, "");
      assert.match(ended.err, says);
    });
  }
});

suite("the text of a simulation", () => {
  const scenario: Scenario = {
    rate: 10,
    arrivals: "even",
    upstream: { latency: "10ms" },
    phases: [{ for: "30s" }, { for: "15s", refuse: 100 }, { for: "15s" }],
  };

  test("draws a breaker as the worst that it was in each column", async () => {
    const policy = definePolicy({ name: "p", layers: [breaker({ trip: { consecutive: 1 }, openFor: "4s" })] });
    const result = await simulate(policy, scenario, { slot: "1s" });
    // opens at 30.1 s, and tries again every 4 s until the peer is back at 45 s
    assert.equal(breakerPlot(result), `${"·".repeat(30)}${"█".repeat(17)}${"·".repeat(13)}`);
  });

  test("tells of calls that never came, and of a policy that did nothing", async () => {
    const policy = definePolicy({ name: "p", layers: [] });
    const result = await simulate(policy, { rate: 0.001, for: "1s" });
    const text = lanesText([{ name: "bare", result }], {}).join("\n");
    assert.match(text, /came out as nothing: there were no calls/);
    assert.doesNotMatch(text, /NaN|Infinity|undefined|layers {2}/);
  });

  test("calls a phase without a name by what it changes", async () => {
    const phases = [{ for: "1s", load: 2, capacity: 5 }, { for: "1s", statuses: { "503": 5 }, hang: 1 }, { latency: "5ms" }] as const;
    const result = await simulate({ name: "p", layers: [] }, { for: "3s", phases });
    const text = lanesText([{ name: "bare", result }], { phases })
      .join(" ")
      .replaceAll(/ +/g, " ");
    assert.match(text, /1 2x the calls and capacity 5, 2 5 % 503 and 1 % hang, 3 another latency/);
  });

  test("is what the documentation shows", async () => {
    const fences = fencesOf("docs/how-to/simulate-before-you-ship.md");
    for (const { marks, text } of fences) {
      const name = marks.get("file");
      if (name !== undefined) file(name, text);
    }
    const { out } = await premesh("policies.yaml", "--script", "faults.yaml");
    assert.equal(fences.find(({ language }) => language === "text")?.text.trim(), out.trim());
  });

  test("says time since the beginning as people do", () => {
    assert.deepEqual([0, 9_999, 65_000, 3_599_000, 3_600_000, 90_000_000].map(sinceStart), [
      "0s",
      "9s",
      "1m 05s",
      "59m 59s",
      "1h 00m",
      "25h 00m",
    ]);
  });
});
