// Events: what listeners hear of calls, one for each decision of a layer, each attempt and each call.
import type { AttemptType, Call, CallRecord, Decision, Protocol } from "../call/call.ts";
import { REFUSAL } from "../call/classify.ts";
import { codeName } from "../call/codes.ts";
import { errorTypeOf } from "../call/error-type.ts";
import type { Outcome } from "../call/outcome.ts";
import type { GrpcStatus } from "../policy/conditions.ts";
import type { Direction } from "../policy/matching.ts";
import type { LayerKind } from "../policy/policy.ts";

/** Which call an event is about. */
interface About {
  readonly policy: string;
  readonly revision: string;
  readonly protocol: Protocol;
  /** The call goes out from here, or comes in. */
  readonly direction: Direction;
  readonly target: string;
  readonly method: string;
}

/**
 * How an attempt or a call came out, in one word. `refusal`: a layer did not let it pass; `timeout`: a `timeout` layer ended it; `failure`: the peer
 * failed, or a fault in its place; `fallback`: a failure that a `fallback` layer answered.
 */
export type Result = "success" | "fallback" | "failure" | "refusal" | "timeout" | "cancelled";

/** How an attempt or a call came out. */
interface CameOut {
  readonly result: Result;
  readonly code: GrpcStatus | "ok";
  /** HTTP status, where there was one. */
  readonly status: number | undefined;
  /** Who made a failure: the peer, the caller by its abort, or a kind of layer. */
  readonly by: "peer" | "caller" | LayerKind | undefined;
  /** As OpenTelemetry's `error.type`: status, error code or status name; `undefined` for a success. */
  readonly errorType: string | undefined;
  /** Until the head of the response. */
  readonly tookMs: number;
}

/** A layer did more than pass a call on. */
export interface DecisionEvent extends Decision, Partial<Omit<About, "policy">> {
  readonly type: "decision";
  /** The policy that the layer stands in. What concerns no call (`isolate`, `reset`) has no target, method, revision and protocol. */
  readonly policy: string;
}

/** An attempt was sent and came out. */
export interface AttemptEvent extends About, CameOut {
  readonly type: "attempt";
  /** Which send of the call it was; 1 is the first. */
  readonly attempt: number;
  /** Why it was sent: `initial`; `retry`, since one before it had failed; `hedge`, since one under way was slow. */
  readonly attemptType: AttemptType;
  /** The endpoint that a `route` layer had picked for it: its origin. */
  readonly endpoint?: string;
}

/** A call came out. */
export interface CallEvent extends About, CameOut {
  readonly type: "call";
  /** How often it was sent. */
  readonly attempts: number;
}

export type TelemetryEvent = DecisionEvent | AttemptEvent | CallEvent;

export function attemptEvent({ record, type, endpoint }: Call, outcome: Outcome<unknown>, attempt: number, tookMs: number): AttemptEvent {
  return {
    type: "attempt",
    ...about(record),
    attempt,
    attemptType: type,
    ...(endpoint === undefined ? {} : { endpoint: endpoint.key }),
    ...cameOut(outcome, tookMs),
  };
}

export function callEvent(record: CallRecord, outcome: Outcome<unknown>, tookMs: number): CallEvent {
  return { type: "call", ...about(record), attempts: record.attempts, ...cameOut(outcome, tookMs) };
}

/** `policy`: whose layer it was, since a call need not be behind it. */
export function decisionEvent(call: Call | undefined, decision: Decision, policy: string): DecisionEvent {
  return call === undefined ? { type: "decision", ...decision, policy } : { type: "decision", ...decision, ...about(call.record) };
}

const about = ({ policy, revision, protocol, direction, target, method }: CallRecord): About => ({
  policy,
  revision,
  protocol,
  direction,
  target,
  method,
});

const cameOut = (outcome: Outcome<unknown>, tookMs: number): CameOut => ({
  result: resultOf(outcome),
  code: outcome.ok ? "ok" : codeName(outcome.code),
  status: outcome.reply?.status ?? outcome.status,
  by: outcome.ok ? undefined : outcome.by,
  errorType: errorTypeOf(outcome),
  tookMs,
});

export function resultOf(outcome: Outcome<unknown>): Result {
  if (outcome.ok) return outcome.fallback === undefined ? "success" : "fallback";
  if (outcome.by === "caller") return "cancelled";
  if ((outcome.conditions & REFUSAL) !== 0) return "refusal";
  return outcome.by === "timeout" ? "timeout" : "failure";
}
