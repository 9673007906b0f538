// Leases: permits of a limit that processes share, taken from the store in batches ahead of need and spent here without asking.
//
// How much is leased follows demand: what this process wants in the next 50 ms, and no more than the whole limit gives in that time, so that a small limit is leased call
// by call. Where the store had less than was asked for, it is asked again after a pause and not at once: so a few big batches go to each process that wants
// them, and all ask equally often, which is what makes it fair. What is not spent soon goes back.
import type { Env } from "../../call/env.ts";
import { setIdleTimer } from "../../call/clock.ts";
import type { SharedLimit, SharedRule, SharedStore, Taken } from "../../call/shared.ts";
import { ASKED, type Cell, type Meter } from "./cell.ts";
import { type Gcra, gcraRule, gcraSpend, gcraWait, type GcraRule } from "./gcra.ts";

export interface LeasedCell extends Cell {
  readonly limit: SharedLimit;
  /** Leased and not spent; below 0: passed in shadow before the answer. */
  permits: number;
  /** An answer is on its way. */
  asking: boolean;
  /** Until then the store has nothing; 0: nobody knows. */
  emptyUntil: number;
  /** A lease before the last permit is gone, from so many on. */
  low: number;
  keepTimer: unknown;
  /** Permits wanted since `since`, and before that in a millisecond on average. */
  wanted: number;
  since: number;
  rate: number;
  /** How long the store takes to answer, on average. */
  latency: number;
  processes: number;
  /** Set while the store is away. */
  alone: Alone | undefined;
}

/** How a process goes on by itself. */
interface Alone extends Gcra {
  readonly rule: GcraRule;
  readonly since: number;
  /** When the store is to be asked again. */
  askAt: number;
  pause: number;
}

const AHEAD_MS = 50;
const MOST_AHEAD_MS = 500;
const PAUSE_MS = 25;
const SHORTEST_PAUSE_MS = 5;
/** Over what time demand is averaged. */
const AVERAGED_MS = 100;
/** What was not spent for so long goes back. */
const KEPT_MS = 250;
const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 500;

export interface Leasing {
  readonly env: Pick<Env, "now" | "timers" | "random">;
  readonly store: SharedStore;
  readonly rule: SharedRule;
  readonly onStoreLoss: "local" | "open" | "closed";
  /** The store has answered, or is away: those who wait may go on. */
  readonly pump: (cell: LeasedCell) => void;
  readonly lost: (error: unknown) => void;
  readonly back: (awayMs: number) => void;
}

