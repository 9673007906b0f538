// Packages that most runs of the shim do without, packed: Node keeps the text of a file as long as it runs it, and reads through all of it first.
import { createRequire } from "node:module";
import { brotliCompressSync, constants } from "node:zlib";
import { build, type Plugin } from "esbuild";

/** What is only loaded to say what is wrong, for YAML, and for `--shared`. */
const PACKED = /^(?:zod|yaml|ioredis|bottleneck)$/;

/** Unpacks and runs a package. Its name is the file in stack traces. */
const UNPACK = `import { brotliDecompressSync } from "node:zlib";
import { compileFunction } from "node:vm";
export function unpack(name, packed) {
  const module = { exports: {} };
  const text = brotliDecompressSync(Buffer.from(packed, "base64")).toString();
  compileFunction(text, ["exports", "require", "module"], { filename: "premesh-sidecar/" + name + ".js" })(module.exports, process.getBuiltinModule("node:module").createRequire(process.execPath), module);
  return module.exports;
}`;

/** `within`: how such a package is built; `found` is told of the files in it. */
export function packed(within: readonly Plugin[], found: (files: readonly string[]) => void): Plugin {
  return {
    name: "packed",
    setup: (made) => {
      const { absWorkingDir = "", target } = made.initialOptions;
      made.onResolve({ filter: PACKED }, ({ path, resolveDir }) => ({
        path,
        namespace: "packed",
        pluginData: createRequire(`${resolveDir}/`).resolve(path),
      }));
      made.onResolve({ filter: /^unpack$/ }, ({ path }) => ({ path, namespace: "unpack" }));
      made.onLoad({ filter: /.*/, namespace: "unpack" }, () => ({ contents: UNPACK, resolveDir: absWorkingDir }));
      made.onLoad({ filter: /.*/, namespace: "packed" }, async ({ path, pluginData: file }: { path: string; pluginData: string }) => {
        const { outputFiles, metafile } = await build({
          absWorkingDir,
          entryPoints: [file],
          write: false,
          metafile: true,
          bundle: true,
          platform: "node",
          ...(target === undefined ? {} : { target }),
          format: "cjs",
          minifySyntax: true,
          minifyWhitespace: true,
          legalComments: "none",
          plugins: [...within],
        });
        found(Object.keys(metafile.inputs));
        const text = outputFiles[0]?.contents ?? new Uint8Array();
        const small = brotliCompressSync(text, {
          params: { [constants.BROTLI_PARAM_SIZE_HINT]: text.length, [constants.BROTLI_PARAM_LGWIN]: 22 },
        });
        const call = `require("unpack").unpack(${JSON.stringify(path)}, ${JSON.stringify(small.toString("base64"))})`;
        return { contents: `module.exports = ${call};`, resolveDir: absWorkingDir };
      });
    },
  };
}
