// The timeout layer at work: a timer, a linked abort, and a loser that is let go.
import type { Build } from "../../call/build.ts";
import { Code } from "../../call/codes.ts";
import { TIMEOUT } from "../../call/classify.ts";
import { whenEnded } from "../../call/end.ts";
import { discard } from "../../call/outcome.ts";
import { remember } from "../../call/record.ts";
import { durationMs } from "../../policy/duration.ts";
import { PolicyError } from "../../policy/error.ts";
import type { TimeoutDefinition } from "./definition.ts";

export const buildTimeout: Build<TimeoutDefinition> = (definition, env, { label, insideRetry }) => {
  const after = durationMs(definition.after);
  const shadow = definition.shadow === true;
  const untilEnd = !insideRetry;
  return {
    layer: (next) => (call) =>
      new Promise((resolve) => {
        const { signal: parent, record } = call;
        const sentBefore = record.sent;
        const controller = new AbortController();
        let settled = false;
        const timer = setTimeout(() => {
          env.report(call, {
            layer: label,
            kind: "timeout",
            what: shadow ? "would-time-out" : "timed-out",
            detail: { afterMs: after, waitingFor: settled ? "end" : "head" },
          });
          if (shadow) return;
          const what = untilEnd ? (settled ? "the response did not end" : "no response") : "an attempt got no response";
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
          controller.abort(error);
          if (settled) return;
          settled = true;
          unlink();
          resolve({
            ok: false,
            code: Code.DEADLINE_EXCEEDED,
            by: "timeout",
            sent: record.sent !== sentBefore,
            conditions: TIMEOUT,
            cause: error,
            layer: label,
          });
        }, after);
        const follow = (): void => controller.abort(parent?.reason);
        const unlink = (): void => parent?.removeEventListener("abort", follow);
        if (parent !== undefined) {
          if (parent.aborted) follow();
          else parent.addEventListener("abort", follow, { once: true });
        }
        const deadline = shadow ? call.deadline : Math.min(call.deadline, env.now() + after);
        void next({ ...call, signal: controller.signal, deadline }).then((outcome) => {
          if (settled) return discard(outcome);
          settled = true;
          if (!untilEnd) clearTimeout(timer);
          whenEnded(outcome.end, () => {
            clearTimeout(timer);
            unlink();
          });
          return resolve(outcome);
        });
      }),
  };
};
