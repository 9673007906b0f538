// Where the URL of the Redis is said: it may have a password in it, and a command line can be read by others on the machine.
import { readFileSync } from "node:fs";
import type { Words } from "../command.ts";

/** `undefined`: nothing is shared. Throws what reading the file throws. */
export function sharedUrl({ valueOf }: Words, environment: Readonly<Record<string, string | undefined>>): string | undefined {
  const file = valueOf("shared-file");
  if (file !== undefined) return urlIn(file);
  const url = valueOf("shared") ?? environment["PREMESH_SHARED"];
  return url === "" ? undefined : url;
}

export function sharedMisuse({ valueOf }: Words): string | undefined {
  const file = valueOf("shared-file");
  if (file === undefined) return undefined;
  if (valueOf("shared") !== undefined) return "the Redis is said by --shared or --shared-file, not both";
  try {
    return urlIn(file) === "" ? `--shared-file ${file} is empty` : undefined;
  } catch (error) {
    return `--shared-file ${file} cannot be read (${(error as NodeJS.ErrnoException).code})`; // the cast: what readFileSync throws
  }
}

const urlIn = (file: string): string => readFileSync(file, "utf8").trim();
