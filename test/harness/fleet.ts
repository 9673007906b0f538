// Fleet: several processes that share one limit over a Redis, begun together.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import type { Count, Task } from "./fleet-process.ts";

export interface FleetResult {
  readonly counts: readonly Count[];
  /** From the beginning of all to the last answer of any. */
  readonly tookMs: number;
}

/** Runs so many processes to their end. */
export async function runFleet(processes: number, task: Task): Promise<FleetResult> {
  const children = Array.from({ length: processes }, () => fork(new URL("fleet-process.ts", import.meta.url)));
  const said = async (child: ChildProcess): Promise<unknown> => {
    const [message] = (await Promise.race([
      once(child, "message"),
      once(child, "exit").then(() => Promise.reject(new Error("a process of the fleet ended without a word"))),
    ])) as unknown[]; // the cast: what `message` is emitted with
    return message;
  };
  try {
    const ready = children.map(said);
    for (const child of children) child.send(task);
    await Promise.all(ready);
    const began = performance.now();
    const counted = children.map(said);
    for (const child of children) child.send("go");
    const counts = (await Promise.all(counted)) as Count[]; // the cast: what fleet-process.ts sends
    return { counts, tookMs: performance.now() - began };
  } finally {
    for (const child of children) if (child.connected) child.disconnect();
    for (const child of children) if (child.exitCode === null) child.kill();
  }
}
