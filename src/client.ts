// createClient: finds the policy of a call and sends the call through its stack; policies can be swapped while calls are under way.
import { type ClientOptions, checkOptions, warnWithoutStore } from "./client-options.ts";
import { addCallerFrames } from "./call/caller-frames.ts";
import type { Call } from "./call/call.ts";
import { monotonicNow, systemTimers } from "./call/clock.ts";
import { type ClientEnv, seededRandom } from "./call/env.ts";
import type { Outcome } from "./call/outcome.ts";
import { newRecord, recall, remember } from "./call/record.ts";
import type { ClientStatus } from "./call/status.ts";
import { type ClientSnapshot, newPoliciesInForce } from "./policies-in-force.ts";
import { PolicyError } from "./policy/error.ts";
import type { Policy } from "./policy/policy.ts";
import { newShims } from "./seam/shims.ts";
import type { DecisionEvent, TelemetryEvent } from "./telemetry/events.ts";
import { type Explanation, explanationOf } from "./telemetry/explanation.ts";
import { newTelemetry } from "./telemetry/telemetry.ts";
import { openDoor, type Ruled } from "./transports/door.ts";
import { fetchBeneath } from "./transports/fetch/beneath.ts";
import { fetchCall, fetchConclusion } from "./transports/fetch/call.ts";
import { fetchCrosses } from "./transports/fetch/crosses.ts";
import { type FetchInit, type FetchInput, hostKey, methodOf, urlOf } from "./transports/fetch/request.ts";
import { fetchSender } from "./transports/fetch/send.ts";
import { RUN_METHOD, RUN_TARGET, runCall, runConclusion } from "./transports/run/call.ts";
import type { Work } from "./transports/run/send.ts";

