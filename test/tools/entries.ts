// The entries of the package: what users import, and the source file behind each.
import { readFileSync } from "node:fs";
import { posix } from "node:path";

const manifest = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  readonly exports: Readonly<Record<string, string | { readonly default: string }>>;
}; // the cast: it is our own package.json

/** `premesh/testing` → `testing/index.ts`, below src/. */
export const entries: ReadonlyMap<string, string> = new Map(
  Object.entries(manifest.exports).flatMap(([name, target]) =>
    typeof target === "string"
      ? []
      : [[posix.join("premesh", name), posix.relative("dist", target.default).replace(/\.js$/, ".ts")] as const],
  ),
);
