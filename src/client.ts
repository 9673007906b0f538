// createClient: finds the policy of a call and sends the call through its stack; policies can be swapped while calls are under way.
import type { LayerState } from "./call/build.ts";
import { addCallerFrames } from "./call/caller-frames.ts";
import type { Call, CallRecord } from "./call/call.ts";
import { type Env, monotonicNow, seededRandom } from "./call/env.ts";
import type { Outcome } from "./call/outcome.ts";
import { recall, remember } from "./call/record.ts";
import { type Compiled, compilePolicy, type NamedLayers } from "./compile.ts";
import { PolicyError } from "./policy/error.ts";
import { type Matching, newMatching } from "./policy/matching.ts";
import type { LayerKind, Policy } from "./policy/policy.ts";
import { revision } from "./policy/revision.ts";
import { checkedPolicies } from "./policy/validate.ts";
import { type Explanation, explanationOf, reportDecision } from "./telemetry/decisions.ts";
import { fetchBeneath } from "./transports/fetch/beneath.ts";
import { fetchResult } from "./transports/fetch/edge.ts";
import {
  type FetchFunction,
  type FetchInit,
  type FetchInput,
  hostKey,
  metadataOf,
  methodOf,
  payloadOf,
  signalOf,
  urlOf,
} from "./transports/fetch/request.ts";
import { fetchSender } from "./transports/fetch/send.ts";
import { runResult } from "./transports/run/edge.ts";
import { type RunPayload, sendRun, type Work } from "./transports/run/send.ts";

export interface ClientOptions {
  /** What calls go through. Their order matters only where two match a call equally well: the first wins. */
  readonly policies: readonly Policy[];
  /** The fetch function beneath. Default: `globalThis.fetch`, looked up for each call. */
  readonly fetch?: FetchFunction;
  /** Makes jitter and dice repeatable. Default: chance. */
  readonly seed?: number;
  /** The clock, in milliseconds. Default: a monotonic one. */
  readonly now?: () => number;
  /** What {@link Client.snapshot} gave, perhaps in an earlier process: breakers go on where they were, by the time that remained. */
  readonly snapshot?: ClientSnapshot;
}

export interface RunOptions {
  /** Ends the call at once when it is aborted. */
  readonly signal?: AbortSignal;
  /** The work may be done twice. Default false, so that only attempts that surely never started are repeated. */
  readonly idempotent?: boolean;
  /** What the work calls; layers keep state for each target. Default: one for all work under the policy. */
  readonly target?: string;
}

/** The state of one layer for one target, as plain JSON. */
export interface LayerStatus {
  readonly kind: LayerKind;
  readonly layer: string;
  readonly index: number;
  readonly state: Readonly<Record<string, unknown>>;
}

export interface ClientStatus {
  /** Policies by name. */
  readonly policies: Readonly<
    Record<string, { readonly revision: string; readonly targets: Readonly<Record<string, readonly LayerStatus[]>> }>
  >;
}

/** State that survives a restart, as plain JSON: `policy → target → index of layer → state`. */
export type ClientSnapshot = Readonly<
  Record<string, Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, unknown>>>>>>>
>;

export interface Client {
  /**
   * fetch, under the policy that matches the call. A call that nothing matches goes through as if premesh were not there.
   *
   * Errors: what fetch itself throws, and {@link PolicyError} where a policy ended the call.
   *
   * @example
   * ```ts
   * const response = await client.fetch("https://payments.internal/charges", { method: "POST", body, premesh: { idempotent: true } });
   * ```
   */
  readonly fetch: (input: FetchInput, init?: FetchInit) => Promise<Response>; // a property, so that it can be handed on by itself
  /**
   * Any work, under the policy of that name. What the work throws is a failure, and thrown on when nothing is left to try.
   *
   * Errors: what the work throws; {@link PolicyError} where the policy ended the call, or `ERR_PREMESH_UNKNOWN_POLICY`.
   *
   * @example
   * ```ts
   * const rows = await client.run("database", ({ signal }) => query(sql, { signal }), { idempotent: true });
   * ```
   */
  run<T>(policy: string, work: Work<T>, options?: RunOptions): Promise<T>;
  /** Puts these policies in place of all, at once. Layers that stay as they are keep their state. Wrong policies throw, and the old ones stay. */
  update(policies: readonly Policy[]): void;
  /** What happened to a call, by the response or error that came of it; `undefined` when it came from elsewhere. */
  explain(responseOrError: unknown): Explanation | undefined;
  /** The state of every layer, by policy and target, as plain JSON. */
  status(): ClientStatus;
  /** What {@link ClientOptions.snapshot} takes. */
  snapshot(): ClientSnapshot;
  /** Opens every breaker of a policy, for targets to come too, until {@link Client.reset}. */
  isolate(policy: string): void;
  /** Puts every layer of a policy back to its first state: breakers closed, limits full. */
  reset(policy: string): void;
  /** Takes no new calls, and waits until those under way have their outcome. */
  close(): Promise<void>;
}

