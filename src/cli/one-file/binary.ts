// premesh-sidecar as a binary: the same as main.ts, for Node's single executable applications.
import { isSea } from "node:sea";
import { giveReader } from "../../policy-files/apart.ts";
import { runCommand, runToEnd } from "../run.ts";
import { sidecarCommand } from "../sidecar.ts";
import { isPolicyReader, READER, runPolicyReader } from "./reader.ts";

if (!isSea()) throw new Error("this is the inside of a binary: run the binary, or dist/premesh-sidecar.js");
giveReader([process.execPath, READER]);
if (isPolicyReader()) void runPolicyReader();
else void runToEnd(() => runCommand(sidecarCommand, process.argv.slice(2), "premesh-sidecar"));
