// readPolicyFile: the policies of a file, or what is wrong with it; JSON, YAML, or a module whose exports are policies.
import { readFile, stat } from "node:fs/promises";
import { extname } from "node:path";
import { policiesInText } from "../policy/parse.ts";
import { LONGEST_TEXT } from "../policy/text.ts";
import { readModuleApart } from "./apart.ts";
import { issuesOf, MODULES, type PolicyFile, type PolicyProblems, problemWith, TEXTS } from "./file.ts";
import { type ModuleOptions, readModule } from "./module.ts";

export interface ReadOptions extends ModuleOptions {
  /** Run a module in a process of its own, which ends with all that the module does; its policies come back as JSON. Default false. */
  readonly apart?: boolean;
}

export async function readPolicyFile(file: string, { apart = false, ...options }: ReadOptions = {}): Promise<PolicyFile> {
  const extension = extname(file);
  const isText = TEXTS.includes(extension);
  let bytes: Uint8Array | undefined;
  try {
    const unfit = await unfitness(file, extension);
    if (unfit !== undefined) return unfit;
    if (isText) bytes = await readFile(file);
  } catch (error) {
    return problemWith("PM0101", `cannot be opened: ${whyNot(error)}`);
  }
  const read = bytes === undefined ? await (apart ? readModuleApart : readModule)(file, options) : policiesOfBytes(bytes);
  if (read.kind === "problems" || read.policies.length > 0) return read;
  return problemWith("PM0112", "holds no policy", isText ? {} : { hint: "export policies, by name or as the default" });
}

/** The text of a file of whatever extension, or why there is none to read. */
export async function readTextFile(file: string): Promise<string | PolicyProblems> {
  try {
    return (await unfitness(file)) ?? textOf(await readFile(file)) ?? noText;
  } catch (error) {
    return problemWith("PM0101", `cannot be opened: ${whyNot(error)}`);
  }
}

/** Whether it is a file at all, of a known kind (unless any will do), and of a sane size, before anything of it is read. */
async function unfitness(file: string, extension?: string): Promise<PolicyProblems | undefined> {
  const stats = await stat(file);
  if (stats.isDirectory()) return problemWith("PM0102", "is a directory", { hint: "name the files in it" });
  if (!stats.isFile()) return problemWith("PM0102", "is not a file");
  const known = [...TEXTS, ...MODULES];
  if (extension !== undefined && !known.includes(extension)) {
    const what = extension === "" ? "a file without extension" : `"${extension}"`;
    return problemWith("PM0103", `${what} is no kind of file that holds policies`, { hint: `those are ${known.join(", ")}` });
  }
  if (stats.size <= LONGEST_TEXT) return undefined;
  const [size, most] = [stats.size, LONGEST_TEXT].map((bytes) => Math.round(bytes / 1024 / 1024));
  return problemWith("PM0104", `is ${size} MiB long, and at most ${most} MiB are read`, { hint: "is it the right file?" });
}

function whyNot(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "ENOENT" || code === "ENOTDIR") return "there is no such file";
  if (code === "EACCES" || code === "EPERM") return "it may not be read";
  return error instanceof Error ? error.message : String(error);
}

function policiesOfBytes(bytes: Uint8Array): PolicyFile {
  const text = textOf(bytes);
  if (text === undefined) return noText;
  try {
    return { kind: "policies", ...policiesInText(text) };
  } catch (error) {
    const issues = issuesOf(error);
    if (issues === undefined) throw error;
    return { kind: "problems", issues };
  }
}

const noText = problemWith("PM0105", "is not UTF-8 text", { hint: "save it as UTF-8, if it is the right file" });

function textOf(bytes: Uint8Array): string | undefined {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    return text.includes("\0") ? undefined : text;
  } catch {
    return undefined;
  }
}
