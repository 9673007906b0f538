// Reads the policies of a file: JSON, YAML, or a module whose exports are policies.
import { readFile } from "node:fs/promises";
import { extname, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { PolicyIssue } from "../policy/error.ts";
import { parsePolicies } from "../policy/parse.ts";
import type { Policy } from "../policy/policy.ts";
import { checkedPolicies } from "../policy/validate.ts";

export type Read =
  | { readonly kind: "policies"; readonly policies: readonly Policy[] }
  | { readonly kind: "issues"; readonly issues: readonly PolicyIssue[] }
  | { readonly kind: "unreadable"; readonly reason: string };

const TEXTS = [".json", ".yaml", ".yml"];
const MODULES = [".ts", ".mts", ".js", ".mjs"];

export async function readPolicies(file: string): Promise<Read> {
  const extension = extname(file);
  if (!TEXTS.includes(extension) && !MODULES.includes(extension)) {
    return {
      kind: "unreadable",
      reason: `"${extension}" is not a kind of file that holds policies; those are ${[...TEXTS, ...MODULES].join(", ")}`,
    };
  }
  try {
    const read = TEXTS.includes(extension)
      ? parsePolicies(await readFile(file, "utf8"))
      : exportedPolicies((await import(pathToFileURL(resolve(file)).href)) as Readonly<Record<string, unknown>>); // the cast: what a module is
    if (read.length === 0) return { kind: "issues", issues: [{ path: "", message: "holds no policy" }] };
    return { kind: "policies", policies: read };
  } catch (error) {
    const issues = issuesOf(error);
    return issues === undefined
      ? { kind: "unreadable", reason: error instanceof Error ? error.message : String(error) }
      : { kind: "issues", issues };
  }
}

/** Prints what is wrong, and gives the exit status that goes with it. */
export function told(file: string, read: Read): number {
  if (read.kind === "policies") return 0;
  if (read.kind === "unreadable") {
    console.error(`${file}: cannot be read: ${read.reason}`);
    return 2;
  }
  for (const { path, message, hint } of read.issues) {
    console.log(`${file}: ${path === "" ? "" : `${path}: `}${message}${hint === undefined ? "" : ` (${hint})`}`);
  }
  return 1;
}

/** By its code and not its class: a policy module brings its own copy of premesh. */
function issuesOf(error: unknown): readonly PolicyIssue[] | undefined {
  if (typeof error !== "object" || error === null || !("code" in error) || error.code !== "ERR_PREMESH_INVALID_POLICY") return undefined;
  return "issues" in error && Array.isArray(error.issues) ? (error.issues as PolicyIssue[]) : undefined; // the cast: the code says what it is
}

/** The policies among the exports of a module, each once. What is exported by name and does not look like policies is the module's own affair. */
function exportedPolicies(module: Readonly<Record<string, unknown>>): readonly Policy[] {
  const paths = new Map<unknown, string>();
  for (const [name, value] of Object.entries(module)) {
    if (name !== "default" && !looksLikePolicies(value)) continue;
    for (const [item, path] of itemsOf(value, name)) if (!paths.has(item)) paths.set(item, path);
  }
  const places = [...paths.values()];
  return checkedPolicies([...paths.keys()], (index) => places[index] ?? "");
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
