// The adopt layer at work: gives each call to the live instance, and turns what comes back into an outcome.
import type { Build } from "../../call/build.ts";
import type { Call } from "../../call/call.ts";
import { REFUSAL, thrownOutcome } from "../../call/classify.ts";
import { Code } from "../../call/codes.ts";
import type { Failure } from "../../call/outcome.ts";
import { instanceOf } from "../../policy/adopted.ts";
import { PolicyError, type PolicyErrorCode } from "../../policy/error.ts";
import { bottleneckEngine } from "./bottleneck.ts";
import { cockatielEngine } from "./cockatiel.ts";
import type { AdoptDefinition, AdoptedEngine } from "./definition.ts";
import type { Engine, Refusal } from "./engine.ts";
import { opossumEngine } from "./opossum.ts";
import { newRun, type Run, timeoutOutcome } from "./run.ts";

const engines: { readonly [E in AdoptedEngine]: (instance: object) => Engine } = {
  cockatiel: cockatielEngine,
  opossum: opossumEngine,
  bottleneck: bottleneckEngine,
};

/** What a refusal is to the caller: the same as from our own layer that does the same. */
const refusals: { readonly [R in Refusal]: readonly [error: PolicyErrorCode, code: Code, what: string] } = {
  open: ["ERR_PREMESH_BREAKER_OPEN", Code.UNAVAILABLE, "breaker is open"],
  full: ["ERR_PREMESH_BULKHEAD_FULL", Code.UNAVAILABLE, "engine has no place for the call"],
  limited: ["ERR_PREMESH_RATE_LIMITED", Code.RESOURCE_EXHAUSTED, "limiter has dropped the call"],
};

export const buildAdopt: Build<AdoptDefinition> = (definition, env, { label }) => {
  const instance = instanceOf(definition);
  if (instance === undefined) throw new TypeError("an adopt layer without its instance has passed the check"); // it cannot
  const engine = engines[definition.engine](instance);

  function report(call: Call, what: string, detail: Readonly<Record<string, unknown>>): void {
    env.report(call, { layer: label, kind: "adopt", what, detail: { engine: definition.engine, ...detail } });
  }

  function refused(call: Call, how: Refusal, cause: unknown, sent: boolean, retryAfterMs: number | undefined): Failure<never> {
    const [error, code, what] = refusals[how];
    const { policy, target, attempts } = call.record;
    report(call, "refused", { error, retryAfterMs });
    const wait = retryAfterMs === undefined ? "" : `; try again in ${retryAfterMs} ms`;
    const told = new PolicyError(error, `policy ${policy}: the adopted ${what} for ${target}${wait}`, {
      policy,
      layer: label,
      attempts,
      retryAfterMs,
      cause,
    });
    return { ok: false, code, by: "adopt", sent, conditions: REFUSAL, retryAfterMs, layer: label, cause: told };
  }

  /** The engine gave a value: the response it was given, or one in its place. */
  function returned<R>(run: Run<R>, value: unknown): void {
    if (run.over()) return;
    const answer = run.returned(value);
    if (answer !== undefined) return run.finish(answer.outcome);
    const { status } = (value ?? {}) as { status?: unknown }; // the cast: any value can be asked
    report(run.call, "replaced", { status });
    run.finish({ ok: true, response: value as R, status: typeof status === "number" ? status : undefined }); // the cast: on the word of whoever made the fallback
  }

  /** The engine threw: the error that it was given, one of its own, or one of the code that it calls. */
  function threw<R>(run: Run<R>, error: unknown, sentBefore: number): void {
    if (run.over()) return;
    const { call } = run;
    const answer = run.threw(error);
    if (answer !== undefined) return run.finish(answer.outcome);
    const sent = call.record.sent !== sentBefore;
    const own = engine.own(error);
    if (own === undefined) return run.finish(thrownOutcome(error));
    if (own.how !== "timeout") return run.finish(refused(call, own.how, error, sent, own.retryAfterMs));
    report(call, "timed-out", {});
    run.finish(timeoutOutcome(call, label, sent, error));
  }

  return {
    newState: () => undefined,
    layer: () => (next) => (call) => {
      if (call.signal?.aborted === true) return next(call);
      const sentBefore = call.record.sent;
      engine.prepare?.(call);
      const run = newRun(call, next, label, {
        repeats: (attempt) => report(call, "repeated", { next: attempt }),
        cannotRepeat: () => report(call, "body-not-replayable", {}),
      });
      try {
        engine.run(run, {
          returned: (value) => returned(run, value),
          threw: (error) => threw(run, error, sentBefore),
        });
      } catch (error) {
        threw(run, error, sentBefore); // a listener of the engine's, perhaps
      }
      return run.outcome;
    },
    show: () => ({ status: () => ({ engine: definition.engine, ...engine.status() }) }),
  };
};
