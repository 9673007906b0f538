// Memory: what the process of a shim asks of V8, which else takes two to three times what a proxy needs. Measured in docs/decisions/0012.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** The single file sets them in its first line, before what it loads. */
export const FLAGS: readonly string[] = [
  // The space of new objects stays at its first size. With a thousand requests under way it grew to 48 MB, and they outlived it all the same.
  "--semi-space-growth-factor=1",
  // All is collected when it has grown by a fifth, not when it is several times as large.
  "--heap-growing-percent=20",
  // The middle one of the compilers takes 12 MB for its work. What is hot gets to the last one without it.
  "--no-maglev",
  // Nothing is hot while the shim starts, and the last compiler is 5 MB of code.
  "--no-opt",
];

/** For the process of a shim alone, early: these are of the whole process. V8 reads each of them whenever it decides. */
export function spareMemory(): void {
  for (const flag of FLAGS) setFlagsFromString(flag);
}

/** The shim has started. Collects what a start has left behind, and gives the memory back. Takes 20 ms, so it is for a moment when nobody waits yet. */
export function giveBack(): void {
  setFlagsFromString("--opt");
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("gc"); // a context that is made now has it
  setFlagsFromString("--no-expose-gc");
  if (typeof collect === "function") collect({ type: "major", flavor: "last-resort" });
}
