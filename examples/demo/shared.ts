// The scene `shared`: three processes share one limit over a Redis, which is killed in the middle and comes back.
import { type ChildProcess, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { setTimeout as passed } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { bar, duration, sparkline } from "../../src/cli/plots.ts";
import { print, progress, styled, wrapped } from "./screen.ts";
import type { Happened, Orders, Word } from "./shared-process.ts";

const RATE = 150;
const BURST = 30;
/** What each process asks for: one is busier than the others. */
const CALLS = [200, 100, 60];
const DOWN = [1 / 3, 2 / 3] as const;
const SLOTS = 48;
const LABEL = 12;

const row = (label: string, text: string): string => `  ${label}`.padEnd(LABEL) + text;

interface Counted {
  readonly passed: readonly number[];
  readonly refused: readonly number[];
  readonly events: readonly Happened[];
}

export async function playShared(seconds: number, stop: AbortSignal): Promise<void> {
  const lengthMs = seconds * 1_000;
  const port = await freePort();
  heading(lengthMs);
  let redis = await startRedis(port);
  const children = CALLS.map(() =>
    fork(fileURLToPath(new URL("shared-process.ts", import.meta.url)), [], { stdio: ["ignore", "inherit", "inherit", "ipc"] }),
  );
  try {
    const ready = children.map(said);
    const url = `redis://127.0.0.1:${port}`;
    for (const [nth, child] of children.entries())
      child.send({
        url,
        rate: RATE,
        burst: BURST,
        callsPerSecond: CALLS[nth] ?? 0,
        processes: CALLS.length,
        forMs: lengthMs,
      } satisfies Orders);
    await Promise.all(ready);
    const counted = Promise.all(children.map(said)) as Promise<Counted[]>; // the cast: the second word of a process is what it counted
    counted.catch(() => undefined); // it is awaited below, unless the demo is stopped before
    const began = performance.now();
    for (const child of children) child.send("go");
    const ticker = setInterval(() => progress(`  ${bar((performance.now() - began) / lengthMs, 40)}`), 100);
    try {
      await passed(lengthMs * DOWN[0], undefined, { signal: stop });
      await killed(redis);
      await passed(lengthMs * (DOWN[1] - DOWN[0]), undefined, { signal: stop });
      redis = await startRedis(port);
      await passed(lengthMs * (1 - DOWN[1]), undefined, { signal: stop });
    } finally {
      clearInterval(ticker);
    }
    report(await counted, lengthMs);
  } finally {
    for (const child of children) if (child.connected) child.disconnect(); // it ends itself then
    for (const child of children) if (child.exitCode === null) await once(child, "exit");
    await killed(redis);
  }
}

async function said(child: ChildProcess): Promise<Word> {
  const gone = once(child, "exit").then(([code]) => {
    throw new Error(`a process has ended with ${String(code)}`);
  });
  gone.catch(() => undefined); // it ends some time, and by then nobody waits for its word
  const [word] = (await Promise.race([once(child, "message"), gone])) as [Word]; // the cast: what shared-process.ts sends
  return word;
}

async function startRedis(port: number): Promise<ChildProcess> {
  const child = spawn("redis-server", ["--port", `${port}`, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const failed = once(child, "error").then(([error]) => {
    throw new Error(`redis-server cannot be started (${(error as Error).message}); on Debian: apt-get install redis-server`); // the cast: what `error` is emitted with
  });
  failed.catch(() => undefined);
  const exit = once(child, "exit").then(() => {
    throw new Error("redis-server has ended by itself");
  });
  exit.catch(() => undefined);
  const ready = async (): Promise<void> => {
    for await (const text of child.stdout ?? []) if (String(text).includes("Ready to accept connections")) return;
  };
  await Promise.race([ready(), failed, exit]);
  return child;
}

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.kill("SIGKILL");
  await exit;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // the cast: it listens on TCP
  server.close();
  await once(server, "close");
  return port;
}

function heading(lengthMs: number): void {
  print();
  print(styled("bold", `shared: three processes under one limit of ${RATE} calls a second, over a Redis`));
  print(row("down", `Redis is killed after ${duration(lengthMs * DOWN[0])} and comes back, empty, after ${duration(lengthMs * DOWN[1])}`));
  print(row("policy", `rateLimit({ rate: ${RATE}, per: "1s", burst: ${BURST}, shared: true })`));
  for (const line of wrapped(
    row("note", ""),
    "they ask for 200, 100 and 60 calls a second; without Redis each keeps to a third of the limit",
  ))
    print(line);
}

/** How many of these times lie in each slot, by the second. */
function rates(times: readonly number[], lengthMs: number): readonly number[] {
  const slots = Array.from({ length: SLOTS }, () => 0);
  for (const at of times) {
    const slot = Math.min(SLOTS - 1, Math.floor((at / lengthMs) * SLOTS));
    slots[slot] = (slots[slot] ?? 0) + 1;
  }
  return slots.map((count) => (count * SLOTS * 1_000) / lengthMs);
}

const within = (times: readonly number[], from: number, to: number): number => times.filter((at) => at >= from && at < to).length;

function report(processes: readonly Counted[], lengthMs: number): void {
  const all = processes.flatMap((one) => one.passed);
  const most = RATE * 1.5;
  print(row("over time", `calls let through, 0 to ${most} a second`));
  for (const [nth, one] of processes.entries()) print(row(`asks ${CALLS[nth]}`, sparkline(rates(one.passed, lengthMs), most)));
  print(row("together", sparkline(rates(all, lengthMs), most)));
  const down = Array.from({ length: SLOTS }, (_, slot) => ((slot + 0.5) / SLOTS >= DOWN[0] && (slot + 0.5) / SLOTS < DOWN[1] ? "x" : "·"));
  print(row("Redis", down.join("")));
  const spans = [
    ["before", 0, DOWN[0]],
    ["without", DOWN[0], DOWN[1]],
    ["after", DOWN[1], 1],
  ] as const;
  print(row("a second", `${CALLS.map((calls) => `asks ${calls}`.padStart(10)).join("")}  together`));
  for (const [name, from, to] of spans) {
    const perSecond = (times: readonly number[]): string =>
      (within(times, from * lengthMs, to * lengthMs) / (((to - from) * lengthMs) / 1_000)).toFixed(0);
    print(row(name, `${processes.map((one) => perSecond(one.passed).padStart(10)).join("")}${perSecond(all).padStart(10)}`));
  }
  const events = processes.flatMap(({ events: own }, nth) =>
    own.map(({ at, what }) => `${what.replace("-", " ")} at ${duration(at)} (asks ${CALLS[nth]})`),
  );
  for (const line of wrapped(row("decisions", ""), events.join(", ") || "none")) print(line);
  print();
}