export interface RunOptions {
  /** Ends the call at once when it is aborted. */
  readonly signal?: AbortSignal;
  /** The work may be done twice. Default false, so that only an attempt that found no connection (`ECONNREFUSED` and the like) is repeated. */
  readonly idempotent?: boolean;
  /** What the work calls; layers keep state for each target. Default: one for all work under the policy. */
  readonly target?: string;
}

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
  /**
   * Calls the listener with every event from now on: each decision of a layer, each attempt and each call. Gives the function that ends it. What the
   * listener throws becomes a warning of the process, and touches no call.
   *
   * Errors: `ERR_PREMESH_INVALID_OPTIONS` for what is no function.
   *
   * @example
   * ```ts
   * const stop = client.on((event) => {
   *   if (event.type === "call" && event.result !== "success") console.error(event.policy, event.target, event.errorType);
   * });
   * stop();
   * ```
   */
  on(listener: (event: TelemetryEvent) => unknown): () => void;
  /** The last 256 decisions of all layers, oldest first. */
  decisions(): readonly DecisionEvent[];
  /** What happened to a call and why, by the response or error that came of it; `undefined` when it came from elsewhere. */
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
  const { clock } = options;
  const now = options.now ?? (clock === undefined ? monotonicNow : () => clock.now());
  const telemetry = newTelemetry(now, () => policies.status());
  const world = {
    now,
    timers: clock ?? systemTimers,
    random: options.seed === undefined ? Math.random : seededRandom(options.seed),
    ...(options.shared === undefined ? {} : { shared: options.shared }),
  };
  const shims = newShims(options.sidecar, world);
  const env: ClientEnv = { ...world, report: telemetry.report, attempts: telemetry.attempts, sidecars: shims };
  const beneath = fetchBeneath(options.fetch);
  const sendFetch = fetchSender(beneath.now, env);
  const crosses = fetchCrosses(beneath.now);
  const policies = newPoliciesInForce(options.policies, env, options.snapshot ?? {});
  warnWithoutStore(options.policies, options.shared);
  let closed = false;
  let underWay = 0;
  const draining: (() => void)[] = [];

  function left(): void {
    underWay--;
    if (underWay === 0 && draining.length > 0) for (const drained of draining.splice(0)) drained();
  }

  /** Not async: that is 400 bytes a call. */
  function through<T>(
    compiled: Ruled,
    call: Call,
    conclude: (outcome: Outcome<unknown>, call: Call) => T,
    broken?: (error: unknown, call: Call) => T,
  ): Promise<T> {
    if (closed)
      throw new PolicyError("ERR_PREMESH_CLIENT_CLOSED", "this client is closed and takes no calls", { policy: compiled.policy.name });
    const failed = (error: unknown): T => {
      left();
      remember(error, call.record);
      if (broken !== undefined) return broken(error, call);
      if (error !== call.signal?.reason) addCallerFrames(error, failed); // a reason is the caller's, and may be that of many calls
      throw error;
    };
    const concluded = (outcome: Outcome<unknown>): T => {
      let result: T;
      telemetry.ended(call.record, outcome);
      try {
        result = conclude(outcome, call);
      } catch (error) {
        return failed(error);
      }
      left();
      remember(result, call.record);
      return result;
    };
    underWay++;
    telemetry.begun();
    let outcome: Promise<Outcome<unknown>>;
    try {
      outcome = compiled.stackFor(call.target)(call);
    } catch (error) {
      return Promise.resolve(failed(error));
    }
    return outcome.then(concluded, failed);
  }

  const client: Client = {
    // oxlint-disable-next-line typescript/no-useless-default-assignment -- fetch's `length` is 1
    fetch: (input, init = undefined) => {
      if (beneath.isReturning(init)) return beneath.original(input, init);
      const url = init === undefined || typeof init === "object" ? urlOf(input) : undefined; // fetch will say what is wrong with another init
      const name = init?.premesh?.policy;
      if (url === undefined) return beneath.now()(input, init);
      const method = methodOf(input, init);
      try {
        const compiled = name === undefined ? policies.find(hostKey(url), url.pathname, method) : policies.named(name);
        if (compiled === undefined) return beneath.now()(input, init);
        const call = fetchCall(input, init, url, newRecord(compiled, "http", url.host, method, now()), sendFetch, crosses);
        requireIdempotencyLayer(compiled, call);
        return through(compiled, call, fetchConclusion);
      } catch (error) {
        return Promise.reject(error); // oxlint-disable-line typescript/prefer-promise-reject-errors -- only PolicyErrors are thrown here
      }
    },

    run: <T>(policy: string, work: Work<T>, given: RunOptions = {}): Promise<T> => {
      try {
        const compiled = policies.named(policy);
        if (typeof work !== "function") throw new TypeError(`run needs a function to run under policy ${policy}`);
        const { target = RUN_TARGET } = given;
        const call = runCall(work, given, newRecord(compiled, "run", target, RUN_METHOD, now()));
        return through(compiled, call, runConclusion) as Promise<T>; // the cast: what the work gave, or a fallback's body on the user's word
      } catch (error) {
        return Promise.reject(error); // oxlint-disable-line typescript/prefer-promise-reject-errors -- only errors are thrown here
      }
    },

    update: (next) => {
      if (!Array.isArray(next)) throw new PolicyError("ERR_PREMESH_INVALID_OPTIONS", "client.update needs a list of policies");
      policies.replace(next);
    },

    on: (listener) => {
      if (typeof listener !== "function")
        throw new PolicyError("ERR_PREMESH_INVALID_OPTIONS", "client.on needs a function that takes events");
      return telemetry.on(listener);
    },

    decisions: telemetry.log,

    explain: (responseOrError) => {
      const record = recall(responseOrError);
      return record === undefined ? undefined : explanationOf(record);
    },

    status: policies.status,
    snapshot: policies.snapshot,
    isolate: policies.isolate,
    reset: policies.reset,

    close: async () => {
      closed = true;
      if (underWay > 0) await new Promise<void>((resolve) => void draining.push(resolve));
      policies.close();
      shims.close();
      telemetry.close();
    },
  };
  openDoor(client, {
    env,
    find: policies.find,
    findRpc: policies.findRpc,
    serves: policies.serves,
    named: policies.named,
    acceptInbound: policies.acceptInbound,
    requireIdempotencyLayer,
    through,
  });
  return client;
}

function requireIdempotencyLayer({ policy }: Ruled, { idempotencyKey }: Call): void {
  if (idempotencyKey === undefined || policy.layers.some(({ kind }) => kind === "idempotency")) return;
  throw new PolicyError(
    "ERR_PREMESH_NO_IDEMPOTENCY_LAYER",
    `policy ${policy.name} has no idempotency layer to send the idempotencyKey with: add idempotency() before retry()`,
    { policy: policy.name },
  );
}
