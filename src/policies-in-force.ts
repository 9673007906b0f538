// Policies in force: those that calls go through now, with the state of their layers; replaced as a whole, and state that still fits is kept.
import type { LayerState } from "./call/build.ts";
import type { ClientEnv } from "./call/env.ts";
import type { ClientStatus, LayerStatus } from "./call/status.ts";
import { type Compiled, compilePolicy, type NamedLayers, type Stateful } from "./compile.ts";
import { PolicyError } from "./policy/error.ts";
import { type InboundPlace, requireInboundFit } from "./policy/inbound.ts";
import { type Direction, type Matching, newMatching } from "./policy/matching.ts";
import type { Policy } from "./policy/policy.ts";
import { canonicalLayerJson, revision } from "./policy/revision.ts";
import { checkedPolicies } from "./policy/validate.ts";
import type { Built } from "./targets.ts";

/** State that survives a restart, as plain JSON: `policy → target → index of layer → state`; behind a `route` the index is followed by a space and the endpoint. */
export type ClientSnapshot = Readonly<
  Record<string, Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, unknown>>>>>>>
>;

export interface PoliciesInForce {
  /** The policy that a call matches. `host` with its port, in lower case. */
  readonly find: (host: string, path: string, method: string, direction?: Direction) => Compiled | undefined;
  /** The policy that an RPC matches. `host` as above; `method` as `payments.v1.Payments/Charge`. */
  readonly findRpc: (host: string, method: string, direction?: Direction) => Compiled | undefined;
  /** Whether any call that goes out to the host can match a policy. */
  readonly serves: (host: string) => boolean;
  /** The policy of that name; throws `ERR_PREMESH_UNKNOWN_POLICY`. */
  readonly named: (name: string) => Compiled;
  /** From now on, policies for calls that come in must be such as can be run there. Throws `ERR_PREMESH_INVALID_OPTIONS` when one is not. */
  readonly acceptInbound: (place?: InboundPlace) => void;
  /** Throws when one is wrong, and then changes nothing. */
  replace(policies: readonly Policy[]): void;
  readonly status: () => ClientStatus;
  readonly snapshot: () => ClientSnapshot;
  readonly isolate: (policy: string) => void;
  readonly reset: (policy: string) => void;
  /** Ends all that goes on in the background. No call comes afterwards. */
  readonly close: () => void;
}

interface PolicySet {
  readonly byName: ReadonlyMap<string, Compiled>;
  readonly matching: Readonly<Record<Direction, Matching<Compiled>>>;
}

