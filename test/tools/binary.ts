// Makes a binary of the shim, Node within it: `npm run build:binary [file]` (default dist/premesh-sidecar). By https://nodejs.org/api/single-executable-applications.html
//
// It is not stripped: that would break it. It runs where the Node runs that makes it.
import { execFileSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { bundle } from "./bundle.ts";

/** The cast: postject has no types. */
const { inject } = createRequire(import.meta.url)("postject") as {
  readonly inject: (file: string, name: string, data: Uint8Array, options: { readonly sentinelFuse: string }) => Promise<void>;
};

/** The mark in Node's own binary that tells whether something was put into it. */
const FUSE = "NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2";

const [, , given = "dist/premesh-sidecar"] = process.argv;
const file = resolve(given);
const folder = dirname(file);
mkdirSync(folder, { recursive: true });
const script = join(folder, "premesh-sidecar.cjs");
const blob = join(folder, "premesh-sidecar.blob");
const config = join(folder, "premesh-sidecar.sea.json");
await bundle("src/cli/one-file/binary.ts", script, "cjs");
writeFileSync(
  config,
  JSON.stringify({
    main: script,
    output: blob,
    disableExperimentalSEAWarning: true,
    useCodeCache: true,
  }),
);
execFileSync(process.execPath, ["--experimental-sea-config", config], { stdio: ["ignore", "ignore", "inherit"] });
copyFileSync(process.execPath, file);
chmodSync(file, 0o755);
await inject(file, "NODE_SEA_BLOB", readFileSync(blob), { sentinelFuse: FUSE });
for (const left of [script, blob, config]) rmSync(left);
