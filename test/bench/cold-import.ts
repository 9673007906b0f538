// Bench: how much later a script starts that imports premesh, as built.
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Bench, interleaved, median, shown } from "./kit.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
/** In node_modules, so that the built files find what they import; kept from run to run. */
const place = join(root, "node_modules/.cache/premesh-bench");

function built(): void {
  mkdirSync(place, { recursive: true });
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  execFileSync(process.execPath, [tsc, "-p", join(root, "tsconfig.json"), "--noEmit", "false", "--outDir", join(place, "dist")], {
    stdio: "inherit",
  });
  writeFileSync(join(place, "package.json"), '{ "type": "module" }');
  writeFileSync(join(place, "empty.js"), "");
  writeFileSync(join(place, "importing.js"), 'import "./dist/index.js";');
}

/** Milliseconds from spawn to exit. */
function started(script: string): () => Promise<number> {
  return () => {
    const began = process.hrtime.bigint();
    execFileSync(process.execPath, [join(place, script)]);
    return Promise.resolve(Number(process.hrtime.bigint() - began) / 1e6);
  };
}

export const bench: Bench = {
  title: 'Cold import "premesh"',
  how: "the built package; 21 pairs of processes, from spawn to exit",
  run: async () => {
    built();
    const each = await interleaved({ empty: started("empty.js"), importing: started("importing.js") }, { rounds: 21, warmUp: 2 });
    const over = each.importing.map((ms, round) => ms - (each.empty[round] ?? 0));
    return [
      {
        figure: "over an empty script",
        value: shown(over, 0, " ms"),
        peer: `empty script ${shown(each.empty, 0, " ms")}`,
        target: "at most 60 ms",
        ok: median(over) <= 60,
      },
    ];
  },
};
