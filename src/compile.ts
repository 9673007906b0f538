// From a policy and an environment to stacks, one per target; the one table from kind to builder.
import type { Build, LayerState, Plan } from "./call/build.ts";
import type { Next } from "./call/call.ts";
import type { ClientEnv, Env } from "./call/env.ts";
import { compose, sender } from "./call/stack.ts";
import { buildAdopt } from "./layers/adopt/runtime.ts";
import { buildBreaker } from "./layers/breaker/runtime.ts";
import { buildBulkhead } from "./layers/bulkhead/runtime.ts";
import { buildFallback } from "./layers/fallback/runtime.ts";
import { buildFault } from "./layers/fault/runtime.ts";
import { buildIdempotency } from "./layers/idempotency/runtime.ts";
import { buildRateLimit } from "./layers/rateLimit/runtime.ts";
import { buildRetry } from "./layers/retry/runtime.ts";
import { buildTimeout } from "./layers/timeout/runtime.ts";
import { buildTrace } from "./layers/trace/runtime.ts";
import type { LayerDefinition, LayerDefinitions, LayerKind, Policy } from "./policy/policy.ts";
import { canonicalLayerJson, revision } from "./policy/revision.ts";

const builders: { readonly [K in LayerKind]: Build<LayerDefinitions[K]> } = {
  trace: buildTrace,
  rateLimit: buildRateLimit,
  bulkhead: buildBulkhead,
  timeout: buildTimeout,
  retry: buildRetry,
  breaker: buildBreaker,
  fallback: buildFallback,
  fault: buildFault,
  idempotency: buildIdempotency,
  adopt: buildAdopt,
};

/** How many targets of one policy keep state at a time; beyond, those that were not used of late are forgotten. */
const MOST_TARGETS = 16_384;

/** A planned layer with its state for one target. */
interface Built {
  readonly plan: Plan;
  readonly state: unknown;
}

/** One target of a policy: its stack and the layers it is made of. */
interface Target {
  readonly built: readonly Built[];
  readonly next: Next<unknown>;
  /** Called again since it was made or last looked at; a flood of targets that are called once does not push out those that are in use. */
  used: boolean;
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
  /** Every layer that keeps state, for one target. */
  statesOf(target: string): { readonly kind: LayerKind; readonly layer: string; readonly index: number; readonly state: LayerState }[];
}

/** Layers that share their state by name, over all policies of a client. */
export type NamedLayers = Map<string, { readonly text: string; readonly built: Built }>;

/** Compiles a policy; layers that `before` had in the same form keep their state. */
export function compilePolicy(
  policy: Policy,
  env: ClientEnv,
  named: NamedLayers,
  before?: Compiled,
  born?: (target: string, compiled: Compiled) => void,
): Compiled {
  const { layers } = policy;
  const texts = layers.map(canonicalLayerJson);
  const inherited = before === undefined ? [] : inheritance(texts, before.texts);
  const retryAt = layers.findIndex(({ kind }) => kind === "retry");
  const targets = new Map<string, Target>();
  const send = sender(env);
  const composed = (built: readonly Built[]): Next<unknown> =>
    compose(
      built.map(({ plan, state }) => plan.layer(state)),
      send,
    );

  function target(name: string, old?: Target): Target {
    const found = targets.get(name);
    if (found !== undefined) return found;
    if (targets.size >= MOST_TARGETS) forgetOne(targets);
    const built = plans.map((plan, index): Built => {
      const kept = old?.built[inherited[index] ?? -1];
      return kept?.plan.show === undefined ? build(plan, index) : kept;
    });
    const made: Target = { built, next: composed(built), used: false };
    targets.set(name, made);
    born?.(name, compiled);
    return made;
  }

  const plans = layers.map((definition, index): Plan => {
    // the cast: the table pairs each kind with the builder of its own definition
    const builder = builders[definition.kind] as Build<LayerDefinition>;
    const place = { policy: policy.name, index };
    const reporting: Env = { ...env, report: (call, decision) => env.report(call, decision, place) };
    return builder(definition, reporting, {
      label: definition.name ?? definition.kind,
      insideRetry: retryAt !== -1 && retryAt < index,
      rest: remembered((other) => composed(target(other).built.slice(index + 1))),
    });
  });

  function build(plan: Plan, index: number): Built {
    const name = layers[index]?.name;
    const text = texts[index] ?? "";
    const shared = name === undefined ? undefined : named.get(name);
    if (shared?.text === text) return shared.built;
    const made = { plan, state: plan.newState() };
    if (name !== undefined && plan.show !== undefined) named.set(name, { text, built: made });
    return made;
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
    statesOf: (name) =>
      (targets.get(name)?.built ?? []).flatMap(({ plan, state }, index) => {
        const layer = layers[index];
        if (plan.show === undefined || layer === undefined) return [];
        return [{ kind: layer.kind, layer: layer.name ?? layer.kind, index, state: plan.show(state) }];
      }),
  };
  for (const [name, old] of before?.targets ?? []) target(name, old);
  return compiled;
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

/** Forgets the oldest target that was not used since the last look (the clock algorithm). */
function forgetOne(targets: Map<string, Target>): void {
  for (const [name, target] of targets) {
    targets.delete(name);
    if (!target.used) return;
    target.used = false;
    targets.set(name, target);
  }
}
