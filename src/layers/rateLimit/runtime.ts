// The rateLimit layer at work. It is ours: see docs/decisions/0003-rate-limit-is-gcra.md; where processes share it, 0008-shared-limits-are-leased.md.
import type { Build } from "../../call/build.ts";
import { type Call, fieldOf } from "../../call/call.ts";
import { gaveUpOutcome, REFUSAL } from "../../call/classify.ts";
import { Code } from "../../call/codes.ts";
import { newLine } from "../../call/line.ts";
import type { Failure, Outcome } from "../../call/outcome.ts";
import { step } from "../../call/step.ts";
import { durationMs } from "../../policy/duration.ts";
import { QUEUE_TIMEOUT } from "../../policy/schema.ts";
import { ASKED, type Cell, gcraMeter, type Meter } from "./cell.ts";
import { allCells, cellFor, type Cells, waitingIn } from "./cells.ts";
import { type RateLimitDefinition, rateLimitDefaults } from "./definition.ts";
import { gcraRule } from "./gcra.ts";
import { leasedMeter } from "./leases.ts";
import { learned, paceSpend, paceWait } from "./pace.ts";

/** How many calls wait for an answer of the store, where no queue says otherwise, and for how long at most: a store answers sooner, or is away. */
const MOST_ASKING = 10_000;
const LONGEST_ASKING_MS = 10_000;

