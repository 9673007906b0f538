// Bench: what a call costs in the shim above the wire: the proxy, the seven layers and telemetry, between two ends without sockets.
import { type Bench, interleaved, median, type Row, shown } from "./kit.ts";
import { openSide, type Side } from "./load.ts";

const ROUNDS = 15;
const ASKED: Asked = { batches: 400, atOnce: 50 };

export interface Asked {
  readonly batches: number;
  readonly atOnce: number;
}

/** Of one call. */
export interface Cost {
  readonly us: number;
  readonly bytes: number;
}

const SIDES = ["ends", "none", "seven"] as const;

async function measured(protocol: string): Promise<readonly Row[]> {
  const opened: Side<Asked, Cost>[] = [];
  try {
    const open = async (side: (typeof SIDES)[number]): Promise<() => Promise<Cost>> => {
      const one = await openSide<Asked, Cost>(new URL("proxy-side.ts", import.meta.url), side, protocol);
      opened.push(one);
      return () => one.round(ASKED);
    };
    const each = await interleaved(
      { ends: await open("ends"), none: await open("none"), seven: await open("seven") },
      { rounds: ROUNDS, warmUp: 5 },
    );
    const of = (side: readonly Cost[], figure: keyof Cost): number[] => side.map((cost) => cost[figure]);
    const beyond = (side: readonly Cost[], figure: keyof Cost): number[] => {
      const ends = median(of(each.ends, figure));
      return of(side, figure).map((value) => value - ends);
    };
    const rows = (name: string, side: readonly Cost[]): Row[] => [
      {
        figure: `${protocol}, ${name}: CPU`,
        value: shown(beyond(side, "us"), 2, " us"),
        peer: `the two ends ${shown(of(each.ends, "us"), 2, " us")}`,
        target: "",
      },
      {
        figure: `${protocol}, ${name}: memory`,
        value: `${(median(beyond(side, "bytes")) / 1_000).toFixed(2)} kB`,
        peer: `the two ends ${(median(of(each.ends, "bytes")) / 1_000).toFixed(2)} kB`,
        target: "",
      },
    ];
    return [...rows("no policy", each.none), ...rows("seven layers", each.seven)];
  } finally {
    for (const side of opened) side.close();
  }
}

export const bench: Bench = {
  title: "A call in the shim above the wire",
  how: `the proxy with its metrics, under the seven layers of the sidecar's bench or none, between ends without sockets that answer at the next turn of the loop, each side in a process of its own; ${ROUNDS} rounds of ${ASKED.batches * ASKED.atOnce} calls, ${ASKED.atOnce} at a time, less what the two ends take by themselves; CPU is of the process, with its garbage collection`,
  run: async () => [...(await measured("http/1.1")), ...(await measured("grpc"))],
};
