// Bench: what seven healthy layers cost over a no-op, beside the same stack glued by hand.
import Bottleneck from "bottleneck";
import { createClient } from "../../src/index.ts";
import { glued } from "./glue.ts";
import { type Bench, interleaved, median, ratios, shown } from "./kit.ts";
import { sevenLayers } from "./policy.ts";

const noop = (): Promise<undefined> => Promise.resolve(undefined);

/** Microseconds per call, one after the other. */
async function timed(calls: number, once: () => Promise<unknown>): Promise<number> {
  const began = process.hrtime.bigint();
  for (let call = 0; call < calls; call++) await once();
  return Number(process.hrtime.bigint() - began) / 1_000 / calls;
}

export const bench: Bench = {
  title: "Seven layers over a no-op",
  how: "trace (no SDK), rateLimit, timeout, retry, breaker, bulkhead, timeout through client.run; 41 rounds of 2,000 calls one after the other, less the bare no-op of the same round",
  run: async () => {
    const client = createClient({ policies: [sevenLayers] });
    const byHand = glued();
    const byHandLimited = glued(new Bottleneck());
    const each = await interleaved(
      {
        bare: () => timed(2_000, noop),
        ours: () => timed(2_000, () => client.run("seven", noop)),
        glue: () => timed(2_000, () => byHand(noop)),
      },
      { rounds: 41, warmUp: 10 },
    );
    const slow = await interleaved({ limited: () => timed(50, () => byHandLimited(noop)) }, { rounds: 5, warmUp: 1 });
    const over = (side: readonly number[]): number[] => side.map((us, round) => us - (each.bare[round] ?? 0));
    const ours = over(each.ours);
    const glue = over(each.glue);
    const ratio = ratios(ours, glue);
    return [
      {
        figure: "time per call",
        value: shown(ours, 2, " us"),
        peer: `bare no-op ${shown(each.bare, 2, " us")}`,
        target: "at most 6 us",
        ok: median(ours) <= 6,
      },
      {
        figure: "time against the glue",
        value: shown(ratio, 2, "x"),
        peer: `glue ${shown(glue, 1, " us")}`,
        target: "at most 1.0x",
        ok: median(ratio) <= 1,
      },
      { figure: "the glue with bottleneck as limiter", value: shown(slow.limited, 0, " us"), peer: "", target: "" },
    ];
  },
};
