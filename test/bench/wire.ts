// Bench: the wire passing HTTP/1.1 on, without policies, against a bare proxy of node:http's server and undici's `dispatch`.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { type Bench, interleaved, median, quantile, ratios, shown } from "./kit.ts";

const ROUNDS = 21;
const CALLS = 4_000;
const AT_ONCE = 50;

interface Used {
  readonly user: number;
  readonly system: number;
  readonly rss: number;
}

interface Round {
  readonly cpuUs: number;
  readonly p99Ms: number;
  readonly rssMb: number;
}

const start = async (children: ChildProcess[], ...args: string[]): Promise<readonly [child: ChildProcess, address: string]> => {
  const child = fork(new URL("wire-side.ts", import.meta.url), args, { execArgv: [] });
  children.push(child);
  const [address] = (await once(child, "message")) as [string]; // the cast: what wire-side.ts sends
  return [child, address];
};

async function used(child: ChildProcess): Promise<Used> {
  child.send("used");
  const [message] = (await once(child, "message")) as [Used]; // the cast: what wire-side.ts sends
  return message;
}

/** One kept connection that asks again as soon as it is answered; it knows answers by their length alone, so as to cost little beside the proxy. */
function worker(port: number, request: Buffer, size: number, next: () => boolean, took: number[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, noDelay: true });
    let left = 0;
    let began = 0;
    const ask = (): void => {
      if (!next()) {
        socket.destroy();
        resolve();
        return;
      }
      began = performance.now();
      left = -1;
      socket.write(request);
    };
    socket.once("connect", ask);
    socket.on("error", reject);
    socket.on("data", (chunk) => {
      left = left === -1 ? chunk.indexOf("\r\n\r\n") + 4 + size - chunk.length : left - chunk.length;
      if (left > 0) return;
      took.push(performance.now() - began);
      ask();
    });
  });
}

async function round(child: ChildProcess, address: string, request: Buffer, size: number): Promise<Round> {
  const port = Number(address.split(":")[1]);
  const took: number[] = [];
  let asked = 0;
  const before = await used(child);
  await Promise.all(Array.from({ length: AT_ONCE }, () => worker(port, request, size, () => asked++ < CALLS, took)));
  const after = await used(child);
  return {
    cpuUs: (after.user + after.system - before.user - before.system) / CALLS,
    p99Ms: quantile(took, 0.99),
    rssMb: after.rss / 1_048_576,
  };
}

const FIELDS =
  "Host: shop.internal\r\nAccept: application/json\r\nUser-Agent: bench/1\r\nX-Request-Id: 3f2c\r\nAuthorization: Bearer abcdefghijklmnopqrstuvwxyz\r\n";

/** What is asked for, and how large the answer is. */
const KINDS = {
  "GET of 100 bytes": { request: Buffer.from(`GET /100 HTTP/1.1\r\n${FIELDS}\r\n`), size: 100 },
  "POST of 1 KB": { request: Buffer.from(`POST /100 HTTP/1.1\r\n${FIELDS}Content-Length: 1024\r\n\r\n${"x".repeat(1_024)}`), size: 100 },
  "GET of 64 KB": { request: Buffer.from(`GET /65536 HTTP/1.1\r\n${FIELDS}\r\n`), size: 65_536 },
} as const;

export const bench: Bench = {
  title: "The wire, HTTP/1.1 passed on",
  how: `the upstream and each proxy in a process of its own, the wire without policies and a bare proxy of node:http's server and undici 8's dispatch; ${ROUNDS} rounds of ${CALLS} requests (${AT_ONCE} connections) a side, sides in turn; CPU is user and system time of the proxy's process`,
  run: async () => {
    const children: ChildProcess[] = [];
    try {
      const [, upstream] = await start(children, "upstream");
      const ours = await start(children, "wire", `http://${upstream}`);
      const bare = await start(children, "bare", `http://${upstream}`);
      const rows = [];
      for (const [kind, { request, size }] of Object.entries(KINDS)) {
        const side = (proxy: readonly [ChildProcess, string]) => () => round(...proxy, request, size);
        const each = await interleaved({ ours: side(ours), bare: side(bare) }, { rounds: ROUNDS, warmUp: 3 });
        const cpu = { ours: each.ours.map(({ cpuUs }) => cpuUs), bare: each.bare.map(({ cpuUs }) => cpuUs) };
        const p99 = { ours: each.ours.map(({ p99Ms }) => p99Ms), bare: each.bare.map(({ p99Ms }) => p99Ms) };
        const peer = `ours ${shown(cpu.ours, 0, " us")}, bare ${shown(cpu.bare, 0, " us")}, RSS ${each.ours.at(-1)?.rssMb.toFixed(0) ?? ""} and ${each.bare.at(-1)?.rssMb.toFixed(0) ?? ""} MB`;
        rows.push({
          figure: `${kind}: CPU per request`,
          value: shown(ratios(cpu.ours, cpu.bare), 2, "x"),
          peer,
          target: "at most 0.8x",
          ok: median(ratios(cpu.ours, cpu.bare)) <= 0.8,
        });
        rows.push({
          figure: `${kind}: p99`,
          value: shown(ratios(p99.ours, p99.bare), 2, "x"),
          peer: `ours ${shown(p99.ours, 1, " ms")}`,
          target: "",
        });
      }
      return rows;
    } finally {
      for (const child of children) if (child.connected) child.disconnect();
    }
  },
};
