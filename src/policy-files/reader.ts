// The process of apart.ts: reads a module and sends what it found.
import { setImmediate as soon } from "node:timers/promises";
import type { Sent } from "./apart.ts";
import { type PolicyFile, problemWith } from "./file.ts";
import { loadModule } from "./module.ts";
import { moduleProblem } from "./module-problem.ts";

const file = process.argv.at(-1) ?? "";

let failed = false;

/** What is found first is all that is sent. */
let sent = false;

function send(read: PolicyFile): void {
  if (sent || process.send === undefined) return;
  sent = true;
  const plain: Sent = read.kind === "problems" ? read : { kind: "policies", policies: read.policies, paths: read.paths };
  process.send(plain, () => process.exit());
}

// Whoever asked is gone. Waiting for that keeps nothing alive.
process.once("disconnect", () => process.exit());
process.channel?.unref();

// Nothing is left to happen, and the module has not loaded.
process.once("beforeExit", () =>
  send(problemWith("PM0122", "awaits something that never comes", { hint: "policies are plain data; build them without waiting" })),
);

process.on("uncaughtException", (thrown) => {
  failed = true;
  void moduleProblem(thrown, file).then(send);
});

// A promise that the module has left rejected ends the process before the next turn, as it would end a program.
void loadModule(file)
  .then((read) => soon(read))
  .then((read) => {
    if (!failed) send(read);
  });
