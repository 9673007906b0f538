// The last step of every stack: the attempt.
import type { Next } from "./call.ts";
import type { Env } from "./env.ts";

/** The last step of every stack: the transport that brought the call sends it. */
export function sender({ now, attempts }: Pick<Env, "now" | "attempts">): Next<unknown> {
  if (attempts === undefined) return (call) => call.send(call);
  return (call) => {
    if (!attempts.watched()) return call.send(call);
    const before = call.record.attempts;
    const startedAt = now();
    const sending = call.send(call);
    const nth = call.record.attempts;
    if (nth === before) return sending; // it was ended before it began
    return sending.then((outcome) => {
      attempts.attempted(call, outcome, nth, now() - startedAt);
      return outcome;
    });
  };
}
