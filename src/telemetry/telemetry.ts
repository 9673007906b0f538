// Telemetry of a client: takes what is reported of calls, keeps the last decisions, and tells it to whoever listens. Free while nobody does.
import { channel } from "node:diagnostics_channel";
import type { Call, CallRecord, Decision, Report } from "../call/call.ts";
import type { AttemptWatch, Place } from "../call/env.ts";
import type { Outcome } from "../call/outcome.ts";
import type { ClientStatus } from "../call/status.ts";
import { outcomeWords } from "./explanation.ts";
import { attemptEvent, callEvent, type DecisionEvent, decisionEvent, type TelemetryEvent } from "./events.ts";
import { newListeners } from "./listeners.ts";
import { newMetrics } from "./metrics.ts";

const decisions = channel("premesh:decision");
const attempts = channel("premesh:attempt");
const calls = channel("premesh:call");

/** How many decisions one call keeps. */
const MOST_DECISIONS = 100;

/** How many decisions a client keeps. */
const LONGEST_LOG = 256;

export interface Telemetry {
  readonly report: (call: Call | undefined, decision: Report, place: Place) => void;
  readonly attempts: AttemptWatch;
  /** A call begins. */
  readonly begun: () => void;
  /** A call has its outcome. */
  readonly ended: (record: CallRecord, outcome: Outcome<unknown>) => void;
  readonly on: (listener: (event: TelemetryEvent) => unknown) => () => void;
  /** The last decisions, oldest first. */
  readonly log: () => readonly DecisionEvent[];
  readonly close: () => void;
}

export function newTelemetry(now: () => number, status: () => ClientStatus): Telemetry {
  const listeners = newListeners();
  const metrics = newMetrics(status);
  const log: DecisionEvent[] = [];
  let oldest = 0;
  let watching = false;

  const kept = (event: DecisionEvent): void => {
    if (log.length < LONGEST_LOG) log.push(event);
    else {
      log[oldest] = event;
      oldest = (oldest + 1) % LONGEST_LOG;
    }
  };

  return {
    report: (call, decision, { policy, index }) => {
      const record = call?.record;
      const whole: Decision = {
        attempt: call?.attempt ?? 0,
        ...decision,
        index: placeIn(record, decision, index),
        atMs: record === undefined ? 0 : now() - record.startedAt,
      };
      if (record !== undefined) {
        const made = (record.decisions ??= []);
        if (made.length < MOST_DECISIONS) made.push(whole);
      }
      const event = decisionEvent(call, whole, policy);
      kept(event);
      listeners.tell(event);
      metrics.decided(event);
      if (decisions.hasSubscribers) decisions.publish(event);
    },

    attempts: {
      watched: () => watching || attempts.hasSubscribers,
      attempted: (call, outcome, nth, tookMs) => {
        metrics.attempted(call, outcome, tookMs);
        if (!listeners.any() && !attempts.hasSubscribers) return;
        const event = attemptEvent(call, outcome, nth, tookMs);
        listeners.tell(event);
        if (attempts.hasSubscribers) attempts.publish(event);
      },
    },

    begun: () => {
      watching = metrics.wanted() || listeners.any();
    },

    ended: (record, outcome) => {
      const tookMs = now() - record.startedAt;
      record.cameOut = outcomeWords(outcome);
      record.tookMs = tookMs;
      if (!watching && !calls.hasSubscribers) return;
      metrics.called(record, outcome, tookMs);
      if (!listeners.any() && !calls.hasSubscribers) return;
      const event = callEvent(record, outcome, tookMs);
      listeners.tell(event);
      if (calls.hasSubscribers) calls.publish(event);
    },

    on: listeners.add,
    log: () => [...log.slice(oldest), ...log.slice(0, oldest)],
    close: metrics.close,
  };
}

/** A layer whose state is shared by name reports from its place in the policy that came first; in this call's policy it may be another. */
function placeIn(record: CallRecord | undefined, { layer }: Report, index: number): number {
  if (record === undefined) return index;
  const { name, kind } = record.layers[index] ?? {};
  if ((name ?? kind) === layer) return index;
  const found = record.layers.findIndex((one) => one.name === layer);
  return found === -1 ? index : found;
}
