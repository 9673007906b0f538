// Soak: a million requests through the shim as it is shipped, under the policy of seven layers, and how its memory goes meanwhile. By hand, where the bench of
// the sidecar runs: `node test/tools/soak.ts [--grpc] [--requests 1000000] [--minutes 15]`.
//
// h2load sends what is plain, 17 of 20; odd ones come beside. What keeps something of each request grows with them, and the table tells.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as after } from "node:timers/promises";
import { parseArgs } from "node:util";
import { MESSAGE } from "../bench/sidecar/load.ts";
import { OURS, proxies } from "../bench/sidecar/proxies.ts";
import { cpuMs, rssMb } from "../bench/sidecar/usage.ts";
import { oddGrpc, oddHttp1 } from "./soak/odd.ts";
import { soakUpstream } from "./soak/upstream.ts";

const ODD = 0.15;
const AT_ONCE = 32;
const ROW_MS = 10_000;
const REST_MS = 15_000;

const { values } = parseArgs({
  options: {
    grpc: { type: "boolean", default: false },
    requests: { type: "string", default: "1000000" },
    minutes: { type: "string", default: "15" },
  },
});
const requests = Number(values.requests);
const over = performance.now() + Number(values.minutes) * 60_000;
const protocol = values.grpc ? "grpc" : "http/1.1";
const folder = mkdtempSync(join(tmpdir(), "premesh-soak-"));
const upstream = await soakUpstream(protocol, folder);
const shim = await proxies()
  .there.find(({ name }) => name === OURS)
  ?.start(folder, upstream.port, protocol);
if (shim === undefined) throw new Error("there is no shim to start");
const authority = `127.0.0.1:${upstream.port}`;
const odd = (values.grpc ? oddGrpc : oddHttp1)(shim.port, authority, AT_ONCE);
const outcomes = new Map<string, number>();
const told = (outcome: string, count = 1): void => void outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + count);
let done = 0;

async function sendsOdd(): Promise<void> {
  while (done < requests * ODD && performance.now() < over) told(await odd.send(done++));
}

async function sendsPlain(): Promise<void> {
  const message = join(folder, "message");
  writeFileSync(message, MESSAGE);
  const grpc = ["-d", message, "-H", "content-type: application/grpc", "-H", "te: trailers", "-c", "4", "-m", "8"];
  const shape = values.grpc ? grpc : ["--h1", "-c", String(AT_ONCE), "-m", "1"];
  const to = [`--connect-to=127.0.0.1:${shim?.port}`, `http://${authority}/plain`];
  const args = ["-c", "1", "h2load", ...shape, "-n", String(Math.round(requests * (1 - ODD))), ...to];
  const load = spawn("taskset", args, { stdio: ["ignore", "pipe", "inherit"], timeout: Math.round(over - performance.now()) });
  let text = "";
  load.stdout.on("data", (some: Buffer) => (text += some.toString()));
  await once(load, "close");
  for (const [, count, what] of text.matchAll(/(\d+) (succeeded|failed)/g)) told(`plain ${what}`, Number(count));
}

const began = performance.now();
const memory: number[] = [];
function row(): void {
  const mb = rssMb(shim?.pid ?? 0);
  memory.push(mb);
  const figures = [
    ((performance.now() - began) / 1_000).toFixed(0),
    String(done),
    (cpuMs(shim?.pid ?? 0) / 1_000).toFixed(1),
    mb.toFixed(1),
  ];
  console.log(`| ${figures.map((figure) => figure.padStart(8)).join(" | ")} |`);
}

try {
  console.log("|        s | odd ones |    CPU s |  RSS MiB |\n|---------:|---------:|---------:|---------:|");
  row();
  const rows = setInterval(row, ROW_MS);
  await Promise.all([sendsPlain(), ...Array.from({ length: AT_ONCE }, sendsOdd)]);
  clearInterval(rows);
  row();
  console.log([...outcomes].map(([outcome, count]) => `${count} ${outcome}`).join(", "));
  const warm = memory.slice(Math.ceil(memory.length / 5)); // connections, compiled code and tables that fill are no growth
  console.log(
    `RSS over the last four fifths: ${warm.at(0)?.toFixed(1)} to ${warm.at(-1)?.toFixed(1)} MiB, at most ${Math.max(...warm).toFixed(1)}`,
  );
  await after(REST_MS);
  console.log(`${REST_MS / 1_000} s later ${rssMb(shim.pid).toFixed(1)}`);
} finally {
  await odd.stop();
  await shim.stop();
  await upstream.stop();
  rmSync(folder, { recursive: true });
}
