// The options of createClient, and what is wrong with those of callers without types.
import type { Clock } from "./call/clock.ts";
import type { SharedStore } from "./call/shared.ts";
import type { ClientSnapshot } from "./policies-in-force.ts";
import { PolicyError } from "./policy/error.ts";
import type { Policy } from "./policy/policy.ts";
import { SIDECAR_ADDRESS, SIDECAR_ADDRESS_WORDS } from "./policy/sidecar-address.ts";
import type { FetchFunction } from "./transports/fetch/request.ts";

export interface ClientOptions {
  /** What calls go through. Their order matters only where two match a call equally well: the first wins. */
  readonly policies: readonly Policy[];
  /** The fetch function beneath. Default: `globalThis.fetch`, looked up for each call. */
  readonly fetch?: FetchFunction;
  /** Makes jitter and dice repeatable. Default: chance. */
  readonly seed?: number;
  /** The clock, in milliseconds. Default: a monotonic one. */
  readonly now?: () => number;
  /** The clock and the timers of all layers, in place of `now`; for tests. Default: a monotonic clock and Node's timers. */
  readonly clock?: Clock;
  /** What {@link Client.snapshot} gave, perhaps in an earlier process: breakers go on where they were, by the time that remained. */
  readonly snapshot?: ClientSnapshot;
  /**
   * Where the sidecar listens that `sidecar` layers without an address of their own hand calls to: `http://127.0.0.1:15001` or `unix:/run/premesh.sock`.
   * Default: none, so that all layers run in the process. `false`: the same, also for layers with an address.
   */
  readonly sidecar?: string | false;
  /** What layers with `shared: true` share with other processes: `redisStore(url)` of `premesh/redis`. Without it they are of this process alone. */
  readonly shared?: SharedStore;
}

/** Throws `ERR_PREMESH_INVALID_OPTIONS`. */
export function checkOptions(options: ClientOptions): void {
  const bad = (message: string): never => {
    throw new PolicyError("ERR_PREMESH_INVALID_OPTIONS", `createClient: ${message}`);
  };
  // the casts: callers without types may pass anything
  if (typeof options !== "object" || (options as unknown) === null) bad("needs an object with policies");
  if (!Array.isArray(options.policies)) bad("policies must be a list of policies");
  if (options.fetch !== undefined && typeof options.fetch !== "function") bad("fetch must be a function");
  if (options.now !== undefined && typeof options.now !== "function") bad("now must be a function that gives milliseconds");
  if (options.clock !== undefined && !isClock(options.clock))
    bad("clock must be an object with the functions now, setTimer and clearTimer");
  if (options.clock !== undefined && options.now !== undefined) bad("give clock or now, not both: a clock has its own now");
  const { sidecar } = options;
  if (sidecar !== undefined && sidecar !== false && !(typeof sidecar === "string" && SIDECAR_ADDRESS.test(sidecar)))
    bad(`sidecar ${SIDECAR_ADDRESS_WORDS}, or false`);
  if (options.shared !== undefined && !isStore(options.shared)) bad("shared must be a store, such as redisStore(url) of premesh/redis");
  if (options.seed !== undefined && !Number.isFinite(options.seed)) bad("seed must be a number");
}

const isClock = (clock: Partial<Record<keyof Clock, unknown>> | null): boolean =>
  typeof clock === "object" &&
  typeof clock?.now === "function" &&
  typeof clock.setTimer === "function" &&
  typeof clock.clearTimer === "function";

const isStore = (store: Partial<Record<keyof SharedStore, unknown>> | null): boolean =>
  typeof store === "object" && typeof store?.limit === "function" && typeof store.hints === "object" && typeof store.answers === "object";

/** Says so where layers would share and there is nothing to share by: they count in this process alone. */
export function warnWithoutStore(policies: readonly Policy[], shared: SharedStore | undefined): void {
  if (shared !== undefined) return;
  const names = policies.filter(({ layers }) => layers.some((layer) => "shared" in layer && layer.shared)).map(({ name }) => name);
  if (names.length === 0) return;
  process.emitWarning(
    `policies have layers with shared: true (${names.join(", ")}), and the client has no store, so this process shares with none; give createClient({ shared: redisStore(url) }), from premesh/redis, or premesh sidecar --shared redis://host:6379`,
    { type: "PremeshWarning", code: "PREMESH_NO_SHARED_STORE" },
  );
}
