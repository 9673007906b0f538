// The mirror at work: sends a copy of a call elsewhere, and drops what comes of it. Nothing of it touches the call.
import { type Call, withField } from "../../../call/call.ts";
import { whenEnded } from "../../../call/end.ts";
import type { Env } from "../../../call/env.ts";
import { discard, type Outcome } from "../../../call/outcome.ts";
import { setIdleTimer } from "../../../call/clock.ts";
import { codeName } from "../../../call/codes.ts";
import { Abort } from "../../../call/signal.ts";
import { durationMs } from "../../../policy/duration.ts";
import { type Mirror, mirrorDefaults } from "./definition.ts";

/** What marks a mirrored call; its value is the policy's name. */
const MIRROR_FIELD = "premesh-mirror";

export interface MirrorAtWork {
  /** Sends a copy of the call, if it is one of those to be mirrored. `whole`: the call is over, so its body is there, if it ever is. */
  send(call: Call): void;
  status(): Readonly<Record<string, unknown>>;
  close(): void;
}

export function newMirror(
  definition: Mirror,
  { now, timers, random }: Pick<Env, "now" | "timers" | "random">,
  report: (call: Call, what: string, detail: Readonly<Record<string, unknown>>) => void,
): MirrorAtWork {
  const { percent, limit, buffer, timeout } = { ...mirrorDefaults, ...definition };
  const timeoutMs = durationMs(timeout);
  const { origin, host } = new URL(definition.to);
  const underWay = new Set<Abort>();
  let closed = false;

  /** With a record of its own, so that nothing is written down about the call. */
  function copyOf(call: Call, payload: Call["payload"], signal: Abort): Call {
    const until = now() + timeoutMs;
    const record = { ...call.record, startedAt: now(), attempts: 0, sent: 0, decisions: undefined, visits: undefined };
    const copy = {
      ...call,
      origin,
      endpoint: undefined,
      authority: undefined,
      attempt: 1,
      deadline: until,
      endBy: until,
      signal,
      payload,
      record,
    };
    return withField({ ...copy, tracer: undefined }, MIRROR_FIELD, call.record.policy);
  }

  function sent(call: Call, payload: Call["payload"]): void {
    const signal = new Abort(undefined);
    const timer = setIdleTimer(timers, () => signal.abort(new Error(`no answer from the mirror after ${timeout}`)), timeoutMs);
    const over = (): void => {
      timers.clearTimer(timer);
      underWay.delete(signal);
    };
    underWay.add(signal);
    report(call, "mirrored", { to: host });
    void call.send(copyOf(call, payload, signal)).then((outcome: Outcome<unknown>) => {
      if (!outcome.ok && !closed) report(call, "mirror-failed", { to: host, code: codeName(outcome.code), status: outcome.status });
      whenEnded(outcome.end, over);
      discard(outcome);
    });
  }

  return {
    send: (call) => {
      if (percent < 100 && random() * 100 >= percent) return;
      if (underWay.size >= limit) return report(call, "mirror-dropped", { to: host, reason: "limit", limit });
      if (call.payload.copy === undefined) return report(call, "mirror-dropped", { to: host, reason: "transport" });
      call.payload.copy(buffer, (payload) => {
        if (payload === undefined) report(call, "mirror-dropped", { to: host, reason: "body", buffer });
        else if (underWay.size >= limit) report(call, "mirror-dropped", { to: host, reason: "limit", limit });
        else sent(call, payload);
      });
    },
    status: () => ({ mirror: { underWay: underWay.size, limit } }),
    close: () => {
      closed = true;
      for (const signal of underWay) signal.abort(new Error("the route is closed"));
    },
  };
}
