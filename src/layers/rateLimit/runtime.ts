// The rateLimit layer at work. It is ours: see docs/decisions/0003-rate-limit-is-gcra.md.
import type { Build } from "../../call/build.ts";
import { type Call, fieldOf } from "../../call/call.ts";
import { gaveUpOutcome, REFUSAL } from "../../call/classify.ts";
import { Code } from "../../call/codes.ts";
import { type Line, newLine } from "../../call/line.ts";
import type { Failure } from "../../call/outcome.ts";
import { durationMs } from "../../policy/duration.ts";
import { QUEUE_TIMEOUT } from "../../policy/schema.ts";
import type { RateLimitDefinition } from "./definition.ts";
import { type Gcra, gcraRule, gcraSpend, gcraWait } from "./gcra.ts";

/** How many values of a key header are told apart; further ones share one count until others have been idle. */
const MOST_KEYS = 10_000;

interface Cell extends Gcra {
  line: Line | undefined;
  timer: unknown;
}

const newCell = (): Cell => ({ due: 0, line: undefined, timer: undefined });

/** The limiter of one target. */
interface State {
  /** For calls that no key tells apart. */
  readonly whole: Cell;
  readonly cells: Map<string, Cell> | undefined;
}

const cellsOf = ({ whole, cells }: State): readonly Cell[] => [whole, ...(cells?.values() ?? [])];

export const buildRateLimit: Build<RateLimitDefinition, State> = (definition, env, { label }) => {
  const { rate, key, queue, shadow = false } = definition;
  const burst = definition.burst ?? Math.max(1, Math.ceil(rate));
  const rule = gcraRule(rate, durationMs(definition.per), burst);
  const header = key?.header.toLowerCase();
  const patience = durationMs(queue?.timeout ?? QUEUE_TIMEOUT);

  function cellOf({ whole, cells }: State, call: Call, now: number): Cell {
    if (header === undefined || cells === undefined) return whole;
    const value = fieldOf(call, header);
    if (value === undefined) return whole;
    const found = cells.get(value);
    if (found !== undefined) return found;
    if (cells.size >= MOST_KEYS) dropIdle(cells, now);
    if (cells.size >= MOST_KEYS) return whole;
    const cell = newCell();
    cells.set(value, cell);
    return cell;
  }

  /** A cell whose credit is full again is as good as none. Looks at the oldest few only, so a flood of keys stays cheap. */
  function dropIdle(cells: Map<string, Cell>, now: number): void {
    let looked = 0;
    for (const [value, cell] of cells) {
      if (cell.due <= now && (cell.line?.length() ?? 0) === 0) cells.delete(value);
      else {
        cells.delete(value);
        cells.set(value, cell);
      }
      if (++looked >= 8) return;
    }
  }

  function report(call: Call, what: "refused" | "queued" | "admitted", detail: Readonly<Record<string, unknown>>): void {
    env.report(call, { layer: label, kind: "rateLimit", what: shadow ? `would-be-${what}` : what, detail });
  }

  /** `undefined` in shadow. */
  function refusal(call: Call, waitMs: number): Failure<never> | undefined {
    report(call, "refused", { rate, per: definition.per, burst, retryAfterMs: Math.ceil(waitMs) });
    if (shadow) return undefined;
    return {
      ok: false,
      code: Code.RESOURCE_EXHAUSTED,
      by: "rateLimit",
      sent: false,
      conditions: REFUSAL,
      retryAfterMs: Math.ceil(waitMs),
      layer: label,
    };
  }

  /** Wakes the first in line when its time has come, and arms the timer for the next. */
  function pump(cell: Cell): void {
    cell.timer = undefined;
    while (cell.line !== undefined && cell.line.length() > 0) {
      const now = env.now();
      const wait = gcraWait(cell, rule, now);
      if (wait > 0) {
        cell.timer = env.timers.setTimer(() => pump(cell), Math.ceil(wait));
        return;
      }
      gcraSpend(cell, rule, now);
      cell.line.grant();
    }
  }

  async function queued(cell: Cell, call: Call): Promise<Failure<never> | undefined> {
    const line = (cell.line ??= newLine(env.timers, () => {
      env.timers.clearTimer(cell.timer);
      cell.timer = cell.line = undefined;
    }));
    const since = env.now();
    const turn = line.wait(patience, call.signal);
    if (cell.timer === undefined) pump(cell);
    const how = await turn;
    if (how === "granted") {
      report(call, "admitted", { waitedMs: env.now() - since });
      return undefined;
    }
    if (how === "aborted") return gaveUpOutcome(call.signal);
    return refusal(call, gcraWait(cell, rule, env.now()) + (cell.line?.length() ?? 0) * rule.interval);
  }

  return {
    newState: () => ({ whole: newCell(), cells: header === undefined ? undefined : new Map() }),
    layer: (state) => (next) => (call) => {
      const now = env.now();
      const cell = cellOf(state, call, now);
      const waiting = cell.line?.length() ?? 0;
      const wait = gcraWait(cell, rule, now) + waiting * rule.interval;
      if (wait <= 0) {
        gcraSpend(cell, rule, now);
        return next(call);
      }
      if (queue === undefined || waiting >= queue.size || wait > patience) {
        const refused = refusal(call, wait);
        return refused === undefined ? next(call) : Promise.resolve(refused);
      }
      report(call, "queued", { waiting, waitMs: Math.ceil(wait) });
      return shadow ? next(call) : queued(cell, call).then((refused) => refused ?? next(call));
    },
    show: (state) => ({
      status: () => {
        const now = env.now();
        const waiting = cellsOf(state).reduce((sum, cell) => sum + (cell.line?.length() ?? 0), 0);
        const credit = Math.floor((rule.tolerance + rule.interval - Math.max(0, state.whole.due - now)) / rule.interval);
        return { available: Math.max(0, Math.min(burst, credit)), burst, waiting, keys: state.cells?.size ?? 0 };
      },
      reset: () => {
        const cells = cellsOf(state);
        for (const cell of cells) cell.due = 0;
        for (const cell of cells) {
          env.timers.clearTimer(cell.timer);
          pump(cell);
        }
      },
    }),
  };
};
