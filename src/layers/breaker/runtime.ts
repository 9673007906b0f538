// The breaker layer at work: admit, let the call pass outside, then count how it came out.
import type { Build } from "../../call/build.ts";
import type { Call } from "../../call/call.ts";
import { matcher, REFUSAL } from "../../call/classify.ts";
import { Code } from "../../call/codes.ts";
import type { Failure, Outcome } from "../../call/outcome.ts";
import { keep, type Passed, step } from "../../call/step.ts";
import { durationMs } from "../../policy/duration.ts";
import { type BreakerDefinition, breakerDefaults } from "./definition.ts";
import { type Tally, tallies } from "./trip.ts";

type Phase = "closed" | "open" | "half-open" | "isolated";

/** The breaker of one target. */
interface State {
  phase: Phase;
  /** Grows with every change of phase; a result that was begun under an older one does not count. */
  generation: number;
  /** How often it opened since it was last closed. */
  openings: number;
  reopensAt: number;
  /** The numbers that opened it last. */
  why: Readonly<Record<string, unknown>>;
  /** When each probe under way began. */
  begun: number[];
  probesGood: number;
  probesBad: number;
  /** One for each trip. */
  readonly counts: readonly unknown[];
  /** Which breaker it is, in every process; where it is shared. */
  readonly id: string | undefined;
  /** When it last heeded a hint. */
  hintedAt: number;
  deafen: (() => void) | undefined;
}

type Settle = (it: State, outcome: Outcome<unknown>, generationThen: number, startedAt: number, call: Call) => void;

/** A call that was let pass. A class, since there is one for every call. */
class Admitted implements Passed {
  outer: Passed | undefined = undefined;
  readonly #call: Call;
  readonly #startedAt: number;
  readonly #it: State;
  readonly #generation: number;
  readonly #settle: Settle;

  constructor(it: State, call: Call, startedAt: number, settle: Settle) {
    this.#it = it;
    this.#generation = it.generation;
    this.#settle = settle;
    this.#call = call;
    this.#startedAt = startedAt;
  }

  came(outcome: Outcome<unknown>): Outcome<unknown> {
    this.#settle(this.#it, outcome, this.#generation, this.#startedAt, this.#call);
    return outcome;
  }
}

/** What others are told. */
const OPENED = "opened";

const none: Readonly<Record<string, unknown>> = {};

