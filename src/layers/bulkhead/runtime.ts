// The bulkhead layer at work. It is ours: see docs/decisions/0002-bulkhead-is-ours.md.
import type { Build } from "../../call/build.ts";
import type { Call, Next } from "../../call/call.ts";
import { gaveUpOutcome, REFUSAL } from "../../call/classify.ts";
import { Code } from "../../call/codes.ts";
import { whenEnded } from "../../call/end.ts";
import { type Line, newLine } from "../../call/line.ts";
import type { Failure, Outcome } from "../../call/outcome.ts";
import { keep, type Passed, step } from "../../call/step.ts";
import { durationMs } from "../../policy/duration.ts";
import { QUEUE_TIMEOUT } from "../../policy/schema.ts";
import { type Adaptive, newAdaptive } from "./adaptive.ts";
import type { BulkheadDefinition } from "./definition.ts";

/** The bulkhead of one target. */
interface State {
  active: number;
  /** Absent while nobody waits. */
  line: Line | undefined;
  /** Absent where the limit stays. */
  readonly adaptive: Adaptive | undefined;
  /** The limit that was last reported to have changed, and when. */
  told: number;
  toldAt: number;
}

/** A call that holds a place. A class, since there is one for every call. */
class Inside implements Passed {
  outer: Passed | undefined = undefined;
  readonly came: Passed["came"];

  constructor(headed: Passed["came"]) {
    this.came = headed;
  }
}

/** A change of the limit is told when it is by half or more, and not more often than once in so many milliseconds. */
const TOLD = { factor: 1.5, everyMs: 1_000 } as const;

export const buildBulkhead: Build<BulkheadDefinition, State> = (definition, env, { label }) => {
  const { limit, queue, shadow = false } = definition;
  const patience = durationMs(queue?.timeout ?? QUEUE_TIMEOUT);
  const refused: Failure<never> = { ok: false, code: Code.UNAVAILABLE, by: "bulkhead", sent: false, conditions: REFUSAL, layer: label };
  const waitingIn = (it: State): number => it.line?.length() ?? 0;
  const limitOf = (it: State): number => it.adaptive?.limit() ?? limit;

  function report(it: State, call: Call, what: "refused" | "queued" | "waited-too-long" | "admitted", waitedMs?: number): void {
    env.report(call, {
      layer: label,
      kind: "bulkhead",
      what: shadow ? `would-be-${what}` : what,
      detail: { limit: limitOf(it), active: it.active, waiting: waitingIn(it), ...(waitedMs === undefined ? {} : { waitedMs }) },
    });
  }

  /** Places that are free go to the first in line; nobody overtakes. */
  function admit(it: State): void {
    while (it.line !== undefined && it.active < limitOf(it) && it.line.grant()) it.active++;
  }

  function limitSet(it: State, call: Call, adaptive: Adaptive, to: number): void {
    const { told, toldAt } = it;
    const now = env.now();
    admit(it);
    if (now - toldAt < TOLD.everyMs || Math.max(to / told, told / to) < TOLD.factor) return;
    it.told = to;
    it.toldAt = now;
    const { minRttMs, rttMs } = adaptive.status();
    env.report(call, { layer: label, kind: "bulkhead", what: "limit-changed", detail: { limit: to, was: told, rttMs, minRttMs } });
  }

  /** The next step, whose latency sets the limit; a failure comes too fast to say anything, but one that timed out took that long at least. */
  function measured<R>(it: State, adaptive: Adaptive, next: Next<R>): Next<R> {
    return (call) => {
      const since = env.now();
      const quietly = adaptive.began(it.active);
      return next(call).then((outcome) => {
        const now = env.now();
        const to = outcome.ok || isTimeout(outcome) ? adaptive.came(now - since, outcome.ok ? quietly : 0, now) : undefined;
        if (to !== undefined) limitSet(it, call, adaptive, to);
        return outcome;
      });
    };
  }

  return {
    newState: () => {
      const adaptive = definition.adaptive === undefined ? undefined : newAdaptive(limit, definition.adaptive, env.random);
      return { active: 0, line: undefined, adaptive, told: adaptive?.limit() ?? limit, toldAt: Number.NEGATIVE_INFINITY };
    },
    layer: (it) => {
      const release = (): void => {
        it.active--;
        admit(it);
      };
      const headed = (outcome: Outcome<unknown>): typeof outcome => {
        whenEnded(outcome.end, release);
        return outcome;
      };
      return step((next) => {
        const send = it.adaptive === undefined ? next : measured(it, it.adaptive, next);
        const run: Next<unknown> = (call) => send(call).then(headed);

        function pass(call: Call): Call | Promise<Outcome<unknown>> {
          it.active++;
          if (it.adaptive !== undefined) return run(call);
          keep(new Inside(headed));
          return call;
        }

        return (call) => {
          if (it.active < limitOf(it) && waitingIn(it) === 0) return pass(call);
          const room = queue !== undefined && waitingIn(it) < queue.size;
          report(it, call, room ? "queued" : "refused");
          if (shadow) return pass(call);
          if (!room) return Promise.resolve(refused);
          const since = env.now();
          it.line ??= newLine(env.timers, () => (it.line = undefined));
          return it.line.wait(patience, call.signal).then((turn) => {
            if (turn === "granted") {
              report(it, call, "admitted", env.now() - since);
              return run(call); // `active` already counts it
            }
            if (turn === "aborted") return gaveUpOutcome(call.signal);
            report(it, call, "waited-too-long");
            return refused;
          });
        };
      });
    },
    show: (it) => ({ status: () => ({ active: it.active, limit: limitOf(it), waiting: waitingIn(it), ...it.adaptive?.status() }) }),
  };
};

const isTimeout = (outcome: Outcome<unknown>): boolean => !outcome.ok && outcome.by === "timeout" && (outcome.conditions & REFUSAL) === 0;
