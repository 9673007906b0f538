// Deadline: how long the caller says that it waits; when that has passed, nobody works on for it.
import type { CallRecord } from "../../call/call.ts";
import type { Env } from "../../call/env.ts";
import { remember } from "../../call/record.ts";
import type { Abort } from "../../call/signal.ts";
import { PolicyError } from "../../policy/error.ts";

/** As Envoy words it, and premesh sends it: https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/router_filter */
const FIELD = "x-envoy-expected-rq-timeout-ms";

export interface CallerDeadline {
  /** On the clock of `Env.now`. */
  readonly at: number;
  /** The call is over. */
  over(): void;
}

/** `undefined`: the caller says nothing, or nothing that can be read. */
export function deadlineIn(
  field: (name: string) => unknown,
  { now, timers }: Pick<Env, "now" | "timers">,
  record: CallRecord,
  left: Abort,
): CallerDeadline | undefined {
  const text = field(FIELD);
  if (typeof text !== "string" || !/^\d{1,9}$/.test(text)) return undefined;
  const ms = Number(text);
  const passed = (): void => left.abort(deadlinePassed(record, ms));
  if (ms === 0) passed();
  const timer = ms === 0 ? undefined : timers.setTimer(passed, ms);
  return { at: now() + ms, over: () => timers.clearTimer(timer) };
}

/** The error of a call whose caller waits no longer. */
export function deadlinePassed(record: CallRecord, ms: number): PolicyError {
  const { policy, attempts } = record;
  const message = `policy ${policy}: the caller's deadline of ${ms} ms has passed`;
  const error = new PolicyError("ERR_PREMESH_TIMEOUT", message, { policy, attempts });
  remember(error, record);
  return error;
}