export const buildRateLimit: Build<RateLimitDefinition, Cells<Cell>> = (definition, env, { label }) => {
  const { rate, key, cost, queue, learn = false, shadow = false, onStoreLoss = rateLimitDefaults.onStoreLoss } = definition;
  const perMs = durationMs(definition.per);
  const burst = definition.burst ?? Math.max(1, Math.ceil(rate));
  const rule = gcraRule(rate, perMs, burst);
  const header = key?.header.toLowerCase();
  const costHeader = cost?.header.toLowerCase();
  const patience = durationMs(queue?.timeout ?? QUEUE_TIMEOUT);
  const store = definition.shared === true ? env.shared : undefined;
  let away = false;
  let processesOf = (_cell: Cell): number => 1;
  const meter = store === undefined ? (gcraMeter(rule) as Meter<Cell>) : leased(store); // the cast: only the meter that made a cell gets to see it

  function leased(shared: NonNullable<typeof store>): Meter<Cell> {
    const made = leasedMeter({
      env,
      store: shared,
      rule: { intervalMs: rule.interval, burst },
      onStoreLoss,
      pump,
      lost: (error) => {
        if (away) return;
        away = true;
        env.report(undefined, {
          layer: label,
          kind: "rateLimit",
          what: "store-lost",
          detail: { store: shared.address, onStoreLoss, error: error instanceof Error ? error.message : String(error) },
        });
      },
      back: (awayMs) => {
        if (!away) return;
        away = false;
        env.report(undefined, { layer: label, kind: "rateLimit", what: "store-back", detail: { store: shared.address, awayMs } });
      },
    });
    processesOf = (cell) => (cell as ReturnType<typeof made.newCell>).processes; // the cast: this meter made it
    return made;
  }

  function report(call: Call, what: "refused" | "queued" | "admitted", detail: Readonly<Record<string, unknown>>): void {
    env.report(call, { layer: label, kind: "rateLimit", what: shadow ? `would-be-${what}` : what, detail });
  }

  /** `undefined` in shadow. `waitMs` `undefined`: it never passes. */
  function refusal(call: Call, cell: Cell, waitMs: number | undefined, permits: number): Failure<never> | undefined {
    const now = env.now();
    const retryAfterMs = waitMs === undefined ? undefined : Math.max(1, Math.ceil(waitMs));
    const paced = paceWait(cell.pace, permits, now) > 0 ? { peerRemaining: cell.pace?.remaining } : {};
    const weighed = costHeader === undefined ? {} : { cost: permits };
    report(call, "refused", { rate, per: definition.per, burst, retryAfterMs, ...weighed, ...paced });
    if (shadow) return undefined;
    return {
      ok: false,
      code: Code.RESOURCE_EXHAUSTED,
      by: "rateLimit",
      sent: false,
      conditions: REFUSAL,
      retryAfterMs,
      limit: { burst, rate, perMs, remaining: Math.min(permits - 1, meter.status(cell, now).available), resetMs: retryAfterMs },
      layer: label,
    };
  }

  function costOf(call: Call): number {
    const value = costHeader === undefined ? undefined : fieldOf(call, costHeader);
    if (value === undefined || !/^[1-9]\d{0,8}$/.test(value)) return 1;
    return Number(value);
  }

  function waitFor(cell: Cell, permits: number, now: number): number {
    const paced = paceWait(cell.pace, permits, now);
    if (paced > 0) return paced;
    return meter.wait(cell, permits, now);
  }

  function spend(cell: Cell, permits: number, now: number): void {
    meter.spend(cell, permits, now);
    paceSpend(cell.pace, permits, now);
  }

  /** Gives those who wait their turn as it comes, and arms the timer for the next. */
  function pump(cell: Cell): void {
    env.timers.clearTimer(cell.timer);
    cell.timer = undefined;
    while (cell.line !== undefined && cell.line.length() > 0) {
      const now = env.now();
      const permits = cell.line.first();
      const wait = waitFor(cell, permits, now);
      if (wait === ASKED) return;
      if (wait > 0) {
        if (queue === undefined) return cell.line.dismiss(); // they only waited for the store's answer
        cell.timer = env.timers.setTimer(() => pump(cell), Math.ceil(wait));
        return;
      }
      spend(cell, permits, now);
      cell.line.grant();
    }
  }

  /** `asked`: only until the store has answered, unless there is a queue. */
  async function queued(cell: Cell, call: Call, permits: number, asked: boolean): Promise<Failure<never> | undefined> {
    const line = (cell.line ??= newLine(env.timers, () => {
      env.timers.clearTimer(cell.timer);
      cell.timer = cell.line = undefined;
    }));
    const since = env.now();
    const turn = line.wait(queue === undefined ? LONGEST_ASKING_MS : patience, call.signal, permits);
    if (cell.timer === undefined && !asked) pump(cell);
    const how = await turn;
    if (how === "granted") {
      if (!asked) report(call, "admitted", { waitedMs: env.now() - since });
      return undefined;
    }
    if (waitingIn(cell) > 0 && how !== "dismissed") pump(cell); // who is first now may count for less
    if (how === "aborted") return gaveUpOutcome(call.signal);
    const now = env.now();
    const ahead = cell.line?.weight() ?? 0;
    return refusal(call, cell, Math.max(rule.interval, waitFor(cell, ahead + permits, now)), permits);
  }

  const watched = (cell: Cell, outcome: Promise<Outcome<unknown>>): Promise<Outcome<unknown>> =>
    outcome.then((came) => {
      cell.pace = learned(cell.pace, came, env.now(), processesOf(cell));
      return came;
    });

  return {
    newState: (_before, id = "") => ({
      whole: meter.newCell(id),
      byKey: header === undefined ? undefined : new Map(),
      make: (value) => meter.newCell(JSON.stringify([id, value])),
      isIdle: (cell, now) => meter.isIdle(cell, now),
    }),
    layer: (state) =>
      step((bare) => (call) => {
        const now = env.now();
        const cell = cellFor(state, header === undefined ? undefined : fieldOf(call, header), now);
        const go = (): Call | Promise<Outcome<unknown>> => (learn ? watched(cell, bare(call)) : call);
        const permits = costHeader === undefined ? 1 : costOf(call);
        const ahead = cell.line === undefined ? 0 : cell.line.weight();
        meter.wanted?.(cell, permits);
        const wait = permits > burst ? undefined : waitFor(cell, ahead + permits, now);
        if (wait === 0) {
          spend(cell, permits, now);
          return go();
        }
        const asked = wait === ASKED;
        const waiting = waitingIn(cell);
        if (
          asked
            ? waiting >= (queue?.size ?? MOST_ASKING)
            : wait === undefined || queue === undefined || waiting >= queue.size || wait > patience
        ) {
          const refused = refusal(call, cell, asked ? rule.interval : wait, permits);
          return refused === undefined ? go() : Promise.resolve(refused);
        }
        if (!asked) report(call, "queued", { waiting, waitMs: Math.ceil(wait ?? 0) });
        if (shadow) {
          if (asked) meter.spend(cell, permits, now);
          return go();
        }
        return queued(cell, call, permits, asked).then((refused) => refused ?? (learn ? watched(cell, bare(call)) : bare(call)));
      }),
    show: (state) => ({
      status: () => {
        const now = env.now();
        const waiting = allCells(state).reduce((sum, cell) => sum + waitingIn(cell), 0);
        const { available, ...more } = meter.status(state.whole, now);
        return { available, burst, waiting, keys: state.byKey?.size ?? 0, ...more };
      },
      reset: () => {
        const cells = allCells(state);
        for (const cell of cells) {
          meter.reset(cell);
          cell.pace = undefined;
        }
        for (const cell of cells) pump(cell);
      },
    }),
  };
};
