// readModuleApart: runs a module in a thread of its own, so that it can neither end the process, nor hold it up, nor write between our lines.
import { extname } from "node:path";
import { Worker, type WorkerOptions } from "node:worker_threads";
import type { PolicyIssue } from "../policy/error.ts";
import type { PolicyList } from "../policy/parse.ts";
import { type PolicyFile, problemWith } from "./file.ts";
import { endless, type ModuleOptions, PATIENCE_MS } from "./module.ts";
import { moduleProblem } from "./module-problem.ts";

/** What the thread sends: a {@link PolicyFile} as plain data. */
export type Sent = ({ readonly kind: "policies" } & PolicyList) | { readonly kind: "problems"; readonly issues: readonly PolicyIssue[] };

/** More than any module of policies takes, with all that it imports; beyond, the thread ends and not the process. */
const MEMORY_MIB = 1_024;

/** Begins the thread of worker.ts. */
type Thread = (options: WorkerOptions) => Worker;

let thread: Thread = (options) => new Worker(new URL(`worker${extname(import.meta.url)}`, import.meta.url), options);

/** Gives another way to begin that thread, to a program that has worker.ts within itself and no file of it. */
export function giveThread(given: Thread): void {
  thread = given;
}

type Ended = { readonly read: PolicyFile } | { readonly error: unknown };

export async function readModuleApart(
  file: string,
  { patienceMs = PATIENCE_MS, memoryMiB = MEMORY_MIB }: ModuleOptions = {},
): Promise<PolicyFile> {
  const worker = thread({
    workerData: file,
    stdout: true,
    resourceLimits: { maxOldGenerationSizeMb: memoryMiB },
  });
  worker.stdout.pipe(process.stderr, { end: false }); // stdout is for our own lines
  let timer: NodeJS.Timeout | undefined;
  try {
    const ended = await new Promise<Ended>((resolve) => {
      timer = setTimeout(() => resolve({ read: endless(patienceMs) }), patienceMs);
      worker.once("message", (sent: Sent) => resolve({ read: sent.kind === "policies" ? { ...sent, placed: (issues) => issues } : sent }));
      worker.once("error", (error) => resolve({ error }));
      worker.once("exit", (status) => setImmediate(() => resolve({ read: exited(status) }))); // what it has sent comes first
    });
    return "read" in ended ? ended.read : await moduleProblem(ended.error, file);
  } finally {
    clearTimeout(timer);
    worker.removeAllListeners("error").on("error", () => undefined); // whatever it does from now on is of no interest
    await worker.terminate();
  }
}

const exited = (status: number): PolicyFile =>
  problemWith("PM0123", `ends the process while it loads, with status ${status}`, { hint: "take the call of process.exit out" });