/** Policies in force; replaced as a whole. */
interface PolicySet {
  readonly byName: ReadonlyMap<string, Compiled>;
  readonly matching: Matching<Compiled>;
}

const RUN_TARGET = "run";

/**
 * A client that sends calls through policies.
 *
 * Errors: `ERR_PREMESH_INVALID_POLICY`, whose `issues` name everything that is wrong.
 *
 * @example
 * ```ts
 * const client = createClient({ policies: [payments] });
 * const response = await client.fetch("http://payments.internal/charges/1");
 * ```
 */
export function createClient(options: ClientOptions): Client {
  checkOptions(options);
  const env: Env = {
    now: options.now ?? monotonicNow,
    random: options.seed === undefined ? Math.random : seededRandom(options.seed),
    report: reportDecision,
  };
  const isolated = new Set<string>();
  const shared: NamedLayers = new Map();
  const beneath = fetchBeneath(options.fetch);
  const sendFetch = fetchSender(beneath.now, env);
  let set = policySet(options.policies);
  restore(options.snapshot ?? {});
  let closed = false;
  let underWay = 0;
  const draining: (() => void)[] = [];

  function policySet(policies: readonly Policy[], before?: PolicySet): PolicySet {
    const checked = checkedPolicies(policies, (index) => `policies[${index}]`);
    const compiled = checked.map((policy) => {
      const old = before?.byName.get(policy.name);
      return old?.revision === revision(policy) ? old : compilePolicy(policy, env, shared, old, born);
    });
    const used = new Set(checked.flatMap(({ layers }) => layers.map(({ name }) => name)));
    for (const name of shared.keys()) if (!used.has(name)) shared.delete(name);
    return { byName: new Map(compiled.map((one) => [one.policy.name, one])), matching: newMatching(compiled) };
  }

  /** Layers that are new, for a new target or after an update, are shut if their policy is isolated. */
  function born(target: string, compiled: Compiled): void {
    if (isolated.has(compiled.policy.name)) for (const { state } of compiled.statesOf(target)) state.isolate?.();
  }

  /** Done at once and not with a target's first call: what remains of a time runs from now on. */
  function restore(snapshot: ClientSnapshot): void {
    for (const compiled of set.byName.values()) {
      for (const [target, saved] of Object.entries(snapshot[compiled.policy.name] ?? {})) {
        compiled.stackFor(target);
        for (const { index, state } of compiled.statesOf(target)) {
          const one: unknown = (saved as typeof saved | null)?.[String(index)]; // the cast: it comes from a file
          if (typeof one === "object" && one !== null) state.restore?.(one as LayerStatus["state"]); // whatever else stands in the file is no state
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

  function newRecord(compiled: Compiled, target: string, method: string): CallRecord {
    return {
      policy: compiled.policy.name,
      revision: compiled.revision,
      target,
      method,
      startedAt: env.now(),
      attempts: 0,
      sent: 0,
      decisions: undefined,
    };
  }

  async function through<R>(compiled: Compiled, call: Call, conclude: (outcome: Outcome<R>) => unknown): Promise<unknown> {
    if (closed)
      throw new PolicyError("ERR_PREMESH_CLIENT_CLOSED", "this client is closed and takes no calls", { policy: compiled.policy.name });
    underWay++;
    try {
      const outcome = (await compiled.stackFor(call.target)(call)) as Outcome<R>; // the cast: what the call's own sender gives
      const result = conclude(outcome);
      remember(result, call.record);
      return result;
    } catch (error) {
      remember(error, call.record);
      if (error !== call.signal?.reason) addCallerFrames(error, through); // a reason is the caller's, and may be that of many calls
      throw error;
    } finally {
      underWay--;
      if (underWay === 0) for (const drained of draining.splice(0)) drained();
    }
  }

  function fetchUnder(compiled: Compiled, url: URL, method: string, input: FetchInput, init: FetchInit | undefined): Promise<unknown> {
    const { idempotent, idempotencyKey } = init?.premesh ?? {};
    if (idempotencyKey !== undefined && !compiled.policy.layers.some(({ kind }) => kind === "idempotency")) {
      throw new PolicyError(
        "ERR_PREMESH_NO_IDEMPOTENCY_LAYER",
        `policy ${compiled.policy.name} has no idempotency layer to send the idempotencyKey with: add idempotency() before retry()`,
        { policy: compiled.policy.name },
      );
    }
    const signal = signalOf(input, init);
    const payload = payloadOf(input, init, url, signal);
    const record = newRecord(compiled, url.host, method);
    const call: Call = {
      target: url.host,
      origin: undefined,
      method,
      metadata: metadataOf(input, init),
      added: undefined,
      attempt: 1,
      deadline: Number.POSITIVE_INFINITY,
      signal,
      idempotent,
      idempotencyKey,
      payload,
      record,
      tracer: undefined,
      send: sendFetch,
    };
    return through<Response>(compiled, call, (outcome) => {
      payload.settle(outcome.response === undefined, outcome.ok ? undefined : outcome.cause);
      return fetchResult(outcome, record);
    });
  }

  const noMetadata = { get: () => undefined };

  const client: Client = {
    // oxlint-disable-next-line typescript/no-useless-default-assignment -- fetch's `length` is 1
    fetch: (input, init = undefined) => {
      if (beneath.isReturning(init)) return beneath.original(input, init);
      const url = init === undefined || typeof init === "object" ? urlOf(input) : undefined; // fetch will say what is wrong with another init
      const name = init?.premesh?.policy;
      if (url === undefined) return beneath.now()(input, init);
      const method = methodOf(input, init);
      try {
        const compiled = name === undefined ? set.matching.find(hostKey(url), url.pathname, method) : named(name);
        // the cast: `through` gives what `conclude` gave, a Response
        return compiled === undefined ? beneath.now()(input, init) : (fetchUnder(compiled, url, method, input, init) as Promise<Response>);
      } catch (error) {
        return Promise.reject(error); // oxlint-disable-line typescript/prefer-promise-reject-errors -- only PolicyErrors are thrown here
      }
    },

    run: async <T>(policy: string, work: Work<T>, { signal, idempotent = false, target = RUN_TARGET }: RunOptions = {}): Promise<T> => {
      const compiled = named(policy);
      if (typeof work !== "function") throw new TypeError(`run needs a function to run under policy ${policy}`);
      const record = newRecord(compiled, target, "run");
      const payload: RunPayload = { replayable: true, work };
      const call: Call = {
        target,
        origin: undefined,
        method: "run",
        metadata: noMetadata,
        added: undefined,
        attempt: 1,
        deadline: Number.POSITIVE_INFINITY,
        signal,
        idempotent: idempotent ? true : undefined,
        idempotencyKey: undefined,
        payload,
        record,
        tracer: undefined,
        send: sendRun,
      };
      return (await through(compiled, call, (outcome: Outcome<unknown>) => runResult(outcome, record))) as T; // the cast: what the work gave
    },

    update: (policies) => {
      set = policySet(policies, set);
      for (const name of isolated) if (!set.byName.has(name)) isolated.delete(name);
    },

    explain: (responseOrError) => {
      const record = recall(responseOrError);
      return record === undefined ? undefined : explanationOf(record);
    },

    status: () => ({
      policies: Object.fromEntries(
        [...set.byName.values()].map((compiled) => [
          compiled.policy.name,
          {
            revision: compiled.revision,
            targets: Object.fromEntries(
              [...compiled.targets.keys()].map((target) => [
                target,
                compiled.statesOf(target).map(({ kind, layer, index, state }) => ({ kind, layer, index, state: state.status() })),
              ]),
            ),
          },
        ]),
      ),
    }),

    snapshot: () =>
      Object.fromEntries(
        [...set.byName.values()].map((compiled) => [
          compiled.policy.name,
          Object.fromEntries(
            [...compiled.targets.keys()].map((target) => [
              target,
              Object.fromEntries(
                compiled
                  .statesOf(target)
                  .flatMap(({ index, state }) => (state.snapshot === undefined ? [] : [[String(index), state.snapshot()] as const])),
              ),
            ]),
          ),
        ]),
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

    close: async () => {
      closed = true;
      if (underWay > 0) await new Promise<void>((resolve) => void draining.push(resolve));
    },
  };
  return client;
}

function eachState(compiled: Compiled, act: (state: LayerState) => void): void {
  for (const target of compiled.targets.keys()) for (const { state } of compiled.statesOf(target)) act(state);
}

function checkOptions(options: ClientOptions): void {
  const bad = (message: string): never => {
    throw new PolicyError("ERR_PREMESH_INVALID_OPTIONS", `createClient: ${message}`);
  };
  // the casts: callers without types may pass anything
  if (typeof options !== "object" || (options as unknown) === null) bad("needs an object with policies");
  if (!Array.isArray(options.policies)) bad("policies must be a list of policies");
  if (options.fetch !== undefined && typeof options.fetch !== "function") bad("fetch must be a function");
  if (options.now !== undefined && typeof options.now !== "function") bad("now must be a function that gives milliseconds");
  if (options.seed !== undefined && !Number.isFinite(options.seed)) bad("seed must be a number");
}
