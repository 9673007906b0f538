// readModuleApart: runs a module in a process of its own, so that it can neither end ours, nor hold it up, nor write between our lines, nor leave its memory behind.
import { spawn } from "node:child_process";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import type { PolicyIssue } from "../policy/error.ts";
import type { PolicyList } from "../policy/parse.ts";
import { type PolicyFile, problemWith } from "./file.ts";
import { endless, type ModuleOptions, PATIENCE_MS } from "./module.ts";

/** What the process sends: a {@link PolicyFile} as plain data. */
export type Sent = ({ readonly kind: "policies" } & PolicyList) | { readonly kind: "problems"; readonly issues: readonly PolicyIssue[] };

/** More than any module of policies takes, with all that it imports; beyond, that process ends. */
const MEMORY_MIB = 1_024;

/** A program and its words, behind which comes the file: how reader.ts is run. */
type Reader = readonly [program: string, ...words: readonly string[]];

let reader: Reader | undefined;

/** Gives another way to run it, to a program that has reader.ts within itself and no file of it. */
export function giveReader(given: Reader): void {
  reader = given;
}

/** Not at once: in a single file there is no such path. */
const ownReader = (): Reader => [process.execPath, fileURLToPath(new URL(`reader${extname(import.meta.url)}`, import.meta.url))];

export async function readModuleApart(
  file: string,
  { patienceMs = PATIENCE_MS, memoryMiB = MEMORY_MIB }: ModuleOptions = {},
): Promise<PolicyFile> {
  const [program, ...words] = reader ?? ownReader();
  const child = spawn(program, [...words, file], {
    stdio: ["ignore", 2, 2, "ipc"], // stdout is for our own lines
    env: { ...process.env, NODE_OPTIONS: `${process.env["NODE_OPTIONS"] ?? ""} --max-old-space-size=${memoryMiB}` },
  });
  const end = (): void => void child.kill("SIGKILL");
  process.once("exit", end);
  let timer: NodeJS.Timeout | undefined;
  try {
    return await new Promise<PolicyFile>((resolve) => {
      timer = setTimeout(() => resolve(endless(patienceMs)), patienceMs);
      // the cast: what reader.ts sends
      child.once("message", (sent) => resolve(received(sent as Sent)));
      child.once("error", ({ message }) => resolve(problemWith("PM0121", `cannot be run in a process of its own: ${message}`)));
      child.once("exit", (status, signal) => setImmediate(() => resolve(ended(status, signal, memoryMiB)))); // what it has sent comes first
    });
  } finally {
    clearTimeout(timer);
    child.removeAllListeners("error").on("error", () => undefined); // whatever it does from now on is of no interest
    process.removeListener("exit", end);
    end();
  }
}

const received = (sent: Sent): PolicyFile => (sent.kind === "policies" ? { ...sent, placed: (issues) => issues } : sent);

/** V8 aborts when memory is out. */
const ABORTED = 134;

function ended(status: number | null, signal: NodeJS.Signals | null, memoryMiB: number): PolicyFile {
  if (signal === "SIGABRT" || status === ABORTED)
    return problemWith("PM0121", `throws while it loads: it takes more than ${memoryMiB} MiB of memory`);
  const how = signal === null ? `with status ${status}` : `by ${signal}`;
  return problemWith("PM0123", `ends the process while it loads, ${how}`, { hint: "take the call of process.exit out" });
}
