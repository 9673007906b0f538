// The version of premesh, as its package says it, or where there is no package beside it, as it was built.
import { readFileSync } from "node:fs";

/** Put in place of this name by the build of the single file. */
declare const PREMESH_VERSION: string | undefined;

export function version(): string {
  if (typeof PREMESH_VERSION === "string") return PREMESH_VERSION;
  const manifest: unknown = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  return (manifest as { version: string }).version; // the cast: it is our own package.json
}
