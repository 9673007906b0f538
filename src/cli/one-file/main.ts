#!/usr/bin/env node
// premesh-sidecar: the shim as one file, with all that it needs within. The build makes dist/premesh-sidecar.js of it; `premesh sidecar` loads that file, too.
import { realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { isMainThread, Worker } from "node:worker_threads";
import { giveThread } from "../../policy-files/apart.ts";
import { runCommand, runToEnd } from "../run.ts";
import { sidecarCommand } from "../sidecar.ts";
import { isPolicyThread, runPolicyThread, threadOptions } from "./thread.ts";

export { sidecarCommand };

giveThread((options) => new Worker(new URL(import.meta.url), threadOptions(options)));

function isProgram(): boolean {
  const [, program] = process.argv;
  return isMainThread && program !== undefined && realpathSync(program) === fileURLToPath(import.meta.url);
}

if (isPolicyThread()) void runPolicyThread();
else if (isProgram()) void runToEnd(() => runCommand(sidecarCommand, process.argv.slice(2), "premesh-sidecar"));
