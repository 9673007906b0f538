// Node's own modules, as the single file of the shim asks for them: no more of them is loaded than is used, and the larger ones when something of them is.
//
// An import of one makes a copy of all its names, and some of these load more: fs brings fs/promises and readline, http brings undici.
import { constants } from "node:http2";
import { builtinModules } from "node:module";
import type { Plugin } from "esbuild";

/** a shim that meets no TLS never loads these, which is 20 MB and a quarter of the time to start. */
const LATE: ReadonlySet<string> = new Set(["http", "https", "http2", "tls", "zlib", "child_process", "dns", "fs/promises", "vm"]);

const keysOf = (name: string): readonly string[] => Object.keys(process.getBuiltinModule(`node:${name}`) ?? {});

export const builtins: Plugin = {
  name: "builtins",
  setup: (made) => {
    made.onResolve({ filter: /^[a-z:/_0-9]+$/ }, ({ path, kind }) => {
      const name = path.replace(/^node:/, "");
      if (!builtinModules.includes(name)) return undefined;
      const namespace = LATE.has(name) ? "late" : kind === "require-call" ? "required" : "imported";
      return { path: name, namespace, sideEffects: false };
    });
    made.onLoad({ filter: /.*/, namespace: "late" }, ({ path }) => ({ contents: late(path) }));
    made.onLoad({ filter: /.*/, namespace: "required" }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule("node:${path}");`,
    }));
    made.onLoad({ filter: /.*/, namespace: "imported" }, ({ path }) => ({ contents: imported(path) }));
  },
};

/** The numbers of a protocol are known without its module. */
const late = (name: string): string => `let loaded;
const load = () => loaded ??= process.getBuiltinModule("node:${name}");
for (const key of ${JSON.stringify(keysOf(name))})
  Object.defineProperty(exports, key, { enumerable: true, configurable: true, get: () => load()[key] });
${name === "http2" ? `Object.defineProperty(exports, "constants", { enumerable: true, value: ${JSON.stringify(constants)} });` : ""}`;

/** A name that nobody imports is left out. */
const imported = (name: string): string => `const all = /* @__PURE__ */ process.getBuiltinModule("node:${name}");
export default all;
${keysOf(name)
  .filter((key) => /^[A-Za-z_$][\w$]*$/.test(key) && key !== "default")
  .map((key) => `export const ${key} = /* @__PURE__ */ (() => all.${key})();`)
  .join("\n")}`;
