// The breaker layer at work: admit, let the call pass outside, then count how it came out.
import type { Build } from "../../call/build.ts";
import type { Call } from "../../call/call.ts";
import { matcher, REFUSAL } from "../../call/classify.ts";
import { Code } from "../../call/codes.ts";
import type { Failure, Outcome } from "../../call/outcome.ts";
import { durationMs } from "../../policy/duration.ts";
import { type BreakerDefinition, breakerDefaults } from "./definition.ts";
import { type Tally, tallies } from "./trip.ts";

type Phase = "closed" | "open" | "half-open" | "isolated";

export const buildBreaker: Build<BreakerDefinition> = (definition, env, { label }) => {
  const { probes = breakerDefaults.probes, shadow = false } = definition;
  const openFor = durationMs(definition.openFor ?? breakerDefaults.openFor);
  const maxOpenFor = Math.max(openFor, definition.maxOpenFor === undefined ? 0 : durationMs(definition.maxOpenFor));
  const failed = matcher(definition.on ?? breakerDefaults.on);
  const trips: readonly Tally[] = tallies(definition.trip ?? breakerDefaults.trip);
  const slowerThan = Math.min(...trips.map((trip) => trip.slowerThan));
  const rate = Math.min(...trips.map((trip) => trip.rate));

  let phase: Phase = "closed";
  /** Grows with every change of phase; a result that was begun under an older one does not count. */
  let generation = 0;
  /** How often it opened since it was last closed. */
  let openings = 0;
  let reopensAt = 0;
  /** When each probe under way began. */
  let begun: number[] = [];
  let probesGood = 0;
  let probesBad = 0;

  function enter(to: Phase, call: Call | undefined, what: string, detail: Readonly<Record<string, unknown>> = {}): void {
    phase = to;
    generation++;
    begun = [];
    probesGood = probesBad = 0;
    if (to === "closed") for (const trip of trips) trip.clear();
    env.report(call, { layer: label, kind: "breaker", what, detail });
  }

  function open(now: number, call: Call | undefined, why: Readonly<Record<string, unknown>>): void {
    const growing = Math.min(openFor * 2 ** openings, maxOpenFor);
    openings++;
    reopensAt = now + growing;
    enter("open", call, "opened", { ...why, openForMs: growing });
  }

  function close(call: Call | undefined, what: string): void {
    openings = 0;
    enter("closed", call, what);
  }

  /** Milliseconds until a call may pass; 0: now. A passing call in half-open is a probe. */
  function waitAt(now: number, call: Call): number {
    if (phase === "closed") return 0;
    if (phase === "isolated") return Number.POSITIVE_INFINITY;
    if (phase === "open") {
      if (now < reopensAt) return reopensAt - now;
      enter("half-open", call, "half-opened", { probes });
    }
    const [oldest] = begun;
    if (oldest !== undefined && now >= oldest + openFor) {
      open(now, call, { reason: "a probe hung" });
      return reopensAt - now;
    }
    if (begun.length + probesGood + probesBad < probes) return 0;
    return Math.max(1, (oldest ?? now) + openFor - now);
  }

  function settleProbe(startedAt: number, verdict: boolean | undefined, now: number, call: Call): void {
    begun.splice(begun.indexOf(startedAt), 1);
    if (verdict === undefined) return; // nobody knows how the peer is: the place goes to another probe
    if (verdict) probesBad++;
    else probesGood++;
    if (probesBad / probes >= rate) open(now, call, { reason: "probes failed", failed: probesBad, probes });
    else if ((probes - probesGood) / probes < rate) close(call, "closed");
  }

  function settle(outcome: Outcome<unknown>, generationThen: number, startedAt: number, call: Call): void {
    if (generation !== generationThen) return;
    const now = env.now();
    const saysNothing = !outcome.ok && (outcome.by === "caller" || (outcome.conditions & REFUSAL) !== 0);
    const bad = failed(outcome);
    const unknown = saysNothing && !bad;
    const slow = now - startedAt > slowerThan;
    if (phase === "half-open") return settleProbe(startedAt, unknown ? undefined : bad || slow, now, call);
    if (unknown) return;
    for (const trip of trips) trip.add(now, bad, now - startedAt);
    if (!bad && !slow) return;
    for (const trip of trips) {
      const why = trip.tripped(now);
      if (why !== undefined) return open(now, call, why);
    }
  }

  function refusal(waitMs: number, call: Call): Failure<never> {
    const retryAfterMs = waitMs === Number.POSITIVE_INFINITY ? undefined : Math.ceil(waitMs);
    env.report(call, { layer: label, kind: "breaker", what: shadow ? "would-be-refused" : "refused", detail: { phase, retryAfterMs } });
    return { ok: false, code: Code.UNAVAILABLE, by: "breaker", sent: false, conditions: REFUSAL, retryAfterMs, layer: label };
  }

  return {
    layer: (next) => (call) => {
      const startedAt = env.now();
      const wait = waitAt(startedAt, call);
      if (wait > 0) {
        const refused = refusal(wait, call);
        return shadow ? next(call) : Promise.resolve(refused);
      }
      if (phase === "half-open") begun.push(startedAt);
      const then = generation;
      return next(call).then((outcome) => {
        settle(outcome, then, startedAt, call);
        return outcome;
      });
    },
    state: {
      status: () => {
        const now = env.now();
        return {
          phase: phase === "open" && now >= reopensAt ? "half-open" : phase,
          ...(phase === "open" ? { retryAfterMs: Math.max(0, Math.ceil(reopensAt - now)) } : {}),
          openings,
          trips: trips.map((trip) => trip.status(now)),
          ...(phase === "half-open" ? { probes: { underWay: begun.length, good: probesGood, bad: probesBad, of: probes } } : {}),
        };
      },
      snapshot: () => ({ phase, openings, ...(phase === "open" ? { remainingMs: Math.max(0, reopensAt - env.now()) } : {}) }),
      restore: (snapshot) => {
        const { phase: saved, openings: times, remainingMs } = snapshot;
        if (typeof times === "number" && times >= 0) openings = Math.min(times, 64);
        if (saved === "isolated") enter("isolated", undefined, "restored");
        if (saved !== "open" && saved !== "half-open") return;
        reopensAt = env.now() + Math.min(maxOpenFor, typeof remainingMs === "number" && remainingMs > 0 ? remainingMs : 0);
        enter("open", undefined, "restored");
      },
      isolate: () => {
        if (phase !== "isolated") enter("isolated", undefined, "isolated");
      },
      reset: () => close(undefined, "reset"),
    },
  };
};
