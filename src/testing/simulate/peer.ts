// The peer of a simulation: attempts come, wait for a place, take their time and come out as the phase and the dice have it.
import type { Call, Payload } from "../../call/call.ts";
import { abortedOutcome, errorOutcome, httpOutcome } from "../../call/classify.ts";
import type { Outcome } from "../../call/outcome.ts";
import type { Signal } from "../../call/signal.ts";
import type { Timeline } from "../timeline.ts";
import { type Dice, drawn } from "./dice.ts";
import type { PlannedPhase } from "./scenario.ts";

/** What belongs to the transport of a simulation: which call it is. */
export interface SimulatedPayload extends Payload {
  readonly index: number;
}

export interface Peer {
  /** The attempt, as a transport sends it. */
  readonly send: (call: Call) => Promise<Outcome<unknown>>;
  /** How many attempts reached it. */
  seen(): number;
}

const REFUSED = errorOutcome(Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" }), false);
const RESET = errorOutcome(Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" }), true);
const nothing = (): undefined => undefined;
const response = {};
const answer = (status: number, retryAfterMs?: number): Outcome<unknown> => httpOutcome(response, status, retryAfterMs, undefined, nothing);
const OK = answer(200);

/** Statuses that ask to wait (RFC 9110, 10.2.3). */
const ASKING: ReadonlySet<number> = new Set([429, 503]);

export interface PeerOptions {
  readonly timeline: Timeline;
  readonly dice: Dice;
  readonly phaseNow: () => PlannedPhase;
  /** The host that the phases are about; any other, such as a fallback's, is always well. */
  readonly target: string;
  /** An attempt was made, now. */
  readonly attempted: () => void;
}

export function newPeer({ timeline, dice, phaseNow, target, attempted }: PeerOptions): Peer {
  const waiting: Stay[] = [];
  let head = 0;
  /** How many of those behind `head` still wait. */
  let queued = 0;
  let busy = 0;
  let seen = 0;

  /** One attempt that the peer works on. A class, since there is one for each. */
  class Stay {
    readonly #signal: Signal | undefined;
    readonly #phase: PlannedPhase;
    readonly #outcome: Outcome<unknown>;
    readonly #tookMs: number;
    readonly #resolve: (outcome: Outcome<unknown>) => void;
    #place: "none" | "queue" | "work" = "none";
    #timer: unknown;

    constructor(
      signal: Signal | undefined,
      phase: PlannedPhase,
      outcome: Outcome<unknown>,
      tookMs: number,
      resolve: (outcome: Outcome<unknown>) => void,
    ) {
      this.#signal = signal;
      this.#phase = phase;
      this.#outcome = outcome;
      this.#tookMs = tookMs;
      this.#resolve = resolve;
      signal?.addEventListener("abort", this);
    }

    /** Whether it still waits for its turn. */
    get waits(): boolean {
      return this.#place === "queue";
    }

    wait(): void {
      queued++;
      this.#place = "queue";
      waiting.push(this);
    }

    /** `counted`: it takes a place of the peer's. */
    work(counted = true): void {
      if (this.#place === "queue") queued--;
      this.#place = counted ? "work" : "none";
      if (counted) busy++;
      this.#timer = timeline.setTimer(() => this.#done(), this.#tookMs);
    }

    #done(): void {
      this.#leave();
      this.#signal?.removeEventListener("abort", this);
      this.#resolve(this.#outcome); // where its caller has gone, nobody hears of it
    }

    #leave(): void {
      const place = this.#place;
      this.#place = "none";
      if (place === "queue") queued--;
      if (place !== "work") return;
      busy--;
      admit();
    }

    /** Its caller has given it up. */
    handleEvent(): void {
      this.#resolve(abortedOutcome(this.#signal, true));
      if (this.#phase.capacity !== Number.POSITIVE_INFINITY && !this.#phase.heedsAborts) return; // the work goes on, for nobody
      timeline.clearTimer(this.#timer);
      this.#leave();
    }
  }

  function admit(): void {
    const { capacity } = phaseNow();
    while (busy < capacity && head < waiting.length) {
      const next = waiting[head++];
      if (next?.waits === true) next.work();
    }
    if (head < 1_000 || head * 2 < waiting.length) return;
    waiting.splice(0, head);
    head = 0;
  }

  function outcomeOf(phase: PlannedPhase, roll: number): Outcome<unknown> | "hang" {
    const fate = phase.fates.find(({ upTo }) => roll < upTo)?.fate;
    if (fate === undefined) return OK;
    if (fate === "hang") return "hang";
    if (typeof fate === "string") return fate === "refuse" ? REFUSED : RESET;
    return answer(fate, ASKING.has(fate) ? phase.retryAfterMs : undefined);
  }

  return {
    seen: () => seen,
    send: (call) => {
      const { signal, record, payload } = call;
      if (signal?.aborted === true) return Promise.resolve(abortedOutcome(signal));
      record.attempts++;
      attempted();
      const phase = phaseNow();
      const { index } = payload as SimulatedPayload; // the cast: this sender is only put on calls with this payload
      const nth = record.attempts;
      const elsewhere = call.target !== target || call.origin !== undefined;
      const outcome = elsewhere ? OK : outcomeOf(phase, dice.roll(index, nth, 1));
      if (outcome === REFUSED) return Promise.resolve(outcome);
      record.sent++;
      if (!elsewhere) seen++;
      return new Promise((resolve) => {
        if (outcome === "hang") {
          signal?.addEventListener("abort", () => resolve(abortedOutcome(signal, true)), { once: true });
          return;
        }
        const tookMs = drawn(phase.spread, dice.roll(index, nth, 2), dice.roll(index, nth, 3));
        const full = !elsewhere && busy >= phase.capacity;
        if (full && queued >= phase.queue) {
          resolve(answer(503, phase.retryAfterMs));
          return;
        }
        const stay = new Stay(signal, phase, outcome, tookMs, resolve);
        if (full) stay.wait();
        else stay.work(!elsewhere);
      });
    },
  };
}