export const buildBreaker: Build<BreakerDefinition, State> = (definition, env, { label }) => {
  const { probes = breakerDefaults.probes, shadow = false } = definition;
  const openFor = durationMs(definition.openFor ?? breakerDefaults.openFor);
  const maxOpenFor = Math.max(openFor, definition.maxOpenFor === undefined ? 0 : durationMs(definition.maxOpenFor));
  const hints = definition.shared === true && !shadow ? env.shared?.hints : undefined;
  const failed = matcher(definition.on ?? breakerDefaults.on);
  const trips: readonly Tally[] = tallies(definition.trip ?? breakerDefaults.trip);
  const slowerThan = Math.min(...trips.map((trip) => trip.slowerThan));
  const rate = Math.min(...trips.map((trip) => trip.rate));

  function enter(it: State, to: Phase, call: Call | undefined, what: string, detail: Readonly<Record<string, unknown>> = {}): void {
    it.phase = to;
    it.generation++;
    it.begun = [];
    it.probesGood = it.probesBad = 0;
    if (to === "closed") for (const [index, trip] of trips.entries()) trip.clear(it.counts[index]);
    env.report(call, { layer: label, kind: "breaker", what, detail });
  }

  function open(it: State, now: number, call: Call | undefined, why: Readonly<Record<string, unknown>>): void {
    const growing = Math.min(openFor * 2 ** it.openings, maxOpenFor);
    it.openings++;
    it.reopensAt = now + growing;
    it.why = why;
    enter(it, "open", call, "opened", { ...why, openForMs: growing });
    if (it.id !== undefined) hints?.tell(it.id, OPENED);
  }

  /** Another process has opened its breaker: this one tries the peer with care. Once in `openFor`, so that no flood of hints keeps it half-open. */
  function heed(it: State, hint: string): void {
    const now = env.now();
    if (hint !== OPENED || it.phase !== "closed" || now < it.hintedAt + openFor) return;
    it.hintedAt = now;
    enter(it, "half-open", undefined, "hinted", { probes });
  }

  function close(it: State, call: Call | undefined, what: string): void {
    it.openings = 0;
    enter(it, "closed", call, what);
  }

  /** Milliseconds until a call may pass; 0: now. A passing call in half-open is a probe. */
  function waitAt(it: State, now: number, call: Call): number {
    if (it.phase === "closed") return 0;
    if (it.phase === "isolated") return Number.POSITIVE_INFINITY;
    if (it.phase === "open") {
      if (now < it.reopensAt) return it.reopensAt - now;
      enter(it, "half-open", call, "half-opened", { probes });
    }
    const [oldest] = it.begun;
    if (oldest !== undefined && now >= oldest + openFor) {
      open(it, now, call, { reason: "a probe hung" });
      return it.reopensAt - now;
    }
    if (it.begun.length + it.probesGood + it.probesBad < probes) return 0;
    return Math.max(1, (oldest ?? now) + openFor - now);
  }

  function settleProbe(it: State, startedAt: number, verdict: boolean | undefined, now: number, call: Call): void {
    it.begun.splice(it.begun.indexOf(startedAt), 1);
    if (verdict === undefined) return; // nobody knows how the peer is: the place goes to another probe
    if (verdict) it.probesBad++;
    else it.probesGood++;
    if (it.probesBad / probes >= rate) open(it, now, call, { reason: "probes failed", failed: it.probesBad, probes });
    else if ((probes - it.probesGood) / probes < rate) close(it, call, "closed");
  }

  function settle(it: State, outcome: Outcome<unknown>, generationThen: number, startedAt: number, call: Call): void {
    if (it.generation !== generationThen) return;
    const now = env.now();
    const saysNothing = !outcome.ok && (outcome.by === "caller" || (outcome.conditions & REFUSAL) !== 0);
    const bad = failed(outcome);
    const unknown = saysNothing && !bad;
    const slow = now - startedAt > slowerThan;
    if (it.phase === "half-open") return settleProbe(it, startedAt, unknown ? undefined : bad || slow, now, call);
    if (unknown) return;
    for (let index = 0; index < trips.length; index++) trips[index]?.add(it.counts[index], now, bad, now - startedAt);
    if (!bad && !slow) return;
    for (const [index, trip] of trips.entries()) {
      const why = trip.tripped(it.counts[index], now);
      if (why !== undefined) return open(it, now, call, why);
    }
  }

  function refusal({ phase, why }: State, waitMs: number, call: Call): Failure<never> {
    const retryAfterMs = waitMs === Number.POSITIVE_INFINITY ? undefined : Math.ceil(waitMs);
    const detail = { phase, retryAfterMs, ...(phase === "isolated" ? {} : why) };
    env.report(call, { layer: label, kind: "breaker", what: shadow ? "would-be-refused" : "refused", detail });
    return { ok: false, code: Code.UNAVAILABLE, by: "breaker", sent: false, conditions: REFUSAL, retryAfterMs, layer: label };
  }

  const newState = (id: string | undefined): State => ({
    phase: "closed",
    generation: 0,
    openings: 0,
    reopensAt: 0,
    why: none,
    begun: [],
    probesGood: 0,
    probesBad: 0,
    counts: trips.map((trip) => trip.newCount()),
    id,
    hintedAt: Number.NEGATIVE_INFINITY,
    deafen: undefined,
  });

  return {
    newState: (_before, id) => {
      const state = newState(hints === undefined ? undefined : id);
      if (state.id !== undefined) state.deafen = hints?.hear(state.id, (hint) => heed(state, hint));
      return state;
    },
    layer: (it) =>
      step(() => (call) => {
        const startedAt = env.now();
        const wait = waitAt(it, startedAt, call);
        if (wait > 0) {
          const refused = refusal(it, wait, call);
          return shadow ? call : Promise.resolve(refused);
        }
        if (it.phase === "half-open") it.begun.push(startedAt);
        keep(new Admitted(it, call, startedAt, settle));
        return call;
      }),
    shutUntil: ({ phase, reopensAt, begun, probesGood, probesBad }, now) => {
      if (phase === "closed" || shadow) return 0;
      if (phase === "isolated") return Number.POSITIVE_INFINITY;
      if (phase === "open") return now < reopensAt ? reopensAt : 0;
      const hangsAt = (begun[0] ?? now) + openFor;
      return begun.length + probesGood + probesBad >= probes && now < hangsAt ? hangsAt : 0;
    },
    ...(hints === undefined ? {} : { close: ({ deafen }: State) => deafen?.() }),
    show: (it) => ({
      status: () => {
        const now = env.now();
        const { phase, openings, reopensAt, begun, probesGood, probesBad, counts } = it;
        return {
          phase: phase === "open" && now >= reopensAt ? "half-open" : phase,
          ...(phase === "open" ? { retryAfterMs: Math.max(0, Math.ceil(reopensAt - now)) } : {}),
          openings,
          trips: trips.map((trip, index) => trip.status(counts[index], now)),
          ...(phase === "half-open" ? { probes: { underWay: begun.length, good: probesGood, bad: probesBad, of: probes } } : {}),
        };
      },
      snapshot: () => ({
        phase: it.phase,
        openings: it.openings,
        ...(it.phase === "open" ? { remainingMs: Math.max(0, it.reopensAt - env.now()) } : {}),
      }),
      restore: (snapshot) => {
        const { phase: saved, openings: times, remainingMs } = snapshot;
        if (typeof times === "number" && times >= 0) it.openings = Math.min(times, 64);
        if (saved === "isolated") enter(it, "isolated", undefined, "restored");
        if (saved !== "open" && saved !== "half-open") return;
        it.why = { reason: "restored" };
        it.reopensAt = env.now() + Math.min(maxOpenFor, typeof remainingMs === "number" && remainingMs > 0 ? remainingMs : 0);
        enter(it, "open", undefined, "restored");
      },
      isolate: () => {
        if (it.phase !== "isolated") enter(it, "isolated", undefined, "isolated");
      },
      reset: () => close(it, undefined, "reset"),
    }),
  };
};
