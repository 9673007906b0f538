// Bench: one decision of the rate limiter, as arithmetic and as a layer.
import { alone } from "../../src/call/build.ts";
import { newCall, type Next } from "../../src/call/call.ts";
import { monotonicNow, systemTimers } from "../../src/call/clock.ts";
import { seededRandom } from "../../src/call/env.ts";
import { newRecord } from "../../src/call/record.ts";
import { compose } from "../../src/call/step.ts";
import { rateLimit } from "../../src/layers/rateLimit/definition.ts";
import { gcraRule, gcraSpend, gcraWait } from "../../src/layers/rateLimit/gcra.ts";
import { buildRateLimit } from "../../src/layers/rateLimit/runtime.ts";
import { type Bench, interleaved, median, shown } from "./kit.ts";

const DECISIONS = 500_000;

const answered = Promise.resolve({ ok: true, response: undefined } as const);
const next = (() => answered) as unknown as Next<unknown>; // the cast: a layer is generic in the response, and nobody looks at it

const call = newCall({
  record: newRecord({ policy: { name: "bench", layers: [] }, revision: "" }, "http", "bench", "GET", 0),
  metadata: { get: () => undefined },
  signal: undefined,
  idempotent: undefined,
  idempotencyKey: undefined,
  payload: { replayable: true },
  send: next,
});

/** Microseconds per decision. What they give is counted, so that none is optimised away. */
function timed(decide: () => boolean): () => Promise<number> {
  return () => {
    let passed = 0;
    const began = process.hrtime.bigint();
    for (let decision = 0; decision < DECISIONS; decision++) if (decide()) passed++;
    const us = Number(process.hrtime.bigint() - began) / 1_000 / DECISIONS;
    if (passed !== DECISIONS) throw new Error("the limit was reached, so this measured refusals");
    return Promise.resolve(us);
  };
}

export const bench: Bench = {
  title: "Rate limiter decision",
  how: `${DECISIONS} decisions a round, 15 rounds; the layer with its clock and a next that does nothing, less that next alone`,
  run: async () => {
    const rule = gcraRule(1e9, 1_000, 1e9);
    const cell = { due: 0 };
    const env = { now: monotonicNow, timers: systemTimers, random: seededRandom(1), report: () => undefined };
    const scope = {
      label: "rateLimit",
      index: 0,
      insideRetry: false,
      inbound: false,
      rest: () => compose([], (sent) => sent.send(sent)),
      repeatsBehind: () => false,
    };
    const limited = alone(buildRateLimit(rateLimit({ rate: 1e9, per: "1s" }), env, scope))(next);
    const each = await interleaved(
      {
        bare: timed(() => next(call) === answered),
        gcra: timed(() => {
          const now = monotonicNow();
          if (gcraWait(cell, rule, now) > 0) return false;
          gcraSpend(cell, rule, now);
          return true;
        }),
        layer: timed(() => limited(call) === answered),
      },
      { rounds: 15, warmUp: 3 },
    );
    const layer = each.layer.map((us, round) => us - (each.bare[round] ?? 0));
    return [
      {
        figure: "GCRA with the clock",
        value: shown(each.gcra, 3, " us"),
        peer: "",
        target: "at most 0.3 us",
        ok: median(each.gcra) <= 0.3,
      },
      {
        figure: "the whole layer",
        value: shown(layer, 3, " us"),
        peer: `bare next ${shown(each.bare, 3, " us")}`,
        target: "at most 0.3 us",
        ok: median(layer) <= 0.3,
      },
    ];
  },
};
