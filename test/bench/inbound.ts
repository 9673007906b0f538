// Bench: a server of node:http behind `inbound` against the bare one, over loopback; what is measured is the server.
import { fork } from "node:child_process";
import { once } from "node:events";
import { Agent, request } from "node:http";
import type { AddressInfo } from "node:net";
import { type Bench, interleaved, median, quantile, ratios, shown } from "./kit.ts";
import { cpuOf, p99Of, type Round } from "./load.ts";

const ROUNDS = 15;
const CALLS = 5_000;
const AT_ONCE = 50;

let keys = 0;

function post(port: number, agent: Agent): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = { "idempotency-key": `bench-${++keys}`, "content-length": "9" };
    const sent = request({ host: "127.0.0.1", port, method: "POST", path: "/orders", agent, headers });
    sent.once("error", reject).once("response", (response) => response.resume().once("error", reject).once("end", resolve));
    sent.end("amount=10");
  });
}

interface Server {
  round(): Promise<Round>;
  close(): void;
}

async function open(side: string): Promise<Server> {
  const child = fork(new URL("inbound-side.ts", import.meta.url), [side], { execArgv: [] });
  const [{ port }] = (await once(child, "message")) as [AddressInfo]; // the cast: what the side sends
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
  const cpuUs = async (): Promise<number> => {
    child.send("cpu");
    const [{ user, system }] = (await once(child, "message")) as [NodeJS.CpuUsage]; // the cast: as above
    return user + system;
  };
  return {
    round: async () => {
      const took: number[] = [];
      let left = CALLS;
      const before = await cpuUs();
      const worker = async (): Promise<void> => {
        while (left-- > 0) {
          const began = performance.now();
          await post(port, agent);
          took.push(performance.now() - began);
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, worker));
      return { cpuUs: ((await cpuUs()) - before) / CALLS, p99Ms: quantile(took, 0.99) };
    },
    close: () => {
      agent.destroy();
      child.disconnect();
    },
  };
}

export const bench: Bench = {
  title: "A server behind inbound",
  how: `a node:http server that reads a body of 9 bytes and answers, each side in a process of its own; ${ROUNDS} rounds of ${CALLS} POSTs (${AT_ONCE} at a time, each with a key of its own) a side, sides in turn; ratios by round; CPU is user and system time of the server's process, with its garbage collection; the bare server stands twice, to show the noise`,
  run: async () => {
    const servers: Server[] = [];
    try {
      const side = async (name: string): Promise<() => Promise<Round>> => {
        const server = await open(name);
        servers.push(server);
        return () => server.round();
      };
      const each = await interleaved(
        {
          bare: await side("bare"),
          again: await side("again"),
          unmatched: await side("unmatched"),
          limits: await side("limits"),
          keyed: await side("keyed"),
        },
        { rounds: ROUNDS, warmUp: 5 },
      );
      const bare = cpuOf(each.bare);
      const beside = (measured: readonly Round[]): number[] => ratios(cpuOf(measured), bare);
      const limits = beside(each.limits);
      const p99 = ratios(p99Of(each.limits), p99Of(each.bare));
      const noise = `bare ${shown(bare, 0, " us")}, bare again ${shown(beside(each.again), 2, "x")}`;
      return [
        {
          figure: "CPU per request, five layers",
          value: shown(limits, 2, "x"),
          peer: noise,
          target: "at most 1.5x",
          ok: median(limits) <= 1.5,
        },
        { figure: "p99, five layers", value: shown(p99, 2, "x"), peer: `bare ${shown(p99Of(each.bare), 1, " ms")}`, target: "" },
        { figure: "CPU per request, with a key besides", value: shown(beside(each.keyed), 2, "x"), peer: "", target: "" },
        { figure: "CPU per request that no policy matches", value: shown(beside(each.unmatched), 2, "x"), peer: "", target: "" },
      ];
    } finally {
      for (const server of servers) server.close();
    }
  },
};
