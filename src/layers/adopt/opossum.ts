// An opossum breaker as an engine.
//
// `fire` runs the breaker's own action, so ours stands in for that while it is called, and is what this one firing runs; events, counts, capacity,
// errorFilter and fallback are opossum's. What it reports back is ours to say, and so its traps are closed: the result of a call from before the
// breaker last changed its state is not told, nor one that says nothing of the peer; a probe that hangs opens it again; and its timeout, which
// would count such calls too, is kept here.
import type { Call } from "../../call/call.ts";
import { matcher, REFUSAL } from "../../call/classify.ts";
import { monotonicNow } from "../../call/clock.ts";
import type { Outcome } from "../../call/outcome.ts";
import type { OpossumBreaker } from "./definition.ts";
import type { Engine, Own } from "./engine.ts";
import type { Answer } from "./run.ts";

/** What is used beside {@link OpossumBreaker}, and is not in the types of every version. */
interface Breaker extends Omit<OpossumBreaker, "fire"> {
  fire(about: About): Promise<unknown>;
  action: (...args: unknown[]) => unknown;
  readonly options: { timeout?: number | false; readonly resetTimeout?: number };
  readonly semaphore?: { release(): void };
  on(event: "open" | "halfOpen" | "close", listener: () => void): unknown;
  emit(event: "timeout", error: Error, latencyMs: number, args: readonly [About]): unknown;
}

/** What events, errorFilter and fallback get in place of the arguments of the action. */
type About = Readonly<Pick<Call, "target" | "method" | "attempt">>;

/** What is known of a breaker, for all who adopt it. */
interface Watch {
  /** Grows with every change of state. */
  generation: number;
  /** When it opened, or when its probe began; unknown if it was before we came. */
  since: number | undefined;
}

const watches = new WeakMap<object, Watch>();

/** Errors that stand for the breaker's own timeout. */
const timeouts = new WeakSet<object>();

/** Responses that are failures, as for our own breaker; opossum itself looks at errors only. */
const failed = matcher(["5xx", "unavailable", "internal", "unknown", "deadline-exceeded", "data-loss"]);

export function opossumEngine(instance: object): Engine {
  const breaker = instance as unknown as Breaker; // the cast: `adopt` has seen its shape
  const watch = watchOf(breaker);
  const resetMs = breaker.options.resetTimeout ?? 30_000;
  return {
    run: (run, { returned, threw }) => {
      const { target, method, attempt } = run.call;
      const about: About = Object.freeze({ target, method, attempt });
      const { enabled, halfOpen: probe } = breaker;
      const limit = breaker.options.timeout;
      const verdict = Promise.withResolvers<unknown>();
      let generation = -1;
      /** The error of a response that is a failure. */
      let told: { readonly error: Error; readonly outcome: Outcome<never> } | undefined;
      const fired = fire(breaker, about, () => {
        generation = watch.generation;
        return verdict.promise;
      });
      fired.then(returned, (error: unknown) => (told !== undefined && told.error === error ? run.finish(told.outcome) : threw(error)));
      if (generation === -1) return; // refused

      let open = true;
      const isStale = (): boolean => generation !== watch.generation;
      /** Nobody is told how it came out; its place is free again, and a probe that says nothing leaves the breaker open. */
      const drop = (): void => {
        if (!open) return;
        open = false;
        if (!enabled) return;
        breaker.semaphore?.release();
        if (probe && !isStale()) breaker.open();
      };
      const report = (tell: () => void): void => {
        clearTimeout(timer);
        if (!open) return;
        open = false;
        tell();
      };
      const began = Date.now();
      const expired = (): void => {
        const error = Object.assign(new Error(`Timed out after ${String(limit)}ms`), { code: "ETIMEDOUT" });
        timeouts.add(error);
        if (isStale()) return threw(error);
        return report(() => {
          try {
            breaker.emit("timeout", error, Date.now() - began, [about]);
          } finally {
            verdict.reject(error);
          }
        });
      };
      const timer = enabled && limit !== false && limit !== undefined && limit > 0 ? setTimeout(expired, limit) : undefined;
      const hung = enabled && probe ? setTimeout(drop, resetMs).unref() : undefined;
      if (enabled && probe) watch.since = monotonicNow();
      run.whenOver(() => {
        clearTimeout(timer);
        clearTimeout(hung);
        drop();
      });
      void run.send().then((answer) => {
        if (answer === undefined) return;
        const { outcome, given } = answer;
        if (isStale() || saysNothing(answer)) return run.finish(outcome);
        return report(() => {
          if ("error" in given) verdict.reject(given.error);
          else if (!failed(outcome)) verdict.resolve(given.value);
          else {
            const error = Object.assign(new Error(`status ${outcome.status} from ${target}`), {
              status: outcome.status,
              statusCode: outcome.status,
              response: given.value,
            });
            told = { error, outcome: outcome as Outcome<never> }; // the cast: it goes back to the run that it came from
            verdict.reject(error);
          }
        });
      });
    },
    own,
    status: () => ({
      phase: breaker.isShutdown ? "shutdown" : breaker.opened ? "open" : breaker.halfOpen ? "half-open" : "closed",
      enabled: breaker.enabled,
      name: breaker.name,
      stats: Object.fromEntries(Object.entries(breaker.stats).filter(([, value]) => typeof value === "number")),
    }),
  };

  function own(error: unknown): Own | undefined {
    if (!(error instanceof Error)) return undefined;
    if (timeouts.has(error)) return { how: "timeout" };
    const { code } = error as { code?: unknown }; // the cast: any error can be asked
    if (code === "ESEMLOCKED") return { how: "full" };
    if (code === "ESHUTDOWN") return { how: "open" };
    if (code !== "EOPENBREAKER") return undefined;
    return {
      how: "open",
      retryAfterMs: watch.since === undefined ? undefined : Math.max(0, Math.ceil(watch.since + resetMs - monotonicNow())),
    };
  }
}

/** The caller has ended it, or a layer further in has refused it: no news of the peer. */
const saysNothing = ({ outcome }: Answer<unknown>): boolean =>
  !outcome.ok && (outcome.by === "caller" || (outcome.conditions & REFUSAL) !== 0);

/** Fires the breaker, with `begin` in place of its action and without its own timer. Whoever else fires it meanwhile, in a listener, gets its own action. */
function fire(breaker: Breaker, about: About, begin: () => Promise<unknown>): Promise<unknown> {
  const { action, options } = breaker;
  const { timeout } = options;
  breaker.action = function (this: unknown, ...args): unknown {
    return args[0] === about ? begin() : action.apply(this, args);
  };
  options.timeout = false;
  try {
    return breaker.fire(about);
  } finally {
    breaker.action = action;
    if (timeout === undefined) delete options.timeout;
    else options.timeout = timeout;
  }
}

function watchOf(breaker: Breaker): Watch {
  const found = watches.get(breaker);
  if (found !== undefined) return found;
  const watch: Watch = { generation: 0, since: undefined };
  const changed = (since: () => number | undefined) => (): void => {
    watch.generation++;
    watch.since = since();
  };
  breaker.on("open", changed(monotonicNow));
  breaker.on(
    "halfOpen",
    changed(() => undefined),
  );
  breaker.on(
    "close",
    changed(() => undefined),
  );
  watches.set(breaker, watch);
  return watch;
}
