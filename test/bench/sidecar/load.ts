// Load on a proxy by h2load, pinned to the other core: as fast as it goes, or at a fixed rate; with what each request took.
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { quantile } from "../kit.ts";

export interface Load {
  readonly protocol: "http/1.1" | "grpc";
  /** The upstream's: what the request asks for. */
  readonly upstream: number;
  readonly connections: number;
  /** Streams at a time on each connection. */
  readonly streams: number;
  readonly seconds: number;
  /** Requests a second, over all connections; absent: as fast as it goes. */
  readonly rate?: number;
}

export interface Loaded {
  readonly requests: number;
  readonly failed: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** A gRPC message of five bytes. */
export const MESSAGE: Buffer = Buffer.from([0, 0, 0, 0, 5, 104, 101, 108, 108, 111]);

const run = promisify(execFile);

/** Sends load through the proxy on a port of this machine. */
export async function load(proxy: number, { protocol, upstream, connections, streams, seconds, rate }: Load): Promise<Loaded> {
  const folder = mkdtempSync(join(tmpdir(), "premesh-load-"));
  try {
    const log = join(folder, "log");
    const message = join(folder, "message");
    writeFileSync(message, MESSAGE);
    const grpc = ["-d", message, "-H", "content-type: application/grpc", "-H", "te: trailers"];
    await run(
      "taskset",
      [
        "-c",
        "1",
        "h2load",
        ...(protocol === "grpc" ? grpc : ["--h1"]),
        "-c",
        String(connections),
        "-m",
        String(streams),
        ...(rate === undefined ? ["-D", String(seconds)] : ["--rps", String(rate / connections), "-n", String(rate * seconds)]),
        `--log-file=${log}`,
        `--connect-to=127.0.0.1:${proxy}`,
        `http://127.0.0.1:${upstream}${protocol === "grpc" ? "/bench.Bench/Unary" : "/"}`,
      ],
      { maxBuffer: 1 << 24 },
    );
    return summed(readFileSync(log, "utf8"));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Of a log of h2load: start in microseconds, status, microseconds until the end. */
function summed(log: string): Loaded {
  const took: number[] = [];
  let [failed, first, last] = [0, Number.POSITIVE_INFINITY, 0];
  for (const line of log.split("\n")) {
    if (line === "") continue;
    const [start = 0, status = 0, us = 0] = line.split("\t").map(Number);
    if (status !== 200) failed++;
    took.push(us / 1_000);
    first = Math.min(first, start);
    last = Math.max(last, start + us);
  }
  return {
    requests: took.length,
    failed,
    seconds: (last - first) / 1e6,
    p50Ms: quantile(took, 0.5),
    p99Ms: quantile(took, 0.99),
  };
}