export function newPoliciesInForce(first: readonly Policy[], env: ClientEnv, snapshot: ClientSnapshot): PoliciesInForce {
  const isolated = new Set<string>();
  let inbound: InboundPlace | undefined;
  const shared: NamedLayers = new Map();
  let set = policySet(first);
  restore(snapshot);

  function policySet(policies: readonly Policy[], before?: PolicySet): PolicySet {
    const checked = checkedPolicies(policies, (index) => `policies[${index}]`);
    if (inbound !== undefined) requireInboundFit(checked, { shared: env.shared !== undefined, passedOn: inbound === "before" });
    const compiled = checked.map((policy) => {
      const old = before?.byName.get(policy.name);
      return old !== undefined && isUnchanged(old, policy) ? old : compilePolicy(policy, env, shared, old, born);
    });
    const used = new Set(checked.flatMap(({ layers }) => layers.map(({ name }) => name)));
    for (const name of shared.keys()) if (!used.has(name)) shared.delete(name);
    return {
      byName: new Map(compiled.map((one) => [one.policy.name, one])),
      matching: { outbound: newMatching(compiled), inbound: newMatching(compiled, "inbound") },
    };
  }

  /** Layers that are new, for a new target or endpoint or after an update, are shut if their policy is isolated. */
  function born(states: readonly Stateful[], { name }: Policy): void {
    if (isolated.has(name)) for (const { state } of states) state.isolate?.();
  }

  /** What goes on in the background, for some target or by a name. */
  const running = (): Set<Built> => {
    const byName = [...shared.values()].map(({ built }) => built).filter(({ plan }) => plan.close !== undefined);
    return new Set([...[...set.byName.values()].flatMap((compiled) => compiled.running()), ...byName]);
  };

  /** Done at once and not with a target's first call: what remains of a time runs from now on. */
  function restore(whole: ClientSnapshot): void {
    for (const compiled of set.byName.values()) {
      for (const [target, saved] of Object.entries(whole[compiled.policy.name] ?? {})) {
        compiled.stackFor(target);
        for (const key of Object.keys(Object(saved))) {
          const endpoint = /^\d+ (.+)$/.exec(key)?.[1];
          if (endpoint !== undefined) compiled.statesBehind(target, endpoint);
        }
        for (const stateful of compiled.statesOf(target)) {
          const one: unknown = (saved as typeof saved | null)?.[keyOf(stateful)]; // the casts: it comes from a file
          if (typeof one === "object" && one !== null) stateful.state.restore?.(one as LayerStatus["state"]); // whatever else stands in the file is no state
        }
      }
    }
  }

  function named(name: string): Compiled {
    const compiled = set.byName.get(name);
    if (compiled !== undefined) return compiled;
    const known = [...set.byName.keys()].join(", ") || "none";
    throw new PolicyError("ERR_PREMESH_UNKNOWN_POLICY", `there is no policy "${name}"; this client has: ${known}`, { policy: name });
  }

  const eachPolicy = <T>(show: (compiled: Compiled) => T): Record<string, T> =>
    Object.fromEntries([...set.byName].map(([name, compiled]) => [name, show(compiled)]));

  return {
    find: (host, path, method, direction = "outbound") => set.matching[direction].find(host, path, method),
    findRpc: (host, method, direction = "outbound") => set.matching[direction].findRpc(host, method),
    serves: (host) => set.matching.outbound.serves(host),
    named,
    acceptInbound: (place = "within") => {
      const policies = [...set.byName.values()].map(({ policy }) => policy);
      requireInboundFit(policies, { shared: env.shared !== undefined, passedOn: place === "before" });
      inbound = place;
    },
    replace: (next) => {
      const before = running();
      set = policySet(next, set);
      const now = running();
      for (const one of before) if (!now.has(one)) one.plan.close?.(one.state);
      for (const name of isolated) if (!set.byName.has(name)) isolated.delete(name);
    },
    status: () => ({
      policies: eachPolicy((compiled) => ({
        revision: compiled.revision,
        targets: eachTarget(compiled, (states) =>
          states.map(({ kind, layer, index, endpoint, state }) => ({
            kind,
            layer,
            index,
            ...(endpoint === undefined ? {} : { endpoint }),
            state: state.status(),
          })),
        ),
      })),
    }),

    snapshot: () =>
      eachPolicy((compiled) =>
        eachTarget(compiled, (states) =>
          Object.fromEntries(
            states.flatMap((stateful) => {
              const { state } = stateful;
              return state.snapshot === undefined ? [] : [[keyOf(stateful), state.snapshot()] as const];
            }),
          ),
        ),
      ),

    isolate: (policy) => {
      const compiled = named(policy);
      if (!compiled.policy.layers.some(({ kind }) => kind === "breaker")) {
        throw new PolicyError(
          "ERR_PREMESH_INVALID_OPTIONS",
          `policy "${policy}" has no breaker to isolate it with: add breaker() to its layers`,
          { policy },
        );
      }
      isolated.add(policy);
      eachState(compiled, (state) => state.isolate?.());
    },

    reset: (policy) => {
      isolated.delete(policy);
      eachState(named(policy), (state) => state.reset?.());
    },

    close: () => {
      for (const { plan, state } of running()) plan.close?.(state);
    },
  };
}

/** The key of a layer in a snapshot. */
const keyOf = ({ index, endpoint }: Stateful): string => (endpoint === undefined ? String(index) : `${index} ${endpoint}`);

/** The same policy, with the same adopted instances, which the revision does not show. */
const isUnchanged = ({ texts, ...old }: Compiled, policy: Policy): boolean =>
  old.revision === revision(policy) && policy.layers.every((layer, index) => canonicalLayerJson(layer) === texts[index]);

function eachTarget<T>(compiled: Compiled, show: (states: ReturnType<Compiled["statesOf"]>) => T): Record<string, T> {
  return Object.fromEntries([...compiled.targets.keys()].map((target) => [target, show(compiled.statesOf(target))]));
}

function eachState(compiled: Compiled, act: (state: LayerState) => void): void {
  for (const target of compiled.targets.keys()) for (const { state } of compiled.statesOf(target)) act(state);
}
