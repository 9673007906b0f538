// Bare: layers over a scripted `next`, with no transport; for laws and for the finer points of one layer.
import assert from "node:assert/strict";
import type { LayerState } from "../../src/call/build.ts";
import { type Call, newCall, type Next, type Report } from "../../src/call/call.ts";
import { abortedOutcome, errorOutcome, httpOutcome } from "../../src/call/classify.ts";
import { systemTimers, type Timers } from "../../src/call/clock.ts";
import { type End, newEnd } from "../../src/call/end.ts";
import { seededRandom } from "../../src/call/env.ts";
import type { SharedStore } from "../../src/call/shared.ts";
import { newRecord } from "../../src/call/record.ts";
import type { Failure, Head, Outcome, Success } from "../../src/call/outcome.ts";
import { compilePolicy, type NamedLayers, type Stateful } from "../../src/compile.ts";
import { definePolicy } from "../../src/policy/define.ts";
import type { LayerDefinition } from "../../src/policy/policy.ts";

/** What stands for a response here; whether somebody let go of it can be seen. */
export interface Reply {
  dropped: number;
}

export type Answer = (call: Call) => Outcome<Reply> | Promise<Outcome<Reply>>;

const drop = (reply: Reply): void => {
  reply.dropped++;
};

/** A response with a status; one with an `end` goes on after its head. */
export function answer(
  status = 200,
  more: { readonly end?: End; readonly retryAfterMs?: number; readonly head?: Head } = {},
): Outcome<Reply> {
  return httpOutcome<Reply>({ dropped: 0 }, status, more.retryAfterMs, more.end, drop, more.head);
}

export const ok: Answer = () => answer(200);
export const failing =
  (status = 503, more: { readonly retryAfterMs?: number } = {}): Answer =>
  () =>
    answer(status, more);
export const reset: Answer = () => errorOutcome(Object.assign(new Error("reset"), { code: "ECONNRESET" }), true);
export const refused: Answer = () => errorOutcome(Object.assign(new Error("refused"), { code: "ECONNREFUSED" }), false);

/** Gives no answer until it is aborted, as every transport does. */
export const hung: Answer = ({ signal }) =>
  new Promise((resolve) => {
    if (signal?.aborted === true) resolve(abortedOutcome(signal, true));
    signal?.addEventListener("abort", () => resolve(abortedOutcome(signal, true)), { once: true });
  });

/** Answers when it is told to, or when it is aborted. */
export function heldAnswer(outcome: Outcome<Reply> = answer()): { readonly answer: Answer; readonly release: () => void } {
  const { promise, resolve } = Promise.withResolvers<Outcome<Reply>>();
  return { answer: (call) => Promise.race([promise, hung(call)]), release: () => resolve(outcome) };
}

export interface Bare {
  /** One call through the layers. */
  call(more?: Partial<Call>): Promise<Outcome<Reply>>;
  /** Every call that came out at the bottom. */
  readonly sent: readonly Call[];
  readonly reports: readonly (Report & { readonly call: Call | undefined })[];
  readonly whats: () => readonly string[];
  /** What the next calls at the bottom get; the last of the list holds on. */
  answers(...answers: Answer[]): void;
  state(layer: string, target?: string): LayerState;
  /** Every layer that keeps state, behind a route for each endpoint. */
  states(target?: string): readonly Stateful[];
  /** Asserts that no layer holds anything: no permit, no place in a queue, no probe, no share of a budget. */
  idle(target?: string): void;
  status(layer: string, target?: string): Readonly<Record<string, unknown>>;
}

export interface BareOptions {
  readonly now?: () => number;
  readonly random?: () => number;
  readonly timers?: Timers;
  readonly shared?: SharedStore;
}

/** Compiles the layers and puts a script beneath them. Time is `Date.now`, so that a stopped clock counts. */
export function bare(
  layers: readonly LayerDefinition[],
  { now = () => Date.now(), random = seededRandom(1), timers = systemTimers, shared }: BareOptions = {},
): Bare {
  const reports: (Report & { readonly call: Call | undefined })[] = [];
  const sent: Call[] = [];
  let script: Answer[] = [ok];
  let used = 0;
  const named: NamedLayers = new Map();
  const env = {
    now,
    timers,
    random,
    report: (call: Call | undefined, report: Report) => void reports.push({ ...report, call }),
    ...(shared === undefined ? {} : { shared }),
  };
  const compiled = compilePolicy(definePolicy({ name: "bare", layers }), env, named);
  const send: Next<unknown> = (call) => {
    call.record.attempts++;
    call.record.sent++;
    sent.push(call);
    return Promise.resolve((script[Math.min(used++, script.length - 1)] ?? ok)(call));
  };
  const state = (layer: string, target = "peer"): LayerState => {
    const found = compiled.statesOf(target).find((one) => one.layer === layer);
    assert.ok(found, `no state of ${layer} for ${target}`);
    return found.state;
  };
  return {
    call: (more = {}) => {
      const target = more.target ?? "peer";
      const call = {
        ...newCall({
          record: newRecord(compiled, "http", target, "GET", now()),
          metadata: { get: () => undefined },
          signal: undefined,
          idempotent: undefined,
          idempotencyKey: undefined,
          payload: { replayable: true },
          send,
        }),
        ...more,
      };
      return compiled.stackFor(target)(call) as Promise<Outcome<Reply>>; // the cast: `send` gives no other outcomes
    },
    sent,
    reports,
    whats: () => reports.map(({ what }) => what),
    answers: (...answers) => {
      script = answers;
      used = 0;
    },
    state,
    states: (target = "peer") => compiled.statesOf(target),
    idle: (target = "peer") => {
      for (const { layer, state: of } of compiled.statesOf(target)) {
        const { active = 0, retries = 0, copies = 0, waiting = 0, probes } = of.status();
        const { underWay = 0 } = (probes ?? {}) as { underWay?: number }; // the cast: what a breaker shows of its probes
        const held = { layer, active, retries, copies, waiting, underWay };
        assert.deepEqual(held, { layer, active: 0, retries: 0, copies: 0, waiting: 0, underWay: 0 });
      }
    },
    status: (layer, target) => state(layer, target).status(),
  };
}

export function failureOf<R>(outcome: Outcome<R>): Failure<R> {
  assert.ok(!outcome.ok, "expected a failure");
  return outcome;
}

export function successOf<R>(outcome: Outcome<R>): Success<R> {
  assert.ok(outcome.ok, `expected a success, got ${outcome.ok ? "" : `${outcome.by} ${outcome.code}`}`);
  return outcome;
}

/** A successful response that goes on until its `end` is told. */
export function streaming(): { readonly answer: Answer; readonly end: End } {
  const end = newEnd();
  return { answer: () => answer(200, { end }), end };
}
