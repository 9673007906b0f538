// Cell: one count of a limiter, and what a limiter does with it: by arithmetic in the process, or by permits that are leased from a store.
import type { Line } from "../../call/line.ts";
import { type Gcra, gcraCredit, gcraSpend, gcraWait, type GcraRule } from "./gcra.ts";
import type { Pace } from "./pace.ts";

/** Plain data, since there may be one for each of thousands of targets and keys. */
export interface Cell {
  line: Line | undefined;
  timer: unknown;
  /** What the peer said of its own limit. */
  pace: Pace | undefined;
}

/** Only the store knows whether a call may start; it has been asked, and its answer is pumped. */
export const ASKED = -1;

export interface Meter<C extends Cell> {
  /** `id`: which count it is, in every process. */
  newCell(id: string): C;
  /** How long until so many permits are there; 0: now; {@link ASKED}. */
  wait(cell: C, permits: number, now: number): number;
  spend(cell: C, permits: number, now: number): void;
  /** A call has come that counts for so many, whatever becomes of it. */
  wanted?(cell: C, permits: number): void;
  /** It is as good as a new one. */
  isIdle(cell: C, now: number): boolean;
  reset(cell: C): void;
  status(cell: C, now: number): { readonly available: number } & Readonly<Record<string, unknown>>;
}

export interface GcraCell extends Cell, Gcra {}

/** Counts in this process. */
export const gcraMeter = (rule: GcraRule): Meter<GcraCell> => ({
  newCell: () => ({ due: 0, line: undefined, timer: undefined, pace: undefined }),
  wait: (cell, permits, now) => gcraWait(cell, rule, now, permits),
  spend: (cell, permits, now) => gcraSpend(cell, rule, now, permits),
  isIdle: (cell, now) => cell.due <= now,
  reset: (cell) => {
    cell.due = 0;
  },
  status: (cell, now) => ({ available: gcraCredit(cell, rule, now) }),
});
