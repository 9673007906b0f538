// The thread of apart.ts: reads a module and sends what it found.
import { parentPort, workerData } from "node:worker_threads";
import type { Sent } from "./apart.ts";
import { type PolicyFile, problemWith } from "./file.ts";
import { readModule } from "./module.ts";

function send(read: PolicyFile): void {
  const sent: Sent = read.kind === "problems" ? read : { kind: "policies", policies: read.policies, paths: read.paths };
  parentPort?.postMessage(JSON.parse(JSON.stringify(sent)), []);
}

// Nothing is left to happen, and the module has not loaded.
process.once("beforeExit", () =>
  send(problemWith("PM0122", "awaits something that never comes", { hint: "policies are plain data; build them without waiting" })),
);

// A promise that the module has left rejected ends the thread before the next turn, as it would end a program.
void readModule(String(workerData), { patienceMs: Number.POSITIVE_INFINITY }).then((read) => setImmediate(send, read));
