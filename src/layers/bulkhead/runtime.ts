// The bulkhead layer at work. It is ours: see docs/decisions/0002-bulkhead-is-ours.md.
import type { Build } from "../../call/build.ts";
import type { Call } from "../../call/call.ts";
import { gaveUpOutcome, REFUSAL } from "../../call/classify.ts";
import { Code } from "../../call/codes.ts";
import { type End, whenEnded } from "../../call/end.ts";
import { newLine } from "../../call/line.ts";
import type { Failure } from "../../call/outcome.ts";
import { durationMs } from "../../policy/duration.ts";
import { QUEUE_TIMEOUT } from "../../policy/schema.ts";
import type { BulkheadDefinition } from "./definition.ts";

export const buildBulkhead: Build<BulkheadDefinition> = (definition, env, { label }) => {
  const { limit, queue, shadow = false } = definition;
  const patience = durationMs(queue?.timeout ?? QUEUE_TIMEOUT);
  const line = newLine();
  let active = 0;

  /** A place that comes free goes to the first in line; nobody overtakes. */
  function release(): void {
    if (!line.grant()) active--;
  }

  function report(call: Call, what: "refused" | "queued" | "waited-too-long"): void {
    env.report(call, {
      layer: label,
      kind: "bulkhead",
      what: shadow ? `would-be-${what}` : what,
      detail: { limit, active, waiting: line.length() },
    });
  }

  const refused: Failure<never> = { ok: false, code: Code.UNAVAILABLE, by: "bulkhead", sent: false, conditions: REFUSAL, layer: label };

  return {
    layer: (next) => {
      const headed = <O extends { readonly end?: End | undefined }>(outcome: O): O => {
        whenEnded(outcome.end, release);
        return outcome;
      };
      const run: typeof next = (call) => next(call).then(headed);
      return (call) => {
        if (active < limit && line.length() === 0) {
          active++;
          return run(call);
        }
        const room = queue !== undefined && line.length() < queue.size;
        report(call, room ? "queued" : "refused");
        if (shadow) {
          active++;
          return run(call);
        }
        if (!room) return Promise.resolve(refused);
        return line.wait(patience, call.signal).then((turn) => {
          if (turn === "granted") return run(call); // the place was handed over, so `active` already counts it
          if (turn === "aborted") return gaveUpOutcome(call.signal);
          report(call, "waited-too-long");
          return refused;
        });
      };
    },
    state: { status: () => ({ active, limit, waiting: line.length() }) },
  };
};
