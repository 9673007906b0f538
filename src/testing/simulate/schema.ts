// The schema of a scenario, and reading one: from a value, or from JSON or YAML text.
import type { ZodType } from "zod";
import { durationMs } from "../../policy/duration.ts";
import { PolicyError, type PolicyIssue } from "../../policy/error.ts";
import { issueText } from "../../policy/invalid.ts";
import { placed } from "../../policy/places.ts";
import { coded, duration, httpMethod, integer, numberAbove, percent, type Zod } from "../../policy/schema.ts";
import { readText } from "../../policy/text.ts";
import { checkedShape } from "../../policy/validate.ts";
import { type Latency, lengthOf, type PeerModel, type Scenario, scenarioDefaults } from "./scenario.ts";

/** More calls than anybody waits for: minutes of simulation, and a gigabyte. */
const MOST_CALLS = 5_000_000;

function latencySchema(z: Zod): ZodType<Latency> {
  return z.union(
    [
      duration(z, { zero: true }),
      z.strictObject({ mean: duration(z) }),
      z.strictObject({ p50: duration(z), p99: duration(z) }).refine(({ p50, p99 }) => !(durationMs(p99) < durationMs(p50)), {
        path: ["p99"],
        ...coded("PM0204", "must not be shorter than p50"),
      }),
    ],
    { error: 'must be a duration such as "20ms", { mean }, or { p50, p99 }' },
  );
}

const peerFields = (z: Zod): Record<string, ZodType> => ({
  latency: z.exactOptional(latencySchema(z)),
  statuses: z.exactOptional(
    z.record(z.string().regex(/^[45]\d\d$/), percent(z), {
      error: ({ code }) =>
        code === "invalid_key" ? "is no status from 400 to 599" : 'must be an object of percentages by status, such as { "503": 50 }',
    }),
  ),
  retryAfter: z.exactOptional(duration(z)),
  reset: z.exactOptional(percent(z)),
  refuse: z.exactOptional(percent(z)),
  hang: z.exactOptional(percent(z)),
  capacity: z.exactOptional(integer(z, 1, 1e6)),
  queue: z.exactOptional(integer(z, 0, 1e6)),
  heedsAborts: z.exactOptional(z.boolean({ error: "must be true or false" })),
});

const shareOf = ({ refuse = 0, reset = 0, hang = 0, statuses = {} }: PeerModel): number =>
  refuse + reset + hang + Object.values(statuses).reduce((sum, share) => sum + share, 0);

/** The schema of a scenario. */
export function scenarioSchema(z: Zod): ZodType<Scenario> {
  const phase = z.strictObject({
    name: z.exactOptional(z.string({ error: "must be text" }).max(100, "must have at most 100 characters")),
    for: z.exactOptional(duration(z)),
    load: z.exactOptional(numberAbove(z, 0, 1_000)),
    ...peerFields(z),
  });
  return z.strictObject({
    $schema: z.exactOptional(z.string()),
    rate: z.exactOptional(numberAbove(z, 0, 100_000)),
    for: z.exactOptional(duration(z)),
    arrivals: z.exactOptional(z.enum(["poisson", "even"], { error: 'must be "poisson" or "even"' })),
    seed: z.exactOptional(z.number({ error: "must be a number" })),
    patience: z.exactOptional(duration(z)),
    method: z.exactOptional(httpMethod(z)),
    idempotent: z.exactOptional(z.boolean({ error: "must be true or false" })),
    upstream: z.exactOptional(z.strictObject(peerFields(z))),
    phases: z.exactOptional(
      z
        .array(phase, { error: "must be a list of phases" })
        .min(1, "must hold at least one phase")
        .max(1_000, "must hold at most 1,000 phases"),
    ),
  });
}

/** What the schema of one field cannot see. */
function contradictions(scenario: Scenario): PolicyIssue[] {
  const { phases = [], upstream, rate = scenarioDefaults.rate } = scenario;
  const issues: PolicyIssue[] = [];
  const peers = [
    [upstream ?? {}, "upstream"] as const,
    ...phases.map((phase, index) => [{ ...upstream, ...phase }, `phases[${index}]`] as const),
  ];
  for (const [peer, path] of peers) {
    const share = shareOf(peer);
    if (share > 100)
      issues.push({
        code: "PM0204",
        path,
        message: `what goes wrong adds up to ${share} % of the attempts`,
        hint: "refuse, reset, hang and statuses are together at most 100; a phase inherits those of upstream",
      });
  }
  for (const [index, phase] of phases.slice(0, -1).entries())
    if (phase.for === undefined)
      issues.push({ code: "PM0202", path: `phases[${index}].for`, message: "is missing", hint: "only the last phase may leave it out" });
  const load = phases.reduce((most, phase) => Math.max(most, phase.load ?? 1), 1);
  const calls = (rate * load * lengthOf(scenario)) / 1_000;
  if (calls > MOST_CALLS)
    issues.push({
      code: "PM0204",
      path: "",
      message: `is about ${Math.round(calls)} calls, and at most ${MOST_CALLS} are simulated`,
      hint: "lower rate, or shorten it",
    });
  return issues;
}

/** The scenario, checked; throws `ERR_PREMESH_INVALID_SCENARIO` with every issue. */
export function checkedScenario(input: unknown): Scenario {
  const result = checkedShape(input, scenarioSchema);
  const issues = result.issues.length > 0 || result.value === undefined ? result.issues : contradictions(result.value);
  if (issues.length > 0 || result.value === undefined) throw invalidScenario(issues);
  return result.value;
}

/**
 * Reads a scenario from JSON or YAML text.
 *
 * Errors: `ERR_PREMESH_INVALID_SCENARIO`, whose `issues` name everything that is wrong, with its path and its line.
 *
 * @example
 * ```ts
 * const result = await simulate([payments], parseScenario(await readFile("faults.yaml", "utf8")));
 * ```
 */
export function parseScenario(text: string): Scenario {
  let read;
  try {
    read = readText(text);
  } catch (error) {
    throw error instanceof PolicyError ? invalidScenario(error.issues, error) : error;
  }
  try {
    return checkedScenario(read.value);
  } catch (error) {
    throw error instanceof PolicyError ? invalidScenario(placed(error.issues, text, read.spots)) : error;
  }
}

function invalidScenario(issues: readonly PolicyIssue[], cause?: unknown): PolicyError {
  const text = issues.map((issue) => `\n  ${issueText(issue)}`).join("");
  return new PolicyError("ERR_PREMESH_INVALID_SCENARIO", `invalid scenario:${text}`, { issues, cause });
}
