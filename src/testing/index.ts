// premesh/testing: what users need to test their policies, without sleeping and without a framework.
export { assertAttempts, assertDecision, assertIdle, assertPolicyError } from "./assertions.ts";
export type { DecisionLike } from "./assertions.ts";
export { faultServer } from "./fault-server.ts";
export type { FaultServer } from "./fault-server.ts";
export type { AnswerStep, Fault, FaultStep, Script, ScriptOptions, SeenRequest, Step } from "./script.ts";
export { scriptedUpstream } from "./scripted-upstream.ts";
export type { ScriptedUpstream } from "./scripted-upstream.ts";
export { virtualClock } from "./virtual-clock.ts";
export type { VirtualClock, VirtualClockOptions } from "./virtual-clock.ts";
export type { DecisionCount, Percentiles, Simulation, Slot, Transition } from "./simulate/figures.ts";
export { scenarios } from "./simulate/scenarios.ts";
export type { ScenarioName } from "./simulate/scenarios.ts";
export type { Latency, PeerModel, Phase, Scenario } from "./simulate/scenario.ts";
export { parseScenario } from "./simulate/schema.ts";
export { simulate } from "./simulate/simulate.ts";
export type { SimulateOptions } from "./simulate/simulate.ts";
