// Simulated: layers over a peer that is a few lines of arithmetic, in virtual time, so that hours of traffic take a second.
import { abortedOutcome } from "../../src/call/classify.ts";
import { seededRandom } from "../../src/call/env.ts";
import type { Outcome } from "../../src/call/outcome.ts";
import { waited } from "../../src/call/waiting.ts";
import type { LayerDefinition } from "../../src/policy/policy.ts";
import { newTimeline, type Timeline } from "../../src/testing/timeline.ts";
import { type Answer, type Bare, bare, type Reply } from "./bare.ts";

/** How a simulated call came out. */
export interface Result {
  readonly outcome: Outcome<Reply>;
  readonly at: number;
  readonly tookMs: number;
}

export interface Simulated {
  readonly time: Timeline;
  readonly random: () => number;
  readonly stack: Bare;
  readonly results: readonly Result[];
  /** Sends calls at random moments (Poisson), so many a second on average, for so long; and lets time pass meanwhile. */
  readonly traffic: (perSecond: number, forMs: number) => Promise<void>;
  /** Keeps so many calls under way, each followed by the next, for so long; `look` is called every quarter of a second. */
  readonly callers: (count: number, forMs: number, look?: () => void) => Promise<void>;
  /** Lets time pass until that moment. */
  readonly until: (at: number) => Promise<void>;
}

/** `peer` makes the answers of the peer. */
export function simulated(layers: readonly LayerDefinition[], peer: (time: Timeline, random: () => number) => Answer, seed = 1): Simulated {
  const time = newTimeline();
  const random = seededRandom(seed);
  const stack = bare(layers, { now: time.now, timers: time, random });
  const results: Result[] = [];
  stack.answers(peer(time, random));

  async function call(): Promise<void> {
    const at = time.now();
    const outcome = await stack.call();
    results.push({ outcome, at, tookMs: time.now() - at });
  }

  async function until(at: number): Promise<void> {
    for (let next = time.next(); next !== undefined && next <= at; next = time.next()) {
      time.step();
      await settled();
    }
    time.goTo(at);
    await settled();
  }

  return {
    time,
    random,
    stack,
    results,
    traffic: async (perSecond, forMs) => {
      const end = time.now() + forMs;
      for (let at = time.now(); at < end; at -= (Math.log(1 - random()) / perSecond) * 1_000) {
        await until(at);
        void call();
      }
      await until(end);
    },
    callers: async (count, forMs, look = () => undefined) => {
      const end = time.now() + forMs;
      const one = async (): Promise<void> => {
        while (time.now() < end) {
          const before = time.now();
          await call();
          if (time.now() === before) await waited(time, 1, undefined); // refused: a caller takes a breath
        }
      };
      for (let n = 0; n < count; n++) void one();
      for (let at = time.now() + 250; at < end; at += 250) {
        await until(at);
        look();
      }
      await until(end);
    },
    until,
  };
}

/** Promises that wait for nothing but promises settle. */
const settled = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** An answer that takes so long, and ends at once when it is aborted. */
export async function taking(
  time: Timeline,
  ms: number,
  signal: Parameters<Answer>[0]["signal"],
  given: () => Outcome<Reply>,
): Promise<Outcome<Reply>> {
  return (await waited(time, ms, signal)) ? given() : abortedOutcome(signal, true);
}

/** The value below which a share of the values lies. */
export function percentile(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? 0;
}
