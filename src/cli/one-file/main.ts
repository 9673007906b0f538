#!/usr/bin/env node
// premesh-sidecar: the shim as one file, with all that it needs within. The build makes dist/premesh-sidecar.js of it; `premesh sidecar` loads that file, too.
import { realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { isMainThread } from "node:worker_threads";
import { giveReader } from "../../policy-files/apart.ts";
import { runCommand, runToEnd } from "../run.ts";
import { sidecarCommand } from "../sidecar.ts";
import { isPolicyReader, READER, runPolicyReader } from "./reader.ts";

export { sidecarCommand };

giveReader([process.execPath, fileURLToPath(import.meta.url), READER]);

function isProgram(): boolean {
  const [, program] = process.argv;
  return isMainThread && program !== undefined && realpathSync(program) === fileURLToPath(import.meta.url);
}

if (isPolicyReader()) void runPolicyReader();
else if (isProgram()) void runToEnd(() => runCommand(sidecarCommand, process.argv.slice(2), "premesh-sidecar"));
