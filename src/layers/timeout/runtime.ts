// The timeout layer at work: a deadline, and a signal that is aborted when it has passed. There is no race: whatever stands behind a layer settles at
// once when its signal is aborted, and what was held in between has then been let go.
import { type Build, stateless } from "../../call/build.ts";
import { Code } from "../../call/codes.ts";
import { TIMEOUT } from "../../call/classify.ts";
import { newDeadlines } from "../../call/deadlines.ts";
import { whenEnded } from "../../call/end.ts";
import { discard, type Failure } from "../../call/outcome.ts";
import { remember } from "../../call/record.ts";
import { Abort } from "../../call/signal.ts";
import { durationMs } from "../../policy/duration.ts";
import { PolicyError } from "../../policy/error.ts";
import type { TimeoutDefinition } from "./definition.ts";

export const buildTimeout: Build<TimeoutDefinition> = (definition, env, { label, insideRetry }) => {
  const after = durationMs(definition.after);
  const shadow = definition.shadow === true;
  const untilEnd = !insideRetry;
  const deadlines = newDeadlines(after);
  return stateless((next) => (call) => {
    const { record } = call;
    const sentBefore = record.sent;
    const signal = new Abort(call.signal);
    let headed = false;
    let failure: Failure<never> | undefined;
    const expiry = deadlines.add(() => {
      env.report(call, {
        layer: label,
        kind: "timeout",
        what: shadow ? "would-time-out" : "timed-out",
        detail: { afterMs: after, waitingFor: headed ? "end" : "head" },
      });
      if (shadow) return;
      const what = untilEnd ? (headed ? "the response did not end" : "no response") : "an attempt got no response";
      const error = new PolicyError(
        "ERR_PREMESH_TIMEOUT",
        `policy ${record.policy}: ${what} within ${definition.after} (${record.target})`,
        {
          policy: record.policy,
          layer: label,
          attempts: record.attempts,
        },
      );
      remember(error, record);
      if (!headed) {
        failure = {
          ok: false,
          code: Code.DEADLINE_EXCEEDED,
          by: "timeout",
          sent: record.sent !== sentBefore,
          conditions: TIMEOUT,
          cause: error,
          layer: label,
        };
      }
      signal.abort(error);
    });
    const over = (): void => {
      deadlines.remove(expiry);
      signal.unfollow();
    };
    const deadline = shadow ? call.deadline : Math.min(call.deadline, env.now() + after);
    return next({ ...call, signal, deadline }).then((outcome) => {
      if (failure !== undefined) {
        signal.unfollow();
        discard(outcome);
        return failure;
      }
      headed = true;
      if (!untilEnd) deadlines.remove(expiry);
      whenEnded(outcome.end, over);
      return outcome;
    });
  });
};
