// Bench: the shim beside other proxies on the same work, each alone on one core, with the upstream and the load on the other.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as after } from "node:timers/promises";
import { type Bench, median, ratios, type Row, shown } from "./kit.ts";
import { load, type Loaded } from "./sidecar/load.ts";
import { BARE, canLoad, ENVOY, OURS, proxies, type Protocol, type Proxy, type Running, upstreamFor } from "./sidecar/proxies.ts";
import { cpuMs, rssMb } from "./sidecar/usage.ts";

const ROUNDS = 3;
const SECONDS = 2;
const RATE = 1_000;
const MANY = 1_000;
/** What is compiled while it runs has to be compiled first; all of them get as long. */
const WARM_SECONDS = 8;
/** What a start has left behind is collected then. */
const SETTLED_MS = 1_000;

/** How the load comes: from 50 connections, or over 4 with 16 streams each. */
const SHAPES = {
  "http/1.1": { connections: 50, streams: 1 },
  grpc: { connections: 4, streams: 16 },
} as const satisfies Record<Protocol, object>;

interface Measured {
  readonly idleMb: number;
  readonly closed: Loaded[];
  readonly open: Loaded[];
  readonly cpuUs: number[];
  rssMb: number;
  /** With {@link MANY} connections that bring RATE requests a second. */
  manyMb: number;
  failed: number;
}

async function measuredAll(protocol: Protocol, folder: string, list: readonly Proxy[]): Promise<ReadonlyMap<string, Measured>> {
  const upstream = await upstreamFor(protocol, folder);
  const running: [Proxy, Running][] = [];
  const results = new Map<string, Measured>();
  try {
    for (const proxy of list) {
      const one = await proxy.start(folder, upstream.port, protocol);
      running.push([proxy, one]);
      await after(SETTLED_MS);
      results.set(proxy.name, { idleMb: rssMb(one.pid), closed: [], open: [], cpuUs: [], rssMb: 0, manyMb: 0, failed: 0 });
    }
    const shape = { protocol, upstream: upstream.port, ...SHAPES[protocol] };
    for (const proxy of list) {
      const result = results.get(proxy.name);
      if (result === undefined || (proxy.name !== OURS && proxy.name !== ENVOY)) continue;
      const one = await proxy.start(folder, upstream.port, protocol); // one of its own, so that it is not what the others have left behind
      running.push([proxy, one]);
      const many = await load(one.port, { ...shape, connections: MANY, streams: 1, seconds: 2 * SECONDS, rate: RATE });
      result.manyMb = rssMb(one.pid);
      result.failed += many.failed;
      running.pop();
      await one.stop();
    }
    for (let round = -1; round < ROUNDS; round++) {
      for (const [proxy, { port, pid }] of round % 2 === 0 ? running : running.toReversed()) {
        const before = cpuMs(pid);
        const closed = await load(port, { ...shape, seconds: round < 0 ? WARM_SECONDS : SECONDS });
        const used = cpuMs(pid) - before;
        const open = await load(port, { ...shape, seconds: SECONDS, rate: RATE });
        const result = results.get(proxy.name);
        if (result === undefined) continue;
        result.failed += closed.failed + open.failed;
        if (round < 0) continue;
        result.closed.push(closed);
        result.open.push(open);
        result.cpuUs.push((used * 1_000) / closed.requests);
        result.rssMb = Math.max(result.rssMb, rssMb(pid));
      }
    }
    return results;
  } finally {
    for (const [, one] of running) await one.stop();
    await upstream.stop();
  }
}

const rateOf = ({ closed }: Measured): number[] => closed.map(({ requests, seconds }) => requests / seconds);

function rowOf(protocol: Protocol, name: string, one: Measured): Row {
  const { closed, open, cpuUs, idleMb } = one;
  const of = (loads: readonly Loaded[], key: "p50Ms" | "p99Ms"): string => median(loads.map((each) => each[key])).toFixed(2);
  return {
    figure: `${protocol}: ${name}`,
    value: `${shown(
      rateOf(one).map((rate) => rate / 1_000),
      1,
      "k/s",
    )}, ${shown(cpuUs, 0, " us CPU")}`,
    target: "",
    peer: `p50 ${of(closed, "p50Ms")} ms, p99 ${of(closed, "p99Ms")} ms; at ${RATE}/s ${of(open, "p50Ms")} and ${of(open, "p99Ms")} ms; RSS ${idleMb.toFixed(0)} MB idle, ${one.rssMb.toFixed(0)} MB after${one.failed === 0 ? "" : `; ${one.failed} requests failed`}`,
  };
}

