// Packs premesh as npm would publish it, and runs programs in folders of their own that have installed it.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { fileURLToPath } from "node:url";

export const ROOT: string = fileURLToPath(new URL("../..", import.meta.url));

/** What `npm test` tells its own children; an npm that runs in another folder must not heed it. */
const env = Object.fromEntries(
  Object.entries(process.env).filter(
    ([name]) => !/^(?:npm_(?:package|lifecycle|command|node|exec|config_local)|INIT_CWD|NODE_TEST)/.test(name),
  ),
);

export function run(cwd: string, command: string, args: readonly string[], path: string = process.env["PATH"] ?? ""): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(command, args, { cwd, env: { ...env, PATH: path }, timeout: 120_000 }, (error, out, err) => {
      if (error === null) resolve(out);
      else reject(new Error(`${command} ${args.join(" ")} in ${cwd}: ${error.message}\n${out}\n${err}`, { cause: error }));
    });
  });
}

export const npm = (cwd: string, ...args: readonly string[]): Promise<string> => run(cwd, "npm", [...args, "--no-audit", "--no-fund"]);

/** Everything happens in here; it is gone after the tests. */
export const folder: string = mkdtempSync(join(tmpdir(), "premesh-package-"));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Only a network that is not there is a reason to skip; whatever else npm says is a failure. */
const NO_NETWORK = /\b(?:ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ENETUNREACH|EHOSTUNREACH|E?TIMEDOUT|ERR_SOCKET_TIMEOUT|E50[234])\b/;

export const skip: string | false = await npm(
  folder,
  "view",
  "node@22",
  "version",
  "--fetch-retries=2",
  "--fetch-retry-mintimeout=500",
  "--fetch-timeout=10000",
).then(
  () => false as const,
  (error: unknown) => {
    const code = NO_NETWORK.exec(String(error))?.[0];
    if (code === undefined) throw error;
    return `SKIP the npm registry cannot be reached (${code}), so the packed package was not installed`;
  },
);

/** Packs premesh and gives the tarball's path. From a copy: to build in place would take dist/ away from whoever is using it. */
export async function pack(): Promise<string> {
  const copy = join(folder, "premesh");
  for (const name of ["src", "test/tools", "package.json", "tsconfig.json", "README.md", "LICENSE", "CHANGELOG.md"])
    cpSync(join(ROOT, name), join(copy, name), { recursive: true });
  symlinkSync(join(ROOT, "node_modules"), join(copy, "node_modules"));
  await npm(copy, "pack", "--pack-destination", folder);
  const tarball = readdirSync(folder).find((name) => name.endsWith(".tgz"));
  assert.ok(tarball !== undefined);
  return join(folder, tarball);
}
