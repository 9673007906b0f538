// Every command line that the documentation shows the output of prints that, and ends with the status that it says.
//
// A comment on the line above a fence marks it:
//   <!-- run: 1 -->    on a sh fence with one `npx premesh ...`: it is run where the document's `file:` snippets are, and ends with this status
//   <!-- output -->    on the text fence after it: what is printed
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { documents, type Fence, fencesOf, root } from "./markdown.ts";

const MAIN = join(root, "src/cli/main.ts");

// Within the repository, so that modules find packages.
const cache = join(root, ".cache");
mkdirSync(cache, { recursive: true });
const work = mkdtempSync(join(cache, "commands-"));
after(() => rmSync(work, { recursive: true, force: true }));

function printed(command: string, cwd: string): Promise<{ readonly status: unknown; readonly output: string }> {
  const [npx, name, ...words] = command.trim().split(/\s+/);
  assert.deepEqual([npx, name], ["npx", "premesh"], command);
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, ...words], { cwd, timeout: 60_000, env: { ...process.env, NODE_OPTIONS: "" } }, (error, out, err) =>
      resolve({ status: error === null ? 0 : error.code, output: out + err }),
    );
  });
}

/** The `run` fences of a document, each with the fence that shows what it prints. */
function runsOf(fences: readonly Fence[]): readonly (readonly [run: Fence, output: Fence])[] {
  return fences.flatMap((fence, index) => {
    if (!fence.marks.has("run")) return [];
    const output = fences[index + 1];
    if (output === undefined || !output.marks.has("output"))
      throw new Error(`${fence.document}:${fence.line} is run, and nothing says what it prints`);
    return [[fence, output] as const];
  });
}

const shown = documents().map((document) => ({ document, fences: fencesOf(document), runs: runsOf(fencesOf(document)) }));

test("the command line's reference shows commands", () => {
  assert.ok((shown.find(({ document }) => document === "docs/reference/cli.md")?.runs.length ?? 0) > 3);
});

describe("every command prints what is shown", () => {
  for (const { document, fences, runs } of shown) {
    if (runs.length === 0) continue;
    const folder = join(work, document.replaceAll("/", "-"));
    mkdirSync(folder);
    for (const { marks, text } of fences) {
      const name = marks.get("file");
      if (name !== undefined)
        writeFileSync(join(folder, name), text.replaceAll(`from "premesh"`, `from ${JSON.stringify(join(root, "src/index.ts"))}`));
    }
    for (const [run, output] of runs) {
      test(`${document}:${run.line} ${run.text}`, async () => {
        const { status, output: text } = await printed(run.text, folder);
        assert.equal(text.trimEnd(), output.text.trimEnd());
        assert.equal(status, Number(run.marks.get("run")));
      });
    }
  }
});
