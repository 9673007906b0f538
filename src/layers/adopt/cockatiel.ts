// A cockatiel policy as an engine.
//
// Its traps, and what is done about them: a retry sleeps on after an abort and a bulkhead keeps an aborted waiter, so the call ends without waiting for
// them; a timeout aborts its signal on return, so an attempt heeds that signal until its head only.
import { REPLAY_BUFFER } from "../../policy/schema.ts";
import type { CockatielPolicy } from "./definition.ts";
import type { Engine, Own } from "./engine.ts";

/** What tells the policies apart: their public fields. */
type Shape = Readonly<Record<string, unknown>>;

const phases = ["closed", "open", "half-open", "isolated"];

export function cockatielEngine(instance: object): Engine {
  const policy = instance as CockatielPolicy; // the cast: `adopt` has seen its shape
  const mayRepeat = repeats(instance as unknown as Shape); // the cast: any object can be asked
  return {
    run: (run, { returned, threw }) => {
      const stop = new AbortController();
      let ended = false;
      run.whenOver(() => {
        if (!ended) stop.abort(run.call.signal?.reason);
      });
      const work = async (context: { readonly signal?: AbortSignal } | undefined): Promise<unknown> => {
        const answer = await run.send(context?.signal);
        // The call is over, and the engine goes on. It is told what a fetch would tell it; there is nothing that it would not count.
        if (answer === undefined) throw run.call.signal?.reason ?? new Error("premesh: the call is over");
        if ("error" in answer.given) throw answer.given.error;
        return answer.given.value;
      };
      policy.execute(work, stop.signal).then(
        (value) => {
          ended = true;
          returned(value);
        },
        (error: unknown) => {
          ended = true;
          threw(error);
        },
      );
    },
    own,
    prepare: ({ payload }) => {
      if (mayRepeat) payload.keep?.(REPLAY_BUFFER);
    },
    status: () => statusOf(instance as unknown as Shape), // the cast: as above
  };
}

/** By the marks that cockatiel's own predicates (`isBrokenCircuitError`, ...) go by: several copies of it may be loaded. */
function own(error: unknown): Own | undefined {
  if (!(error instanceof Error)) return undefined;
  if ("isBrokenCircuitError" in error) return { how: "open" };
  if ("isBulkheadRejectedError" in error) return { how: "full" };
  if ("isTaskCancelledError" in error) return { how: "timeout" };
  return undefined;
}

/** Whether it may send a call twice: a retry, or a policy of the user's own. */
function repeats(policy: Shape): boolean {
  const { wrapped } = policy;
  if (Array.isArray(wrapped)) return (wrapped as readonly Shape[]).some(repeats); // the cast: cockatiel's `wrap` holds policies
  return !("onBreak" in policy || "onTimeout" in policy || "executionSlots" in policy);
}

function statusOf(policy: Shape): Readonly<Record<string, unknown>> {
  const { wrapped, state, executionSlots, queueSlots } = policy;
  if (Array.isArray(wrapped)) return { wrapped: (wrapped as readonly Shape[]).map(statusOf) }; // the cast: as above
  if ("onBreak" in policy) return { policy: "circuitBreaker", phase: phases[Number(state)] ?? String(state) };
  if ("executionSlots" in policy) return { policy: "bulkhead", executionSlots, queueSlots };
  if ("onRetry" in policy) return { policy: "retry" };
  return { policy: "onTimeout" in policy ? "timeout" : "other" };
}
