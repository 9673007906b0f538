// From a policy and an environment to stacks, one per target; the one table from kind to builder.
import type { Budget } from "./call/budget.ts";
import type { Branches, Build, LayerState, Plan } from "./call/build.ts";
import type { Next } from "./call/call.ts";
import type { ClientEnv, Env } from "./call/env.ts";
import { sender } from "./call/stack.ts";
import { compose } from "./call/step.ts";
import { buildAdopt } from "./layers/adopt/runtime.ts";
import { buildBreaker } from "./layers/breaker/runtime.ts";
import { buildBulkhead } from "./layers/bulkhead/runtime.ts";
import { buildFallback } from "./layers/fallback/runtime.ts";
import { buildFault } from "./layers/fault/runtime.ts";
import { buildHedge } from "./layers/hedge/runtime.ts";
import { buildIdempotency } from "./layers/idempotency/runtime.ts";
import { buildRateLimit } from "./layers/rateLimit/runtime.ts";
import { buildRetry } from "./layers/retry/runtime.ts";
import { buildRoute } from "./layers/route/runtime.ts";
import { buildSidecar } from "./layers/sidecar/runtime.ts";
import { buildTimeout } from "./layers/timeout/runtime.ts";
import { buildTrace } from "./layers/trace/runtime.ts";
import type { LayerDefinition, LayerDefinitions, LayerKind, Policy } from "./policy/policy.ts";
import { canonicalLayerJson, revision } from "./policy/revision.ts";
import { type Built, forgetOne, newTarget, type Target } from "./targets.ts";

const builders: { readonly [K in LayerKind]: Build<LayerDefinitions[K]> } = {
  trace: buildTrace,
  rateLimit: buildRateLimit,
  bulkhead: buildBulkhead,
  timeout: buildTimeout,
  retry: buildRetry,
  hedge: buildHedge,
  breaker: buildBreaker,
  fallback: buildFallback,
  fault: buildFault,
  idempotency: buildIdempotency,
  route: buildRoute,
  sidecar: buildSidecar,
  adopt: buildAdopt,
};

/** How many targets of one policy keep state at a time; beyond, those that were not used of late are forgotten. */
const MOST_TARGETS = 16_384;

/** How many stacks behind a `route` and a seam one target keeps at a time. */
const MOST_ENDPOINTS = 4_096;

/** A layer that keeps state, for one target, and behind a `route` for one endpoint of it. */
export interface Stateful {
  readonly kind: LayerKind;
  readonly layer: string;
  readonly index: number;
  readonly endpoint: string | undefined;
  readonly state: LayerState;
}

/** A policy that runs. */
export interface Compiled {
  readonly policy: Policy;
  readonly revision: string;
  /** Canonical text of each layer: equal text, equal layer. */
  readonly texts: readonly string[];
  readonly targets: ReadonlyMap<string, Target>;
  /** The whole stack for a target. */
  stackFor(target: string): Next<unknown>;
  /**
   * What stands behind the seam, with the state that the whole stack has; `endpoint`: the one that a `route` before the seam has picked, else the target stands
   * for it. `undefined`: there is no seam.
   */
  stackBehindSeam(target: string, endpoint?: string): Next<unknown> | undefined;
  /** Every layer that keeps state, for one target. */
  statesOf(target: string): readonly Stateful[];
  /** The same behind its `route` for one endpoint, which is there from then on. */
  statesBehind(target: string, endpoint: string): readonly Stateful[];
  /** What does something in the background. */
  running(): readonly Built[];
}

/** Layers that share their state by name, over all policies of a client. */
export type NamedLayers = Map<string, { readonly text: string; readonly built: Built }>;

