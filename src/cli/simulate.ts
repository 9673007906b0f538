// premesh simulate: plays traffic and faults against a policy of a file in virtual time, beside the same traffic without one.
import { type Duration, durationMs } from "../policy/duration.ts";
import { PolicyError } from "../policy/error.ts";
import type { Policy } from "../policy/policy.ts";
import { readPolicyFile, readTextFile } from "../policy-files/read.ts";
import { type Scenario, scenarioDefaults } from "../testing/simulate/scenario.ts";
import { type ScenarioName, scenarios } from "../testing/simulate/scenarios.ts";
import { checkedScenario, parseScenario } from "../testing/simulate/schema.ts";
import { simulate } from "../testing/simulate/simulate.ts";
import type { Command, Words } from "./command.ts";
import { inShort } from "./plots.ts";
import { printProblems } from "./problems.ts";
import { type Lane, lanesText } from "./simulation-text.ts";

/** What is played where nobody says. */
const USUAL = "outage" satisfies ScenarioName;

const isScenario = (name: string): name is ScenarioName => Object.hasOwn(scenarios, name);

export const simulateCommand: Command = {
  name: "simulate",
  usage: "simulate <file>",
  summary: "play an outage, or faults of your own, against a policy in virtual time",
  options: {
    policy: { value: "name", summary: "which policy of the file; needed where it has several" },
    scenario: { value: "name", summary: `what goes wrong: ${Object.keys(scenarios).join(", ")} (default ${USUAL})` },
    script: { value: "file", summary: "a scenario of your own, as JSON or YAML" },
    rate: { value: "number", summary: `calls per second (default: as the script says, else ${scenarioDefaults.rate})` },
    for: { value: "duration", summary: "how long calls come (default: as the scenario says)" },
    seed: { value: "number", summary: `for all that is left to chance (default: as the script says, else ${scenarioDefaults.seed})` },
    bare: { summary: "play the traffic without the policy only, to see what a script does" },
    json: { summary: "print the results as JSON" },
  },
  details: [
    "Scenarios:",
    ...Object.entries(scenarios).map(([name, { what }]) => `  ${name.padEnd(10)}${what}`),
    "",
    "Bare and premesh meet the same calls and the same luck. The same seed gives the same result.",
  ].join("\n"),
  misuse,
  run: async (words) => {
    const [file = ""] = words.rest;
    const read = await readPolicyFile(file, { apart: true });
    if (read.kind === "problems") return printProblems(file, read.issues);
    const policy = chosen(read.policies, words.valueOf("policy"));
    if (typeof policy === "string") return refused(`${file}: ${policy}`);
    const script = words.valueOf("script");
    const text = script === undefined ? undefined : await readTextFile(script);
    if (typeof text === "object") return printProblems(script ?? "", text.issues);
    try {
      const played = scenarioOf(words, text);
      const lanes: Lane[] = [{ name: "bare", result: await simulate({ name: policy.name, layers: [] }, played) }];
      if (!words.has("bare")) lanes.push({ name: "premesh", result: await simulate(policy, played) });
      print(policy, played, lanes, words);
      return 0;
    } catch (error) {
      if (!(error instanceof PolicyError)) return refused(error instanceof Error ? error.message : String(error));
      if (error.code !== "ERR_PREMESH_INVALID_SCENARIO") return refused(error.message);
      return printProblems(script ?? "scenario", error.issues);
    }
  },
};

function misuse({ rest, valueOf }: Words): string | undefined {
  if (rest.length !== 1) return "simulate needs one file";
  const scenario = valueOf("scenario");
  if (scenario !== undefined && valueOf("script") !== undefined) return "take --scenario or --script, not both";
  if (scenario !== undefined && !isScenario(scenario))
    return `"${scenario}" is no scenario; those with a name are ${Object.keys(scenarios).join(", ")}`;
  for (const name of ["rate", "seed"]) {
    const value = valueOf(name);
    if (value !== undefined && !Number.isFinite(Number(value))) return `--${name} must be a number`;
  }
  const length = valueOf("for");
  if (length !== undefined && !(durationMs(length) > 0)) return '--for must be a duration such as "10m"';
  return undefined;
}

/** The policy, or what is wrong as a sentence. */
function chosen(policies: readonly Policy[], name: string | undefined): Policy | string {
  const names = policies.map((policy) => policy.name).join(", ");
  if (name !== undefined) return policies.find((policy) => policy.name === name) ?? `there is no policy "${name}"; there are: ${names}`;
  const [first, second] = policies;
  return first !== undefined && second === undefined ? first : `there are several policies: say --policy with one of ${names}`;
}

/** The scenario that the words ask for, checked; `script`: the text of one. */
function scenarioOf({ valueOf }: Words, script: string | undefined): Scenario {
  const [rate, seed, length] = [valueOf("rate"), valueOf("seed"), valueOf("for")];
  const name = valueOf("scenario") ?? USUAL;
  const begun =
    script !== undefined
      ? parseScenario(script)
      : scenarios[isScenario(name) ? name : USUAL].at(rate === undefined ? scenarioDefaults.rate : Number(rate));
  return checkedScenario({
    ...begun,
    ...(rate === undefined ? {} : { rate: Number(rate) }),
    ...(seed === undefined ? {} : { seed: Number(seed) }),
    ...(length === undefined ? {} : { for: length as Duration }), // the cast: misuse has seen that it is one
  });
}

function refused(problem: string): number {
  console.error(problem);
  return 2;
}

function print(policy: Policy, scenario: Scenario, lanes: readonly Lane[], { has, valueOf }: Words): void {
  if (has("json")) {
    console.log(JSON.stringify({ policy, scenario, ...Object.fromEntries(lanes.map(({ name, result }) => [name, result])) }, null, 2));
    return;
  }
  const name = valueOf("scenario") ?? USUAL;
  const script = valueOf("script");
  const [first] = lanes;
  const { rate = scenarioDefaults.rate, seed = scenarioDefaults.seed } = scenario;
  const lines = [
    `${policy.name}: ${inShort(policy) || "no layers"}`,
    script === undefined && isScenario(name) ? `${name}: ${scenarios[name].what}` : `script: ${script}`,
    `${(first?.result.calls ?? 0).toLocaleString("en-US")} calls, ${rate} per second, seed ${seed}`,
    "",
    ...lanesText(lanes, scenario),
  ];
  console.log(lines.join("\n"));
}
