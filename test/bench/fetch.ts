// Bench: `client.fetch` under seven layers against bare `fetch`, over loopback.
import { fork } from "node:child_process";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { type Bench, interleaved, median, ratios, shown } from "./kit.ts";
import { cpuOf, type Load, openSide, p99Of, type Round, type Side } from "./load.ts";

const ROUNDS = 31;
const LOAD: Load = { what: "request", calls: 5_000, atOnce: 50 };

export const bench: Bench = {
  title: "client.fetch under seven layers",
  how: `a node:http server and each side in a process of its own; ${ROUNDS} rounds of ${LOAD.calls} requests (${LOAD.atOnce} at a time) a side, sides in turn; ratios by round; CPU is user and system time of the side's process, with its garbage collection; bare fetch stands twice, to show the noise`,
  run: async () => {
    const server = fork(new URL("server.ts", import.meta.url), { execArgv: [] });
    const opened: Side[] = [];
    try {
      const [{ port }] = (await once(server, "message")) as [AddressInfo]; // the cast: what server.ts sends
      const open = async (name: string): Promise<() => Promise<Round>> => {
        const side = await openSide(new URL("fetch-side.ts", import.meta.url), name, `http://127.0.0.1:${port}/`);
        opened.push(side);
        return () => side.round(LOAD);
      };
      const each = await interleaved(
        { bare: await open("bare"), again: await open("again"), unmatched: await open("unmatched"), ours: await open("ours") },
        { rounds: ROUNDS, warmUp: 5 },
      );
      const cpu = ratios(cpuOf(each.ours), cpuOf(each.bare));
      const p99 = ratios(p99Of(each.ours), p99Of(each.bare));
      const bareShown = `bare ${shown(cpuOf(each.bare), 0, " us")}, bare again ${shown(ratios(cpuOf(each.again), cpuOf(each.bare)), 2, "x")}`;
      const bareP99 = `bare ${shown(p99Of(each.bare), 1, " ms")}, bare again ${shown(ratios(p99Of(each.again), p99Of(each.bare)), 2, "x")}`;
      return [
        { figure: "CPU per request", value: shown(cpu, 2, "x"), peer: bareShown, target: "at most 1.05x", ok: median(cpu) <= 1.05 },
        { figure: "p99", value: shown(p99, 2, "x"), peer: bareP99, target: "at most 1.05x", ok: median(p99) <= 1.05 },
        {
          figure: "CPU per request that no policy matches",
          value: shown(ratios(cpuOf(each.unmatched), cpuOf(each.bare)), 2, "x"),
          peer: "",
          target: "",
        },
      ];
    } finally {
      for (const side of opened) side.close();
      server.disconnect();
    }
  },
};
