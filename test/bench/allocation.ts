// Bench: the bytes that one call through seven layers allocates.
import { GCProfiler } from "node:v8";
import { createClient } from "../../src/index.ts";
import { glued } from "./glue.ts";
import { type Bench, interleaved, median, settled, shown } from "./kit.ts";
import { sevenLayers } from "./policy.ts";

const CALLS = 1_000;
const noop = (): undefined => undefined;
const asyncNoop = (): Promise<undefined> => Promise.resolve(undefined);

/** By how much the heap grows per call while nothing is collected: `main.ts` gives this process a young generation that holds a whole round. */
async function allocated(once: () => Promise<unknown>): Promise<number> {
  await settled();
  const profiler = new GCProfiler();
  profiler.start();
  const before = process.memoryUsage().heapUsed;
  for (let call = 0; call < CALLS; call++) await once();
  const after = process.memoryUsage().heapUsed;
  if ((profiler.stop()?.statistics.length ?? 0) > 0) throw new Error("something was collected: a round does not fit the young generation");
  return (after - before) / CALLS;
}

export const bench: Bench = {
  title: "Allocation of seven layers over a no-op",
  how: "growth of the heap over 1,000 calls in which nothing was collected, less that of the bare no-op; 11 rounds",
  run: async () => {
    const client = createClient({ policies: [sevenLayers] });
    const byHand = glued();
    const sides = {
      bare: () => Promise.resolve(noop()),
      ours: () => client.run("seven", noop),
      oursAsync: () => client.run("seven", asyncNoop),
      glue: () => byHand(asyncNoop),
    };
    for (const once of Object.values(sides)) for (let call = 0; call < 30_000; call++) await once(); // optimised code allocates less
    const each = await interleaved(
      {
        bare: () => allocated(sides.bare),
        ours: () => allocated(sides.ours),
        oursAsync: () => allocated(sides.oursAsync),
        glue: () => allocated(sides.glue),
      },
      { rounds: 11, warmUp: 3 },
    );
    const bare = median(each.bare);
    const beyond = (side: readonly number[]): number[] => side.map((bytes) => (bytes - bare) / 1_000);
    const ours = beyond(each.ours);
    const oursAsync = beyond(each.oursAsync);
    const peer = `glue ${shown(beyond(each.glue), 2, " kB")}`;
    const target = "at most 2.5 kB";
    return [
      { figure: "bytes per call", value: shown(ours, 2, " kB"), peer, target, ok: median(ours) <= 2.5 },
      { figure: "bytes per call, work that is a promise", value: shown(oursAsync, 2, " kB"), peer, target, ok: median(oursAsync) <= 2.5 },
    ];
  },
};
