// Makes the single file of the shim, dist/premesh-sidecar.js: `npm run build`.
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { constants } from "node:http2";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, type Plugin } from "esbuild";
import { licencesOf } from "./licences.ts";

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

/**
 * Node's larger modules are loaded when something of them is first used: a shim that meets no TLS never loads it, which is 20 MB and a quarter of
 * the time to start. (An import of node:http reads all its names besides, and one of them, WebSocket, loads undici.)
 */
const lateBuiltins: Plugin = {
  name: "late builtins",
  setup: (made) => {
    made.onResolve({ filter: /^(?:node:)?(?:http|https|http2|tls)$/ }, ({ path }) => ({
      path: path.replace("node:", ""),
      namespace: "builtin",
    }));
    made.onLoad({ filter: /.*/, namespace: "builtin" }, ({ path }) => ({ contents: lateModule(path) }));
  },
};

/** The numbers of a protocol are known without its module. */
const lateModule = (name: string): string => `let loaded;
const load = () => loaded ??= process.getBuiltinModule("node:${name}");
for (const key of ${JSON.stringify(Object.keys(process.getBuiltinModule(`node:${name}`) ?? {}))})
  Object.defineProperty(exports, key, { enumerable: true, configurable: true, get: () => load()[key] });
${name === "http2" ? `Object.defineProperty(exports, "constants", { enumerable: true, value: ${JSON.stringify(constants)} });` : ""}`;

/** `format`: a module for Node, or a script for a binary. Gives the files that are within. */
export async function bundle(entry: string, outfile: string, format: "esm" | "cjs"): Promise<readonly string[]> {
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
    // Packages of CommonJS ask for Node's own modules by `require`, which a module does not have.
    ...(format === "esm"
      ? { banner: { js: 'import { createRequire as $require } from "node:module";const require = $require(import.meta.url);' } }
      : {}),
    plugins: [lateRequires, noLocales, lateBuiltins],
    logLevel: "warning",
    // In a script there is no import.meta; what asks for it is replaced there, and never runs.
    logOverride: { "empty-import-meta": "silent" },
  });
  return Object.keys(metafile.inputs);
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
