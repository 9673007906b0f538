// premesh-sidecar as a binary: the same as main.ts, for Node's single executable applications, where the file is text within the program.
import { getRawAsset, isSea } from "node:sea";
import { Worker } from "node:worker_threads";
import { giveThread } from "../../policy-files/apart.ts";
import { runCommand, runToEnd } from "../run.ts";
import { sidecarCommand } from "../sidecar.ts";
import { isPolicyThread, runPolicyThread, threadOptions } from "./thread.ts";

/** The text of this file, which the build puts beside its compiled code. */
const TEXT = "premesh-sidecar.cjs";

const text = (): string => new TextDecoder().decode(getRawAsset(TEXT));

if (isPolicyThread()) void runPolicyThread();
else {
  if (!isSea()) throw new Error("this is the inside of a binary: run the binary, or dist/premesh-sidecar.js");
  giveThread((options) => new Worker(text(), { ...threadOptions(options), eval: true }));
  void runToEnd(() => runCommand(sidecarCommand, process.argv.slice(2), "premesh-sidecar"));
}
