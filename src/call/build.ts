// Build: how the data of one layer becomes a running layer with its state.
import type { Budget } from "./budget.ts";
import type { Call, Layer, Next } from "./call.ts";
import type { Env } from "./env.ts";
import type { Failure } from "./outcome.ts";

/** Where a layer stands. */
export interface Scope {
  /** What errors and telemetry call it: its `name`, else its kind. */
  readonly label: string;
  /** Its place in the list of layers, from 0. */
  readonly index: number;
  /** A retry or hedge stands outside it, so it sees attempts, not calls. */
  readonly insideRetry: boolean;
  /** Some of the calls of its policy come in. */
  readonly inbound: boolean;
  /** The layers behind it, built for another target; behind a `route`, for one endpoint that stands for the target. */
  readonly rest: (target: string) => Next<unknown>;
  /** Whether a layer behind it would send a call again that came out so. */
  readonly repeatsBehind: (call: Call, failure: Failure<unknown>) => boolean;
}

/** What a layer that keeps state shows of it and lets be done to it. All data is plain JSON. */
export interface LayerState {
  status(): Readonly<Record<string, unknown>>;
  /** What survives a restart; times as what remains of them. */
  snapshot?(): Readonly<Record<string, unknown>>;
  restore?(snapshot: Readonly<Record<string, unknown>>): void;
  /** Refuses everything until `reset`. */
  isolate?(): void;
  /** Back to the state of the first day. */
  reset?(): void;
}

/** The layers behind a `route`, for each endpoint of one target; their state is one per endpoint. */
export interface Branches {
  /** The layers for an endpoint, by its key; built when it is new. */
  to(endpoint: string): Branch;
  /** Forgets the endpoints that are not to be kept. Calls under way go on with what they have. */
  prune(kept: (endpoint: string) => boolean): void;
}

/** The layers for one endpoint. */
export interface Branch {
  readonly next: Next<unknown>;
  /** Until when one of them refuses every call, on the clock of `Env.now`; 0: none does now. Absent where none ever does. */
  readonly shutUntil: ((now: number) => number) | undefined;
}

/** A layer of a policy, for all its targets. What differs between targets is in the state and nowhere else, so that 10,000 of them stay small. */
export interface Plan<S = unknown> {
  /**
   * The state of one target is born here. `before`: that of a layer with `branches` which this one replaces, so that it can go on with what it knows. `id`:
   * which state it is, equal in every process that runs the policy, whatever its revision.
   */
  newState(before?: S, id?: string): S;
  /**
   * The layer for the target that has this state. `branches`: what is behind it, where it has branches. `budget`: that of the policy's retry, which all who
   * send more than once keep to.
   */
  layer(state: S, branches?: Branches, budget?: Budget): Layer;
  /** The budget that a retry keeps in its state. */
  budget?(state: S): Budget;
  /** Whether it would send a call again that came out so, by its rules; absent: it never does. */
  repeats?(call: Call, failure: Failure<unknown>): boolean;
  /** The layers behind it are built once for each endpoint, and it picks the endpoint. */
  readonly branching?: true;
  /** Its state goes over to the layer that takes its place with other data, if that says the same; a policy has at most one that does. */
  readonly handsOn?: string;
  /** Until when the layer refuses every call, on the clock of `Env.now`; 0: it does not now. Cheap: asked for each pick of an endpoint. */
  shutUntil?(state: S, now: number): number;
  /** Ends what goes on in the background. No call comes afterwards. */
  close?(state: S): void;
  /** What can be seen of a state and done to it; absent where there is none to keep. */
  show?(state: S): LayerState;
}

/** Plans a layer by its definition. */
export type Build<D, S = unknown> = (definition: D, env: Env, scope: Scope) => Plan<S>;

/** The plan of a layer that keeps no state. */
export const stateless = (layer: Layer): Plan => ({ newState: () => undefined, layer: () => layer });

/** The layer with a state of its own. */
export const alone = <S>(plan: Plan<S>): Layer => plan.layer(plan.newState());
