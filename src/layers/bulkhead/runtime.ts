// The bulkhead layer at work. It is ours: see docs/decisions/0002-bulkhead-is-ours.md.
import type { Build } from "../../call/build.ts";
import type { Call } from "../../call/call.ts";
import { gaveUpOutcome, REFUSAL } from "../../call/classify.ts";
import { Code } from "../../call/codes.ts";
import { type End, whenEnded } from "../../call/end.ts";
import { type Line, newLine } from "../../call/line.ts";
import type { Failure } from "../../call/outcome.ts";
import { durationMs } from "../../policy/duration.ts";
import { QUEUE_TIMEOUT } from "../../policy/schema.ts";
import type { BulkheadDefinition } from "./definition.ts";

/** The bulkhead of one target. */
interface State {
  active: number;
  /** Absent while nobody waits. */
  line: Line | undefined;
}

export const buildBulkhead: Build<BulkheadDefinition, State> = (definition, env, { label }) => {
  const { limit, queue, shadow = false } = definition;
  const patience = durationMs(queue?.timeout ?? QUEUE_TIMEOUT);
  const refused: Failure<never> = { ok: false, code: Code.UNAVAILABLE, by: "bulkhead", sent: false, conditions: REFUSAL, layer: label };
  const waitingIn = (it: State): number => it.line?.length() ?? 0;

  function report(it: State, call: Call, what: "refused" | "queued" | "waited-too-long" | "admitted", waitedMs?: number): void {
    env.report(call, {
      layer: label,
      kind: "bulkhead",
      what: shadow ? `would-be-${what}` : what,
      detail: { limit, active: it.active, waiting: waitingIn(it), ...(waitedMs === undefined ? {} : { waitedMs }) },
    });
  }

  return {
    newState: () => ({ active: 0, line: undefined }),
    layer: (it) => (next) => {
      /** A place that comes free goes to the first in line; nobody overtakes. */
      const release = (): void => {
        if (it.line?.grant() !== true) it.active--;
      };
      const headed = <O extends { readonly end?: End | undefined }>(outcome: O): O => {
        whenEnded(outcome.end, release);
        return outcome;
      };
      const run: typeof next = (call) => next(call).then(headed);
      return (call) => {
        if (it.active < limit && waitingIn(it) === 0) {
          it.active++;
          return run(call);
        }
        const room = queue !== undefined && waitingIn(it) < queue.size;
        report(it, call, room ? "queued" : "refused");
        if (shadow) {
          it.active++;
          return run(call);
        }
        if (!room) return Promise.resolve(refused);
        const since = env.now();
        it.line ??= newLine(env.timers, () => (it.line = undefined));
        return it.line.wait(patience, call.signal).then((turn) => {
          if (turn === "granted") {
            report(it, call, "admitted", env.now() - since);
            return run(call); // the place was handed over, so `active` already counts it
          }
          if (turn === "aborted") return gaveUpOutcome(call.signal);
          report(it, call, "waited-too-long");
          return refused;
        });
      };
    },
    show: (it) => ({ status: () => ({ active: it.active, limit, waiting: waitingIn(it) }) }),
  };
};