/** Compiles a policy; layers that `before` had in the same form keep their state. `born` is told of layers that keep state when they begin. */
export function compilePolicy(
  policy: Policy,
  env: ClientEnv,
  named: NamedLayers,
  before?: Compiled,
  born?: (states: readonly Stateful[], policy: Policy) => void,
): Compiled {
  const { layers } = policy;
  const texts = layers.map(canonicalLayerJson);
  const inherited = before === undefined ? [] : inheritance(texts, before.texts);
  const seamAt = layers.findIndex(({ kind }) => kind === "sidecar");
  const repeatsAt = layers.findIndex(({ kind }) => kind === "retry" || kind === "hedge");
  const inbound = policy.match?.some((match) => match.inbound === true) === true;
  const targets = new Map<string, Target>();
  const send = sender(env);
  const composed = (built: readonly Built[], outside: readonly Built[], branches?: Branches): Next<unknown> => {
    const budget = budgetOf([...outside, ...built]);
    return compose(
      built.map(({ plan, state }) => plan.layer(state, branches, budget)),
      send,
    );
  };

  /** The layers behind one of a target; behind a `route`, for one endpoint. */
  function inside({ branchAt: at, built, branches, behind }: Target, index: number, endpoint: string): Next<unknown> {
    if (at === -1 || index <= at) return composed(built.slice(index + 1), built.slice(0, index + 1), branches);
    const all = behind(endpoint);
    return composed(all.slice(index - at), [...built, ...all.slice(0, index - at)]);
  }

  /** Behind the seam, for each target; where a `route` stands before it, for each of its endpoints. */
  const behindSeam = new WeakMap<Target, Map<string, Next<unknown>>>();

  function target(name: string, old?: Target): Target {
    const found = targets.get(name);
    if (found !== undefined) return found;
    if (targets.size >= MOST_TARGETS) closeUnnamed(forgetOne(targets)?.all() ?? []);
    const made = newTarget(plans, {
      build: (index, endpoint) => {
        const kept = old?.at(inherited[index] ?? -1, endpoint);
        return kept?.plan.show === undefined ? build(index, old, endpoint === undefined ? [name] : [name, endpoint]) : kept;
      },
      compose: composed,
      born: (built, first, endpoint) => born?.(statesIn(built, first, endpoint), policy),
      left: (built, first) => closeUnnamed(built.map((one, offset) => [first + offset, one])),
    });
    for (const endpoint of old?.endpoints() ?? []) made.behind(endpoint);
    targets.set(name, made);
    return made;
  }

  const plans = layers.map((definition, index): Plan => {
    // the cast: the table pairs each kind with the builder of its own definition
    const builder = builders[definition.kind] as Build<LayerDefinition>;
    const place = { policy: policy.name, index };
    const reporting: Env = { ...env, report: (call, decision) => env.report(call, decision, place) };
    return builder(definition, reporting, {
      label: definition.name ?? definition.kind,
      index,
      insideRetry: repeatsAt !== -1 && repeatsAt < index,
      inbound,
      rest: remembered((other) => inside(target(other), index, other)),
      repeatsBehind: (call, failure) => plans.some((plan, at) => at > index && plan.repeats?.(call, failure) === true),
    });
  });

  /** Which state it is, in every process: by the layer's name, else by its place among those of its kind, which other layers do not move. */
  function idOf(index: number, at: readonly string[]): string {
    const { name, kind } = layers[index] ?? {};
    const nth = layers.slice(0, index).filter((layer) => layer.kind === kind).length;
    return JSON.stringify(name === undefined ? [policy.name, kind, nth, ...at] : [kind, name]);
  }

  /** `at`: its target, and behind a `route` its endpoint. */
  function build(index: number, old: Target | undefined, at: readonly string[]): Built {
    const plan = plans[index] as Plan; // the cast: an index of the same list
    const name = layers[index]?.name;
    const text = texts[index] ?? "";
    const shared = name === undefined ? undefined : named.get(name);
    if (shared?.text === text) return shared.built;
    const replaced = [...(shared === undefined ? [] : [shared.built]), ...(old?.built ?? [])].find((other) => continues(plan, other));
    const made = { plan, state: plan.newState(replaced?.state, idOf(index, at)) };
    if (name !== undefined && plan.show !== undefined) named.set(name, { text, built: made });
    return made;
  }

  function statesIn(built: readonly Built[], first: number, endpoint?: string): readonly Stateful[] {
    return built.flatMap(({ plan, state }, offset) => {
      const layer = layers[first + offset];
      if (plan.show === undefined || layer === undefined) return [];
      return [{ kind: layer.kind, layer: layer.name ?? layer.kind, index: first + offset, endpoint, state: plan.show(state) }];
    });
  }

  /** What has a name may be in use elsewhere. */
  function closeUnnamed(built: readonly (readonly [index: number, built: Built])[]): void {
    for (const [index, { plan, state }] of built) if (layers[index]?.name === undefined) plan.close?.(state);
  }

  const compiled: Compiled = {
    policy,
    revision: revision(policy),
    texts,
    targets,
    stackFor: (name) => {
      const found = targets.get(name);
      if (found !== undefined) {
        found.used = true;
        return found.next;
      }
      return target(name).next;
    },
    stackBehindSeam: (name, endpoint = name) => {
      const one = target(name);
      one.used = true;
      if (seamAt === -1) return undefined;
      const branched = one.branchAt !== -1 && one.branchAt < seamAt;
      const key = branched ? endpoint : "";
      const stacks = behindSeam.get(one) ?? new Map<string, Next<unknown>>();
      behindSeam.set(one, stacks);
      const found = stacks.get(key) ?? inside(one, seamAt, key);
      if (stacks.size >= MOST_ENDPOINTS) stacks.clear();
      stacks.set(key, found);
      return found;
    },
    statesOf: (name) => {
      const found = targets.get(name);
      if (found === undefined) return [];
      const behind = found.endpoints().flatMap((endpoint) => statesIn(found.behind(endpoint), found.branchAt + 1, endpoint));
      return [...statesIn(found.built, 0), ...behind];
    },
    statesBehind: (name, endpoint) => {
      const { branchAt: at, behind } = target(name);
      return at === -1 ? [] : statesIn(behind(endpoint), at + 1, endpoint);
    },
    running: () =>
      [...targets.values()].flatMap((one) => one.all().flatMap(([, built]) => (built.plan.close === undefined ? [] : [built]))),
  };
  for (const [name, old] of before?.targets ?? []) target(name, old);
  return compiled;
}

/** Whether a layer goes on with the state of one that was defined otherwise. */
const continues = ({ branching, handsOn }: Plan, { plan: before }: Built): boolean =>
  (branching === true && before.branching === true) || (handsOn !== undefined && before.handsOn === handsOn);

/** The budget of the first retry, which keeps it in its state. */
function budgetOf(built: readonly Built[]): Budget | undefined {
  for (const { plan, state } of built) if (plan.budget !== undefined) return plan.budget(state);
  return undefined;
}

function remembered<V>(make: (key: string) => V): (key: string) => V {
  const made = new Map<string, V>();
  return (key) => {
    const found = made.get(key) ?? make(key);
    made.set(key, found);
    return found;
  };
}

/** For each new layer the index of the old one that it continues: the same text, in the same order among equals. */
function inheritance(texts: readonly string[], old: readonly string[]): (number | undefined)[] {
  const free = new Map<string, number[]>();
  for (const [index, text] of old.entries()) free.set(text, [...(free.get(text) ?? []), index]);
  return texts.map((text) => free.get(text)?.shift());
}
