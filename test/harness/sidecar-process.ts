// A shim as a real process: started with words, watched by its log, and ended after the test.
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable } from "node:stream";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

/** A line of its log. */
export interface LogLine {
  readonly level: string;
  readonly event: string;
  readonly message: string;
  readonly listener?: string;
  readonly address?: string;
}

export interface SidecarProcess {
  readonly child: ChildProcessByStdio<null, Readable, Readable>;
  /** Where it listens: `127.0.0.1:40123`. */
  readonly outbound: string;
  readonly inbound: string;
  readonly admin: string;
  readonly health: string;
  readonly log: readonly LogLine[];
  /** What it has written to stdout. */
  readonly out: () => string;
  /** The next line of its log of this event, of those that have come and were not asked for; rejects when the process ends without one. */
  readonly said: (event: string) => Promise<LogLine>;
  /** Resolves with the status, or the signal that ended it. */
  readonly ended: Promise<number | string>;
}

export interface StartOptions {
  readonly command?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Nothing is read from its stdout. */
  readonly deaf?: boolean;
}

/** Starts one on ports of its own (unless the words say others) and waits until it is ready, or has ended. */
export async function startSidecarProcess(t: TestContext, words: readonly string[], options: StartOptions = {}): Promise<SidecarProcess> {
  const { command = [process.execPath, MAIN, "sidecar"], env = {}, deaf = false } = options;
  const given = (name: string, value: string): readonly string[] => (words.includes(`--${name}`) ? [] : [`--${name}`, value]);
  const all = [...command, ...words, ...given("outbound", "127.0.0.1:0"), ...given("admin", "127.0.0.1:0"), ...given("log", "json")];
  const [program = "", ...args] = all;
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, NODE_OPTIONS: "", ...env } });
  t.after(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  });
  const ended = new Promise<number | string>((resolve) => child.once("close", (code, signal) => resolve(code ?? signal ?? "")));
  let out = "";
  if (!deaf) child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text));
  const log: LogLine[] = [];
  const waiting = new Set<() => void>();
  let over = false;
  let rest = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    log.push(...lines.map(lineOf));
    for (const look of waiting) look();
  });
  void ended.then(() => {
    over = true;
    for (const look of waiting) look();
  });
  const taken = new Set<LogLine>();
  const said = (event: string): Promise<LogLine> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const line = log.find((one) => one.event === event && !taken.has(one));
        if (line === undefined && !over) return;
        waiting.delete(look);
        if (line === undefined)
          return reject(new Error(`the shim has ended and did not say ${event}: ${log.map(({ message }) => message).join("\n")}${rest}`));
        taken.add(line);
        resolve(line);
      };
      waiting.add(look);
      look();
    });
  await Promise.race([said("ready"), ended]).catch(() => undefined);
  const at = (name: string): string => log.find(({ event, listener }) => event === "listening" && listener === name)?.address ?? "";
  return {
    child,
    outbound: at("outbound"),
    inbound: at("inbound"),
    admin: at("admin"),
    health: at("health"),
    log,
    out: () => out,
    said,
    ended,
  };
}

/** A line that is no JSON is a message without an event: Node's own. */
function lineOf(text: string): LogLine {
  try {
    return JSON.parse(text) as LogLine; // the cast: what the shim writes
  } catch {
    return { level: "", event: "", message: text };
  }
}
