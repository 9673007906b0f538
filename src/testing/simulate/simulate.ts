// simulate: plays a scenario against a policy in virtual time; the layers are the real ones, only the peer, the clock and the dice are not.
import { type Call, newCall } from "../../call/call.ts";
import { type ClientEnv, seededRandom } from "../../call/env.ts";
import { newRecord } from "../../call/record.ts";
import { Abort } from "../../call/signal.ts";
import { compilePolicy } from "../../compile.ts";
import { type Duration, durationMs } from "../../policy/duration.ts";
import { PolicyError } from "../../policy/error.ts";
import type { Policy } from "../../policy/policy.ts";
import { checkedPolicies } from "../../policy/validate.ts";
import { newTimeline, type Timeline } from "../timeline.ts";
import { newDice } from "./dice.ts";
import { drive } from "./drive.ts";
import { newFigures, type Simulation } from "./figures.ts";
import { newPeer, type SimulatedPayload } from "./peer.ts";
import { type Plan, planOf, type PlannedPhase, type Scenario, scenarioDefaults } from "./scenario.ts";
import { type ScenarioName, scenarios } from "./scenarios.ts";
import { checkedScenario } from "./schema.ts";

export interface SimulateOptions {
  /** Which of the policies. Default: the only one. */
  readonly policy?: string;
  /** How long each slot of the result is. Default: a sixtieth of the whole. */
  readonly slot?: Duration;
  /** Ends the simulation early; it then rejects with the reason. */
  readonly signal?: AbortSignal;
}

/** What calls are for. */
const TARGET = "upstream.internal";

/** Slots of a result where nothing is said. */
const SLOTS = 60;

/**
 * Plays a scenario, or one of the named ones, against a policy: thousands of seconds of traffic in one. The same seed gives the same result to the
 * digit. `trace` layers are left out, since there is nothing to trace. A policy without layers shows the same traffic bare.
 *
 * Errors: `ERR_PREMESH_INVALID_SCENARIO`, `ERR_PREMESH_INVALID_POLICY`, `ERR_PREMESH_UNKNOWN_POLICY`, `ERR_PREMESH_INVALID_OPTIONS`.
 *
 * @example
 * ```ts
 * const { success, attemptsPerCall, latency } = await simulate([payments], "outage");
 * ```
 */
export async function simulate(
  policies: Policy | readonly Policy[],
  scenario: Scenario | ScenarioName,
  options: SimulateOptions = {},
): Promise<Simulation> {
  const plan = planOf(checkedScenario(typeof scenario === "string" ? namedScenario(scenario) : scenario));
  const list = Array.isArray(policies) ? policies : [policies];
  const policy = chosen(
    checkedPolicies(list, (index) => (list.length === 1 && !Array.isArray(policies) ? "" : `policies[${index}]`)),
    options.policy,
  );
  const obstacle = obstacleIn(policy);
  if (obstacle !== undefined)
    throw new PolicyError("ERR_PREMESH_INVALID_OPTIONS", `simulate: policy ${policy.name} has ${obstacle}`, { policy: policy.name });
  options.signal?.throwIfAborted();
  return played(policy, plan, slotMs(plan, options.slot), options.signal);
}

function namedScenario(name: string): Scenario {
  if (Object.hasOwn(scenarios, name)) return scenarios[name as ScenarioName].at(scenarioDefaults.rate); // the cast: hasOwn has just shown it
  const names = Object.keys(scenarios).join(", ");
  throw new PolicyError("ERR_PREMESH_INVALID_OPTIONS", `simulate: "${name}" is no scenario; those with a name are ${names}`);
}

function chosen(policies: readonly Policy[], name: string | undefined): Policy {
  const names = policies.map((policy) => policy.name).join(", ") || "none";
  if (name === undefined) {
    const [first, second] = policies;
    if (first !== undefined && second === undefined) return first;
    throw new PolicyError("ERR_PREMESH_INVALID_OPTIONS", `simulate: say which policy to simulate; there are: ${names}`);
  }
  const found = policies.find((policy) => policy.name === name);
  if (found !== undefined) return found;
  throw new PolicyError("ERR_PREMESH_UNKNOWN_POLICY", `simulate: there is no policy "${name}"; there are: ${names}`, { policy: name });
}