export function leasedMeter({ env, store, rule, onStoreLoss, pump, lost, back }: Leasing): Meter<LeasedCell> {
  const { intervalMs, burst } = rule;
  const { timers } = env;

  /** How many are worth a lease. */
  function size(cell: LeasedCell, least: number, now: number): number {
    const over = now - cell.since;
    if (over >= 1) {
      cell.rate += (cell.wanted / over - cell.rate) * (over / (over + AVERAGED_MS));
      cell.wanted = 0;
      cell.since = now;
    }
    const ahead = Math.min(MOST_AHEAD_MS, Math.max(AHEAD_MS, 2 * cell.latency));
    const owed = Math.max(0, -cell.permits) + (cell.line?.weight() ?? 0);
    const fair = Math.max(Math.floor(ahead / intervalMs), owed);
    return Math.max(least, Math.min(burst, fair, Math.max(owed, Math.ceil(cell.rate * ahead))));
  }

  function ask(cell: LeasedCell, least: number, now: number): void {
    if (cell.asking) return;
    cell.asking = true;
    const most = size(cell, least, now);
    cell.limit.take(least, most).then(
      (taken) => {
        const then = env.now();
        cell.latency = (cell.latency + then - now) / 2;
        answered(cell, taken, most, then);
      },
      (error: unknown) => {
        cell.asking = false;
        const then = env.now();
        const { alone } = cell;
        const pause = Math.min(alone === undefined ? FIRST_RETRY_MS : alone.pause * 2, LONGEST_RETRY_MS);
        if (alone === undefined) cell.alone = newAlone(cell, then, pause);
        else Object.assign(alone, { pause, askAt: then + pause });
        lost(error);
        pump(cell);
      },
    );
  }

  function answered(cell: LeasedCell, { permits, waitMs, processes }: Taken, most: number, now: number): void {
    cell.asking = false;
    cell.processes = Math.max(1, processes);
    if (cell.alone !== undefined) back(now - cell.alone.since);
    cell.alone = undefined;
    cell.permits += permits;
    cell.low = permits > 1 ? permits / 2 : 0;
    const pause = Math.max(SHORTEST_PAUSE_MS, Math.min(PAUSE_MS, (burst * intervalMs) / 2)) * (0.75 + env.random() / 2);
    cell.emptyUntil = permits === most ? 0 : now + Math.max(waitMs, pause);
    if (cell.permits > 0) keep(cell);
    pump(cell);
  }

  /** What is left of a lease goes back, unless another follows. */
  function keep(cell: LeasedCell): void {
    timers.clearTimer(cell.keepTimer);
    const due = (): void => {
      cell.keepTimer = undefined;
      if (cell.permits > 0) cell.limit.giveBack(cell.permits);
      cell.permits = Math.min(0, cell.permits);
    };
    cell.keepTimer = setIdleTimer(timers, due, KEPT_MS);
  }

  /** A fair share of the limit, that begins with one call's worth: the burst may be spent already. */
  function newAlone(cell: LeasedCell, now: number, pause: number): Alone {
    const share = gcraRule(1, intervalMs * cell.processes, Math.max(1, Math.floor(burst / cell.processes)));
    return { rule: share, due: now + share.tolerance, since: now, askAt: now + pause, pause };
  }

  function waitAlone(cell: LeasedCell, alone: Alone, permits: number, now: number): number {
    if (now >= alone.askAt) ask(cell, 1, now);
    if (onStoreLoss === "open") return 0;
    if (onStoreLoss === "closed") return Math.max(1, alone.askAt - now);
    return gcraWait(alone, alone.rule, now, Math.min(permits, alone.rule.tolerance / alone.rule.interval + 1));
  }

  return {
    newCell: (id) => ({
      limit: store.limit(id, rule),
      permits: 0,
      asking: false,
      emptyUntil: 0,
      low: 0,
      keepTimer: undefined,
      wanted: 0,
      since: env.now(),
      rate: 0,
      latency: 0,
      processes: store.processes,
      alone: undefined,
      line: undefined,
      timer: undefined,
      pace: undefined,
    }),
    wanted: (cell, permits) => {
      cell.wanted += permits;
    },
    wait: (cell, permits, now) => {
      if (cell.permits >= permits) return 0;
      if (cell.alone !== undefined) return waitAlone(cell, cell.alone, permits, now);
      if (now < cell.emptyUntil) return cell.emptyUntil - now + Math.max(0, permits - 1 - cell.permits) * intervalMs;
      ask(cell, Math.max(1, (cell.line?.first() ?? permits) - Math.max(0, cell.permits)), now);
      return ASKED;
    },
    spend: (cell, permits, now) => {
      const { alone } = cell;
      if (alone !== undefined && cell.permits < permits) {
        if (onStoreLoss === "local") gcraSpend(alone, alone.rule, now, permits);
        return;
      }
      cell.permits -= permits;
      if (cell.permits < cell.low && now >= cell.emptyUntil) ask(cell, 1, now);
    },
    isIdle: (cell) => cell.permits === 0 && !cell.asking,
    reset: (cell) => {
      cell.emptyUntil = 0;
      if (cell.alone !== undefined) cell.alone.due = 0;
    },
    status: ({ permits, processes, alone }) => ({
      available: Math.max(0, permits),
      store: alone === undefined ? "up" : "away",
      processes,
    }),
  };
}
