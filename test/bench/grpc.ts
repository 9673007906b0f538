// Bench: RPCs of grpc-js through a channel under seven layers against the bare channel, over loopback.
import { fork } from "node:child_process";
import { once } from "node:events";
import {
  type ClientOptions,
  type ClientReadableStream,
  credentials,
  makeGenericClientConstructor,
  type requestCallback,
} from "@grpc/grpc-js";
import { channelOptions } from "../../src/grpc.ts";
import { createClient } from "../../src/index.ts";
import { definition, MESSAGES } from "./grpc-service.ts";
import { type Bench, interleaved, median, quantile, ratios, type Row, shown } from "./kit.ts";
import { sevenLayers } from "./policy.ts";

const CONCURRENCY = 50;
const UNARY = { calls: 2_000, rounds: 31 } as const;
const STREAMS = { calls: 40, rounds: 31, atOnce: 5 } as const;

interface Stub {
  Unary(message: Buffer, callback: requestCallback<Buffer>): unknown;
  Stream(message: Buffer): ClientReadableStream<Buffer>;
  close(): void;
}

const BenchClient = makeGenericClientConstructor(definition, "bench.Bench") as unknown as new (
  address: string,
  security: ReturnType<typeof credentials.createInsecure>,
  options: ClientOptions,
) => Stub; // the cast: it has the methods of its definition

const request = Buffer.from("hello");

const unary = (stub: Stub) => (): Promise<void> =>
  new Promise((resolve, reject) => {
    stub.Unary(request, (error) => (error === null ? resolve() : reject(error)));
  });

const stream = (stub: Stub) => (): Promise<void> =>
  new Promise((resolve, reject) => {
    let messages = 0;
    const call = stub.Stream(request);
    call.on("data", () => messages++);
    call.on("error", reject);
    call.on("end", () => (messages === MESSAGES ? resolve() : reject(new Error(`${messages} messages`))));
  });

interface Round {
  readonly cpuUs: number;
  readonly p99Ms: number;
}

async function round(send: () => Promise<void>, calls: number, atOnce: number): Promise<Round> {
  const took: number[] = [];
  let left = calls;
  const worker = async (): Promise<void> => {
    while (left-- > 0) {
      const began = performance.now();
      await send();
      took.push(performance.now() - began);
    }
  };
  const before = process.cpuUsage();
  await Promise.all(Array.from({ length: atOnce }, worker));
  const { user, system } = process.cpuUsage(before);
  return { cpuUs: (user + system) / calls, p99Ms: quantile(took, 0.99) };
}

type Sides = Readonly<Record<"bare" | "again" | "unmatched" | "ours", Stub>>;

async function compared(
  stubs: Sides,
  what: string,
  send: (stub: Stub) => () => Promise<void>,
  { calls, rounds, atOnce }: { readonly calls: number; readonly rounds: number; readonly atOnce: number },
): Promise<readonly Row[]> {
  const side = (stub: Stub) => (): Promise<Round> => round(send(stub), calls, atOnce);
  const each = await interleaved(
    { bare: side(stubs.bare), again: side(stubs.again), unmatched: side(stubs.unmatched), ours: side(stubs.ours) },
    { rounds, warmUp: 5 },
  );
  const cpuOf = (measured: readonly Round[]): number[] => measured.map(({ cpuUs }) => cpuUs);
  const p99Of = (measured: readonly Round[]): number[] => measured.map(({ p99Ms }) => p99Ms);
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
  how: `a grpc-js server in a process of its own; ${UNARY.rounds} rounds of ${UNARY.calls} unary calls (${CONCURRENCY} at a time) or of ${STREAMS.calls} streams of 1 MB in ${MESSAGES} messages (${STREAMS.atOnce} at a time) a side, sides in turn; ratios by round; CPU is user and system time of the client's process; the bare channel stands twice, to show the noise`,
  run: async () => {
    const server = fork(new URL("grpc-server.ts", import.meta.url), { execArgv: [] });
    try {
      const [{ port }] = (await once(server, "message")) as [{ port: number }]; // the cast: what grpc-server.ts sends
      const open = (options: ClientOptions): Stub =>
        new BenchClient(`127.0.0.1:${port}`, credentials.createInsecure(), { "grpc.use_local_subchannel_pool": 1, ...options });
      const stubs: Sides = {
        bare: open({}),
        again: open({}),
        unmatched: open(channelOptions(createClient({ policies: [] }))),
        ours: open(channelOptions(createClient({ policies: [sevenLayers] }))),
      };
      const rows = [
        ...(await compared(stubs, "unary call", unary, { ...UNARY, atOnce: CONCURRENCY })),
        ...(await compared(stubs, "stream", stream, STREAMS)),
      ];
      for (const stub of Object.values(stubs)) stub.close();
      return rows;
    } finally {
      server.disconnect();
    }
  },
};
