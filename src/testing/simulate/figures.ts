// The figures of a simulation: what became of the calls, over all of it and over time.
import type { CallRecord, Report } from "../../call/call.ts";
import type { Place } from "../../call/env.ts";
import type { Outcome } from "../../call/outcome.ts";
import type { LayerKind } from "../../policy/policy.ts";

/** Until calls came out, in milliseconds; 0 where there were none. Percentiles by nearest rank. */
export interface Percentiles {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/** How often a layer decided so. */
export interface DecisionCount {
  readonly layer: string;
  readonly kind: LayerKind;
  /** Its place in the list of layers, from 0. */
  readonly index: number;
  readonly what: string;
  readonly count: number;
}

/** A breaker changed its phase. */
export interface Transition {
  /** In milliseconds since the beginning. */
  readonly at: number;
  readonly layer: string;
  /** Behind a `route`, where there is a breaker for each: the origin of its endpoint. */
  readonly endpoint?: string;
  readonly what: "opened" | "half-opened" | "closed";
}

/** A stretch of the simulation. */
export interface Slot {
  /** When it began, in milliseconds. */
  readonly at: number;
  /** Calls that began in it, and what became of them. */
  readonly calls: number;
  readonly succeeded: number;
  /** Attempts that were made in it. */
  readonly attempts: number;
  /** Of the calls that began in it; absent where there were none. */
  readonly p50?: number;
  readonly p99?: number;
}

/** What a simulation gives. Plain data. */
export interface Simulation {
  readonly policy: string;
  /** How long calls came, in milliseconds. */
  readonly lengthMs: number;
  readonly calls: number;
  /** Calls that came out well; a fallback's answer counts. */
  readonly succeeded: number;
  /** Their share, 0 to 1. */
  readonly success: number;
  /** How often the client sent. */
  readonly attempts: number;
  readonly attemptsPerCall: number;
  /** Attempts that reached the peer: those that found no connection did not. */
  readonly seen: number;
  /** How calls came out: `200`, `fallback`, a status, `reset`, `no connection`, `gave up`, or the layer that ended them. */
  readonly outcomes: Readonly<Record<string, number>>;
  /** Of all calls, and of those that succeeded. */
  readonly latency: Percentiles;
  readonly successLatency: Percentiles;
  readonly decisions: readonly DecisionCount[];
  readonly transitions: readonly Transition[];
  /** How long each slot of `slots` is, in milliseconds. */
  readonly slotMs: number;
  readonly slots: readonly Slot[];
}

const TRANSITIONS: ReadonlySet<string> = new Set(["opened", "half-opened", "closed"]);

interface OpenSlot {
  calls: number;
  succeeded: number;
  attempts: number;
  readonly took: number[];
}

export interface Figures {
  attempted(now: number): void;
  decided(now: number, decision: Report, place: Place, endpoint: string | undefined): void;
  ended(record: CallRecord, outcome: Outcome<unknown>, now: number): void;
  result(policy: string, seen: number): Simulation;
}

export function newFigures(lengthMs: number, slotMs: number): Figures {
  const took: number[] = [];
  const tookWell: number[] = [];
  const outcomes = new Map<string, number>();
  const decisions = new Map<string, { layer: string; kind: LayerKind; index: number; what: string; count: number }>();
  const transitions: Transition[] = [];
  const slots: OpenSlot[] = Array.from({ length: Math.max(1, Math.ceil(lengthMs / slotMs)) }, () => ({
    calls: 0,
    succeeded: 0,
    attempts: 0,
    took: [],
  }));
  let attempts = 0;
  /** What comes after the last call began, as the last attempts do, belongs to the last slot. */
  const slotAt = (at: number): OpenSlot | undefined => slots[Math.min(slots.length - 1, Math.floor(at / slotMs))];

  return {
    attempted: (now) => {
      attempts++;
      const slot = slotAt(now);
      if (slot !== undefined) slot.attempts++;
    },
    decided: (now, { layer, kind, what }, { index }, endpoint) => {
      const key = `${index} ${what}`;
      const counted = decisions.get(key);
      if (counted === undefined) decisions.set(key, { layer, kind, index, what, count: 1 });
      else counted.count++;
      if (kind !== "breaker" || !TRANSITIONS.has(what)) return;
      transitions.push({
        at: microseconds(now),
        layer,
        ...(endpoint === undefined ? {} : { endpoint }),
        what: what as Transition["what"], // the cast: just looked at
      });
    },
    ended: ({ startedAt }, outcome, now) => {
      const ms = microseconds(now - startedAt);
      took.push(ms);
      if (outcome.ok) tookWell.push(ms);
      const word = wordOf(outcome);
      outcomes.set(word, (outcomes.get(word) ?? 0) + 1);
      const slot = slotAt(startedAt);
      if (slot === undefined) return;
      slot.calls++;
      slot.took.push(ms);
      if (outcome.ok) slot.succeeded++;
    },
    result: (policy, seen) => {
      const calls = took.length;
      return {
        policy,
        lengthMs,
        calls,
        succeeded: tookWell.length,
        success: calls === 0 ? 1 : tookWell.length / calls,
        attempts,
        attemptsPerCall: calls === 0 ? 0 : attempts / calls,
        seen,
        outcomes: Object.fromEntries([...outcomes].toSorted(([, a], [, b]) => b - a)),
        latency: percentiles(took),
        successLatency: percentiles(tookWell),
        decisions: [...decisions.values()].toSorted((a, b) => a.index - b.index || (a.what < b.what ? -1 : 1)),
        transitions,
        slotMs,
        slots: slots.map((slot, index) => closed(slot, index * slotMs)),
      };
    },
  };
}

function closed({ calls, succeeded, attempts, took }: OpenSlot, at: number): Slot {
  if (calls === 0) return { at, calls, succeeded, attempts };
  const { p50, p99 } = percentiles(took);
  return { at, calls, succeeded, attempts, p50, p99 };
}

/** Sums of fractions are not exact to the last digit: 30 s would come out as 30000.000000000004 ms. */
const microseconds = (ms: number): number => Math.round(ms * 1_000) / 1_000;

function wordOf(outcome: Outcome<unknown>): string {
  if (outcome.ok) return outcome.fallback === undefined ? String(outcome.status ?? 200) : "fallback";
  if (outcome.by === "caller") return "gave up";
  if (outcome.by !== "peer") return outcome.layer ?? outcome.by;
  return outcome.status === undefined ? (outcome.sent ? "reset" : "no connection") : String(outcome.status);
}

function percentiles(values: readonly number[]): Percentiles {
  const ordered = Float64Array.from(values).toSorted();
  const rank = (q: number): number => ordered[Math.max(0, Math.ceil(q * ordered.length) - 1)] ?? 0;
  return { p50: rank(0.5), p90: rank(0.9), p99: rank(0.99), p999: rank(0.999), max: rank(1) };
}
