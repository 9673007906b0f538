// Bench: `client.fetch` under seven layers against bare `fetch`, over loopback.
import { fork } from "node:child_process";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createClient } from "../../src/index.ts";
import { type Bench, interleaved, median, quantile, ratios, shown } from "./kit.ts";
import { sevenLayers } from "./policy.ts";

const CONCURRENCY = 50;
const REQUESTS = 2_000;
const ROUNDS = 31;

interface Round {
  readonly cpuUs: number;
  readonly p99Ms: number;
}

async function round(send: () => Promise<Response>): Promise<Round> {
  const took: number[] = [];
  let left = REQUESTS;
  const worker = async (): Promise<void> => {
    while (left-- > 0) {
      const began = performance.now();
      const response = await send();
      await response.arrayBuffer();
      took.push(performance.now() - began);
    }
  };
  const before = process.cpuUsage();
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  const { user, system } = process.cpuUsage(before);
  return { cpuUs: (user + system) / REQUESTS, p99Ms: quantile(took, 0.99) };
}

export const bench: Bench = {
  title: "client.fetch under seven layers",
  how: `a node:http server in a process of its own, ${CONCURRENCY} at a time; ${ROUNDS} rounds of ${REQUESTS} requests a side, sides in turn; ratios by round; CPU is user and system time of the client's process; bare fetch stands twice, to show the noise`,
  run: async () => {
    const server = fork(new URL("server.ts", import.meta.url), { execArgv: [] });
    try {
      const [{ port }] = (await once(server, "message")) as [AddressInfo]; // the cast: what server.ts sends
      const url = `http://127.0.0.1:${port}/`;
      const client = createClient({ policies: [sevenLayers] });
      const unmatched = createClient({ policies: [] });
      const bare = (): Promise<Round> => round(() => fetch(url));
      const each = await interleaved(
        { bare, again: bare, unmatched: () => round(() => unmatched.fetch(url)), ours: () => round(() => client.fetch(url)) },
        { rounds: ROUNDS, warmUp: 5 },
      );
      const cpuOf = (side: readonly Round[]): number[] => side.map(({ cpuUs }) => cpuUs);
      const p99Of = (side: readonly Round[]): number[] => side.map(({ p99Ms }) => p99Ms);
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
      server.disconnect();
    }
  },
};
