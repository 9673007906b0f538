// Makes the single file of the shim, dist/premesh-sidecar.js: `npm run build`.
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, type Plugin } from "esbuild";
import { FLAGS } from "../../src/sidecar/memory.ts";
import { builtins } from "./builtins.ts";
import { licencesOf } from "./licences.ts";
import { packed } from "./packed.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string }; // the cast: our own file

/** What our source loads late by `createRequire`, so that a user's import of premesh stays cheap, is bundled too, and still run late. */
const lateRequires: Plugin = {
  name: "late requires",
  setup: (made) => {
    made.onLoad({ filter: /\/src\/.+\.ts$/ }, ({ path }) => ({
      contents: readFileSync(path, "utf8").replaceAll(/createRequire\(import\.meta\.url\)\((?=")/g, "require("),
      loader: "ts",
    }));
  },
};

/** zod's messages in fifty languages, which nobody asks for: half of it. */
const noLocales: Plugin = {
  name: "no locales",
  setup: (made) => {
    made.onLoad({ filter: /\/zod\/v4\/locales\/index\.(?:js|cjs)$/ }, () => ({ contents: "", loader: "js" }));
  },
};

/** Packages of CommonJS ask for Node's own modules by `require`, which a module does not have. */
const MODULE = 'import { createRequire as $require } from "node:module";const require = $require(import.meta.url);';

const SPARING = `if (require("node:worker_threads").isMainThread) for (const flag of ${JSON.stringify(FLAGS)}) require("node:v8").setFlagsFromString(flag);`;

/** `format`: a module for Node, or a script for a binary. Gives the files that are within. */
export async function bundle(entry: string, outfile: string, format: "esm" | "cjs"): Promise<readonly string[]> {
  const inside: string[] = [];
  const { metafile } = await build({
    metafile: true,
    absWorkingDir: root,
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: "node",
    target: "node22.19",
    format,
    // Names stay: stack traces and the names of errors are read by people.
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: "none",
    define: { PREMESH_VERSION: JSON.stringify(version) },
    banner: { js: `${format === "esm" ? MODULE : ""}${SPARING}` },
    plugins: [lateRequires, packed([noLocales, builtins], (files) => inside.push(...files)), builtins],
    logLevel: "warning",
    // In a script there is no import.meta; what asks for it is replaced there, and never runs.
    logOverride: { "empty-import-meta": "silent" },
  });
  return [...Object.keys(metafile.inputs), ...inside];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const files = await bundle("src/cli/one-file/main.ts", "dist/premesh-sidecar.js", "esm");
  writeFileSync(join(root, "dist/premesh-sidecar.LICENSES.txt"), licencesOf(files, root));
  // The package is without the shim's dependencies, so its command takes the shim from that file.
  writeFileSync(
    join(root, "dist/cli/sidecar.js"),
    '// premesh sidecar: from the single file of the shim.\nexport { sidecarCommand } from "../premesh-sidecar.js";\n',
  );
  for (const left of ["sidecar", "wire", "transports/proxy", "cli/sidecar", "cli/one-file", "cli/sidecar.js.map"])
    rmSync(join(root, "dist", left), { recursive: true, force: true });
}