/** What of a policy does not go by the clock that it is given, and what to do about it. */
function obstacleIn({ layers }: Policy): string | undefined {
  for (const layer of layers) {
    if (layer.kind === "adopt")
      return "an adopt layer, whose instance goes by real time; put the layer of premesh in its place that does the same";
    if (layer.kind === "route" && layer.to.some(({ endpoints }) => !Array.isArray(endpoints)))
      return "a route whose endpoints are looked up in real time; list them as endpoints";
  }
  return undefined;
}

function slotMs({ lengthMs }: Plan, slot: Duration | undefined): number {
  if (slot === undefined) return Math.ceil(lengthMs / SLOTS);
  const ms = durationMs(slot);
  if (ms > 0 && lengthMs / ms <= 100_000) return ms;
  throw new PolicyError("ERR_PREMESH_INVALID_OPTIONS", "simulate: slot must be a duration above 0 that makes at most 100,000 slots");
}

async function played(policy: Policy, plan: Plan, slot: number, signal: AbortSignal | undefined): Promise<Simulation> {
  const timeline = newTimeline();
  const figures = newFigures(plan.lengthMs, slot);
  const env: ClientEnv = {
    now: timeline.now,
    timers: timeline,
    random: seededRandom(plan.seed),
    report: (call, decision, place) => figures.decided(timeline.now(), decision, place, call?.endpoint?.key),
  };
  const compiled = compilePolicy({ ...policy, layers: policy.layers.filter(({ kind }) => kind !== "trace") }, env, new Map());
  const phaseNow = newPhases(plan.phases, timeline);
  const dice = newDice(plan.seed);
  const attempted = (): void => figures.attempted(timeline.now());
  const peer = newPeer({ timeline, dice, phaseNow, target: TARGET, attempted });
  const stack = compiled.stackFor(TARGET);
  const failures: unknown[] = [];
  let arriving = true;
  let underWay = 0;

  function begin(index: number): void {
    const caller = new Abort(undefined);
    const patience = timeline.setTimer(() => caller.abort(GAVE_UP), plan.patienceMs);
    const call = callOf(index, caller);
    underWay++;
    stack(call).then(
      (outcome) => {
        underWay--;
        timeline.clearTimer(patience);
        figures.ended(call.record, outcome, timeline.now());
      },
      (error: unknown) => failures.push(error),
    );
  }

  function callOf(index: number, caller: Abort): Call {
    const payload: SimulatedPayload = { replayable: true, index };
    return newCall({
      record: newRecord(compiled, "http", TARGET, plan.method, timeline.now()),
      metadata: NO_METADATA,
      signal: caller,
      idempotent: plan.idempotent,
      idempotencyKey: undefined,
      payload,
      send: peer.send,
    });
  }

  /** Open loop: the next call comes when it is due, whatever became of those before it. */
  function arrive(index: number): void {
    const gap = plan.even ? 1 : -Math.log(1 - dice.roll(index, 0, 0));
    const wait = (gap * 1_000) / (plan.rate * phaseNow().load);
    if (timeline.now() + wait >= plan.lengthMs) {
      arriving = false;
      return;
    }
    timeline.setTimer(() => {
      begin(index);
      arrive(index + 1);
    }, wait);
  }

  arrive(1);
  await drive(timeline, () => !arriving && underWay === 0, signal); // a layer may keep a timer of its own going for ever
  if (failures.length > 0) throw failures[0];
  if (underWay > 0) throw new Error(`simulate: ${underWay} calls never came out: a layer waits for something else than its clock`);
  return figures.result(policy.name, peer.seen());
}

const GAVE_UP = new Error("the caller's patience was at its end");
const NO_METADATA = { get: () => undefined };

/** The phase of now. Time goes forward only, so the place in the list is remembered. */
function newPhases(phases: readonly PlannedPhase[], timeline: Timeline): () => PlannedPhase {
  let at = 0;
  return () => {
    while (at < phases.length - 1 && (phases[at]?.to ?? 0) <= timeline.now()) at++;
    return phases[at] as PlannedPhase; // the cast: planOf gives at least one
  };
}
