// Measures for docs/decisions/0006-zod-loads-late.md: what a process pays for an import, over an empty script.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";
import { median, show } from "./measure.ts";

const root = new URL("../../../", import.meta.url);
const cache = fileURLToPath(new URL("node_modules/.cache/", root));
mkdirSync(cache, { recursive: true });
const built = mkdtempSync(`${cache}premesh-0006-`);
spawnSync(fileURLToPath(new URL("node_modules/.bin/tsc", root)), ["-p", "tsconfig.json", "--noEmit", "false", "--outDir", built], {
  cwd: root,
});
const premesh = JSON.stringify(pathToFileURL(`${built}/index.js`).href);

const run = (code: string): number => {
  const began = performance.now();
  const { status, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", code], { cwd: root });
  if (status !== 0) throw new Error(String(stderr));
  return performance.now() - began;
};

const scripts = {
  "an empty script": "",
  'import "zod"': 'import "zod"',
  'import "yaml"': 'import "yaml"',
  'import "cockatiel"': 'import "cockatiel"',
  'import "opossum"': 'import "opossum"',
  "import premesh (built)": `import ${premesh}`,
  "the same, and zod beside it": `import ${premesh}; import "zod"`,
  "the same, and one definePolicy": `import { definePolicy, standard } from ${premesh}; definePolicy({ name: "a", layers: standard() })`,
};
const times = Object.fromEntries(Object.keys(scripts).map((what) => [what, [] as number[]]));
for (let round = 0; round < 11; round++) for (const [what, code] of Object.entries(scripts)) times[what]?.push(run(code));
const empty = median(times["an empty script"] ?? []);
show("an empty script", empty, "ms");
for (const what of Object.keys(scripts).slice(1)) show(`${what}: over the empty script`, median(times[what] ?? []) - empty, "ms");
rmSync(built, { recursive: true });
