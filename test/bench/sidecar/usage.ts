// What a process and its children have used: CPU time and memory, from /proc.
import { globSync, readFileSync } from "node:fs";

/** The kernel's clock ticks, of which `getconf CLK_TCK` gives 100 a second on every Linux that Node runs on. */
const TICK_MS = 10;

/** A process, the processes it has forked, and theirs. */
function family(pid: number): readonly number[] {
  const children = globSync(`/proc/${pid}/task/*/children`).flatMap((file) => read(file).split(" ").filter(Boolean).map(Number));
  return [pid, ...children.flatMap(family)];
}

/** A process may be gone by now. */
function read(file: string): string {
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    return "";
  }
}

/** CPU time in milliseconds, user and system. */
export function cpuMs(pid: number): number {
  return family(pid).reduce((sum, one) => {
    const fields = read(`/proc/${one}/stat`)
      .replace(/^.*\) /, "")
      .split(" ");
    return sum + (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * TICK_MS;
  }, 0);
}

/** Resident memory in MB. */
export function rssMb(pid: number): number {
  return family(pid).reduce((sum, one) => sum + Number(/VmRSS:\s+(\d+)/.exec(read(`/proc/${one}/status`))?.[1] ?? 0) / 1_024, 0);
}
