// Bench: RPCs of grpc-js through a channel under seven layers against the bare channel, over loopback.
import { fork } from "node:child_process";
import { once } from "node:events";
import { MESSAGES } from "./grpc-service.ts";
import { type Bench, interleaved, median, ratios, type Row, shown } from "./kit.ts";
import { cpuOf, type Load, openSide, p99Of, type Round, type Side } from "./load.ts";

const ROUNDS = 31;
const UNARY: Load = { what: "unary", calls: 5_000, atOnce: 50 };
const STREAMS: Load = { what: "stream", calls: 40, atOnce: 5 };

type Sides = Readonly<Record<"bare" | "again" | "unmatched" | "ours", Side>>;

async function compared(sides: Sides, what: string, load: Load): Promise<readonly Row[]> {
  const side = (name: keyof Sides) => (): Promise<Round> => sides[name].round(load);
  const each = await interleaved(
    { bare: side("bare"), again: side("again"), unmatched: side("unmatched"), ours: side("ours") },
    { rounds: ROUNDS, warmUp: 5 },
  );
  const cpu = ratios(cpuOf(each.ours), cpuOf(each.bare));
  const p99 = ratios(p99Of(each.ours), p99Of(each.bare));
  const bareCpu = `bare ${shown(cpuOf(each.bare), 0, " us")}, bare again ${shown(ratios(cpuOf(each.again), cpuOf(each.bare)), 2, "x")}`;
  const bareP99 = `bare ${shown(p99Of(each.bare), 1, " ms")}, bare again ${shown(ratios(p99Of(each.again), p99Of(each.bare)), 2, "x")}`;
  const unmatched = ratios(cpuOf(each.unmatched), cpuOf(each.bare));
  return [
    { figure: `CPU per ${what}`, value: shown(cpu, 2, "x"), peer: bareCpu, target: "at most 1.10x", ok: median(cpu) <= 1.1 },
    { figure: `p99 of a ${what}`, value: shown(p99, 2, "x"), peer: bareP99, target: "at most 1.10x", ok: median(p99) <= 1.1 },
    { figure: `CPU per ${what} that no policy matches`, value: shown(unmatched, 2, "x"), peer: "", target: "" },
  ];
}

export const bench: Bench = {
  title: "RPCs of grpc-js under seven layers",
  how: `a grpc-js server and each side in a process of its own; ${ROUNDS} rounds of ${UNARY.calls} unary calls (${UNARY.atOnce} at a time) or of ${STREAMS.calls} streams of 1 MB in ${MESSAGES} messages (${STREAMS.atOnce} at a time) a side, sides in turn; ratios by round; CPU is user and system time of the side's process, with its garbage collection; the bare channel stands twice, to show the noise`,
  run: async () => {
    const server = fork(new URL("grpc-server.ts", import.meta.url), { execArgv: [] });
    const opened: Side[] = [];
    try {
      const [{ port }] = (await once(server, "message")) as [{ port: number }]; // the cast: what grpc-server.ts sends
      const open = async (name: string): Promise<Side> => {
        const side = await openSide(new URL("grpc-side.ts", import.meta.url), name, String(port));
        opened.push(side);
        return side;
      };
      const sides: Sides = {
        bare: await open("bare"),
        again: await open("again"),
        unmatched: await open("unmatched"),
        ours: await open("ours"),
      };
      return [...(await compared(sides, "unary call", UNARY)), ...(await compared(sides, "stream", STREAMS))];
    } finally {
      for (const side of opened) side.close();
      server.disconnect();
    }
  },
};
