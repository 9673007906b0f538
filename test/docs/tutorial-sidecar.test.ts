// The tutorial of the sidecar, as a reader follows it: its policy file in the real command, its app beside it, and the same outcome as without.
import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { fencesOf, root } from "./markdown.ts";

const DOCUMENT = "docs/tutorial-sidecar.md";
const DEFAULT = "127.0.0.1:15001";

/** Reads what a process writes until it fits. */
async function said(stream: NodeJS.ReadableStream, pattern: RegExp): Promise<string> {
  let text = "";
  for await (const chunk of stream.setEncoding("utf8") as AsyncIterable<string>) {
    text += chunk;
    const [, found] = pattern.exec(text) ?? [];
    if (found !== undefined) return found;
  }
  throw new Error(`it ended without saying ${String(pattern)}: ${text}`);
}

test("the app prints what the tutorial says while its calls go through the shim of the tutorial", async (t) => {
  const cache = join(root, ".cache");
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(join(cache, "tutorial-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const local = (text: string): string => text.replaceAll('from "premesh"', `from ${JSON.stringify(join(root, "src/index.ts"))}`);
  const fences = fencesOf(DOCUMENT);
  for (const { marks, text } of fences) {
    const name = marks.get("file");
    if (name !== undefined) writeFileSync(join(folder, name), local(text));
  }
  const command =
    fences
      .find(({ text }) => text.startsWith("npx premesh sidecar"))
      ?.text.split(/\s+/)
      .slice(2) ?? [];
  assert.deepEqual(command, ["sidecar", "seam.ts"]);
  const apps = fences.filter(({ text }) => text.includes(`sidecar: "http://${DEFAULT}"`));
  const printed = fences.find(({ marks }) => marks.has("prints"))?.text;
  assert.equal(apps.length, 2);

  const shim = spawn(process.execPath, [join(root, "src/cli/main.ts"), ...command, "--outbound", "127.0.0.1:0", "--admin", "off"], {
    cwd: folder,
    env: { ...process.env, NODE_OPTIONS: "" },
  });
  t.after(() => ended(shim));
  let lines = "";
  const log = shim.stdout.setEncoding("utf8").on("data", (text: string) => (lines += text));
  const address = await said(shim.stderr, /outbound listens on (\S+)/);
  shim.stderr.resume();
  writeFileSync(join(folder, "app.ts"), local(apps[1]?.text ?? "").replaceAll(DEFAULT, address));
  const { stdout } = await promisify(execFile)(process.execPath, ["app.ts"], { cwd: folder, env: { ...process.env, NODE_OPTIONS: "" } });
  assert.equal(stdout.trim(), printed?.trim());
  shim.kill("SIGTERM");
  await once(log, "end");
  assert.equal(lines.split('"method":"GET"').length - 1, 27, "three attempts at each call have crossed");
});

async function ended(shim: ChildProcess): Promise<void> {
  if (shim.exitCode !== null || shim.signalCode !== null) return;
  shim.kill("SIGKILL");
  await once(shim, "exit");
}
