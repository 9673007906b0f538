// The fault layer at work.
import { type Build, stateless } from "../../call/build.ts";
import type { Call } from "../../call/call.ts";
import { abortedOutcome, conditionsOfCode, conditionsOfHttpStatus } from "../../call/classify.ts";
import { codeName, codeOf, codeOfHttpStatus, httpStatusOf } from "../../call/codes.ts";
import type { Failure } from "../../call/outcome.ts";
import { faultReply } from "../../call/reply.ts";
import { waited } from "../../call/waiting.ts";
import { durationMs } from "../../policy/duration.ts";
import type { FaultDefinition } from "./definition.ts";

export const buildFault: Build<FaultDefinition> = (definition, env, { label, index }) => {
  const { delay, abort, shadow = false } = definition;
  const delayMs = delay === undefined ? 0 : durationMs(delay.for);
  const hit = (percent: number): boolean => percent > 0 && env.random() * 100 < percent;
  const report = (call: Call, what: string, detail: Readonly<Record<string, unknown>>): void =>
    env.report(call, { layer: label, kind: "fault", what: shadow ? `would-be-${what}` : what, detail });

  /** What the peer would have answered. It counts as sent, as the answer it stands for would have been. */
  function aborted(call: Call): Failure<never> | undefined {
    if (abort === undefined) return undefined;
    const code = abort.code === undefined ? codeOfHttpStatus(abort.status) : codeOf(abort.code);
    const status = abort.status ?? httpStatusOf(code);
    report(call, "aborted", { status, code: codeName(code) });
    if (shadow) return undefined;
    return {
      ok: false,
      code,
      by: "fault",
      sent: true,
      conditions: abort.code === undefined ? conditionsOfHttpStatus(status) : conditionsOfHttpStatus(status) | conditionsOfCode(code),
      status,
      reply: { ...faultReply(status, call.record.policy), index },
      layer: label,
    };
  }

  return stateless((next) => (call) => {
    const late = delay !== undefined && hit(delay.percent);
    const dead = abort !== undefined && hit(abort.percent);
    if (late) report(call, "delayed", { delayMs });
    if (!late || shadow) {
      const failure = dead ? aborted(call) : undefined;
      return failure === undefined ? next(call) : Promise.resolve(failure);
    }
    return waited(env.timers, delayMs, call.signal).then((passed) => {
      if (!passed) return abortedOutcome(call.signal);
      return (dead ? aborted(call) : undefined) ?? next(call);
    });
  });
};
