// readModule: runs a module in this thread and takes the policies among its exports.
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { isMainThread } from "node:worker_threads";
import type { PlacedList } from "../policy/parse.ts";
import { checkedPolicies } from "../policy/validate.ts";
import { type PolicyFile, problemWith } from "./file.ts";
import { moduleProblem } from "./module-problem.ts";

export interface ModuleOptions {
  /** How long a module may take to load, in milliseconds. Default 30,000. */
  readonly patienceMs?: number;
  /** How much memory it may take in a process of its own, in MiB. Default 1,024. */
  readonly memoryMiB?: number;
}

/** Far longer than anything that a module of policies does. */
export const PATIENCE_MS = 30_000;

export const endless = (patienceMs: number): PolicyFile =>
  problemWith("PM0122", `has not finished loading within ${patienceMs / 1_000} s`, {
    hint: "does it await something, or never end a loop?",
  });

export async function readModule(file: string, { patienceMs = PATIENCE_MS }: ModuleOptions = {}): Promise<PolicyFile> {
  const ending = (): void => {
    process.exitCode = 2; // whatever it wanted: it has left its work undone
    process.stderr.write(`${file}: error PM0123: ends the process while it loads\n`);
  };
  if (isMainThread) process.once("exit", ending);
  let timer: NodeJS.Timeout | undefined;
  const tooLong = new Promise<PolicyFile>((late) => {
    timer = setTimeout(() => late(endless(patienceMs)), patienceMs);
  });
  try {
    return await Promise.race([loadModule(file), tooLong]);
  } finally {
    clearTimeout(timer);
    process.removeListener("exit", ending);
  }
}

/** The same, however long it takes, and whatever else it does. */
export async function loadModule(file: string): Promise<PolicyFile> {
  try {
    const module = (await import(pathToFileURL(resolve(file)).href)) as Readonly<Record<string, unknown>>; // the cast: what a module is
    return { kind: "policies", ...exportedPolicies(module) };
  } catch (error) {
    return await moduleProblem(error, file);
  }
}

/** The policies among the exports of a module, each once. What is exported by name and does not look like policies is the module's own affair. */
function exportedPolicies(module: Readonly<Record<string, unknown>>): PlacedList {
  const found = new Map<unknown, string>();
  for (const [name, value] of Object.entries(module)) {
    if (name !== "default" && !looksLikePolicies(value)) continue;
    for (const [item, path] of itemsOf(value, name)) if (!found.has(item)) found.set(item, path);
  }
  const paths = [...found.values()];
  return { policies: checkedPolicies([...found.keys()], (index) => paths[index] ?? ""), paths, placed: (issues) => issues };
}

const looksLikePolicies = (value: unknown): boolean =>
  Array.isArray(value) ? value.some(isPolicyLike) : isPolicyLike(value) || isPolicyList(value);

const isPolicyLike = (value: unknown): boolean => typeof value === "object" && value !== null && "layers" in value;

const isPolicyList = (value: unknown): value is { readonly policies: readonly unknown[] } =>
  typeof value === "object" && value !== null && "policies" in value && Array.isArray(value.policies);

function itemsOf(value: unknown, path: string): (readonly [item: unknown, path: string])[] {
  if (isPolicyList(value)) return itemsOf(value.policies, `${path}.policies`);
  if (Array.isArray(value)) return value.map((item: unknown, index) => [item, `${path}[${index}]`] as const);
  return [[value, path]];
}