function verdicts(protocol: Protocol, results: ReadonlyMap<string, Measured>): readonly Row[] {
  const [ours, bare, envoy] = [OURS, BARE, ENVOY].map((name) => results.get(name));
  if (ours === undefined || bare === undefined) return [];
  const perBare = ratios(rateOf(ours), rateOf(bare));
  const rows: Row[] = [
    {
      figure: `${protocol}: ours of the bare proxy's requests/s`,
      value: shown(perBare, 2, "x"),
      target: "at least 0.85x",
      peer: BARE,
      ok: median(perBare) >= 0.85,
    },
    {
      figure: `${protocol}: memory`,
      value: `${ours.idleMb.toFixed(0)} MB idle, ${ours.manyMb.toFixed(0)} MB at ${MANY} connections, ${ours.rssMb.toFixed(0)} MB as fast as it goes`,
      target: `at most 60 idle, 100 at ${MANY} connections`,
      peer: `bare ${bare.idleMb.toFixed(0)} and ${bare.rssMb.toFixed(0)} MB${envoy === undefined ? "" : `, Envoy ${envoy.idleMb.toFixed(0)}, ${envoy.manyMb.toFixed(0)} and ${envoy.rssMb.toFixed(0)} MB`}`,
      ok: ours.idleMb <= 60 && ours.manyMb <= 100,
    },
  ];
  if (envoy === undefined) return rows;
  const perEnvoy = ratios(rateOf(ours), rateOf(envoy));
  const late = (key: "p50Ms" | "p99Ms"): number[] =>
    ratios(
      ours.open.map((one) => one[key]),
      envoy.open.map((one) => one[key]),
    );
  const [p50, p99] = [late("p50Ms"), late("p99Ms")];
  const least = protocol === "http/1.1" ? { target: "at least 0.8x", ok: median(perEnvoy) >= 0.8 } : { target: "" };
  return [
    ...rows,
    { figure: `${protocol}: ours of Envoy's requests/s`, value: shown(perEnvoy, 2, "x"), peer: ENVOY, ...least },
    {
      figure: `${protocol}: latency at ${RATE}/s against Envoy's`,
      value: `p50 ${shown(p50, 2, "x")}, p99 ${shown(p99, 2, "x")}`,
      target: "at most 1.2x",
      peer: ENVOY,
      ok: median(p50) <= 1.2 && median(p99) <= 1.2,
    },
  ];
}

export const bench: Bench = {
  title: "The sidecar beside other proxies",
  how: `each proxy alone on one core (one worker), nginx as upstream and h2load on the other; ${ROUNDS} rounds of ${SECONDS} s as fast as it goes and ${SECONDS} s at ${RATE} requests/s, proxies in turn, after ${WARM_SECONDS} s to warm up; HTTP/1.1 over 50 connections, gRPC unary over 4 with 16 streams each; for memory besides, ${RATE} requests/s over ${MANY} connections to a process of its own; CPU is user and system time of the proxy per request; RSS of all its processes`,
  run: async () => {
    if (!canLoad()) return [{ figure: "not run", value: "needs h2load and nginx", peer: "", target: "" }];
    const { there, missing } = proxies();
    const folder = mkdtempSync(join(tmpdir(), "premesh-bench-"));
    try {
      const rows: Row[] = missing.map((name) => ({ figure: `${name} is not installed`, value: "", peer: "", target: "" }));
      for (const protocol of ["http/1.1", "grpc"] as const) {
        const results = await measuredAll(protocol, folder, there);
        rows.push(...[...results].map(([name, one]) => rowOf(protocol, name, one)), ...verdicts(protocol, results));
      }
      return rows;
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
};
