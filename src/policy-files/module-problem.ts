// moduleProblem: why a module of policies did not load, with the line of the module's own that it was at.
import { execFile } from "node:child_process";
import { relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { inspect } from "node:util";
import type { Place } from "../policy/places.ts";
import type { ProblemCode } from "../policy/problems.ts";
import { issuesOf, type PolicyFile, problemWith } from "./file.ts";

interface Where extends Place {
  readonly file: string;
  /** It stands above a caret, as Node writes it for a text that it cannot parse. */
  readonly caret: boolean;
}

export async function moduleProblem(error: unknown, file: string): Promise<PolicyFile> {
  const path = resolve(file);
  const where = whereIn(error, path);
  const issues = issuesOf(error);
  if (issues !== undefined) {
    const place = where?.file === path ? { line: where.line, column: where.column } : {};
    return { kind: "problems", issues: issues.map((issue) => Object.assign({}, place, issue)) };
  }
  const [code, hint] = sortOf(error, where === undefined || where.caret);
  const at = where ?? (code === "PM0124" ? await syntaxErrorOf(path) : undefined);
  const message = `${SAYS[code] ?? "throws while it loads"}: ${messageOf(error)}`;
  const hinted = hint === undefined ? {} : { hint };
  if (at?.file === path) return problemWith(code, message, { ...hinted, line: at.line, column: at.column });
  const elsewhere = at === undefined ? "" : `, at ${relative(process.cwd(), at.file)}:${at.line}:${at.column}`;
  return problemWith(code, message + elsewhere, hinted);
}

const SAYS: Partial<Record<ProblemCode, string>> = {
  PM0124: "has a syntax error",
  PM0125: "needs TypeScript that Node does not run",
  PM0126: "imports something that is not there",
};

/** `unparsed`: no code of the module has run; a SyntaxError may also come of what it parses. */
function sortOf(error: unknown, unparsed: boolean): readonly [code: ProblemCode, hint?: string] {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX")
    return [
      "PM0125",
      "Node leaves types out and runs the rest, so write an enum as an object with `as const`, and a parameter property as a field",
    ];
  if (code === "ERR_UNSUPPORTED_NODE_MODULES_TYPE_STRIPPING") return ["PM0125", "below node_modules only JavaScript runs"];
  if (code === "ERR_UNKNOWN_FILE_EXTENSION") return ["PM0125", "run it with Node 22.18 or above"];
  if (code === "ERR_MODULE_NOT_FOUND" || code === "MODULE_NOT_FOUND" || code === "ERR_PACKAGE_PATH_NOT_EXPORTED")
    return ["PM0126", "install the package, or correct the path; a path needs its extension"];
  if (error instanceof Error && error.name === "SyntaxError" && unparsed)
    return / does not provide an export named /.test(error.message) ? ["PM0126"] : ["PM0124"];
  return ["PM0121"];
}

const messageOf = (error: unknown): string =>
  error instanceof Error ? (error.message.split("\n", 1)[0] ?? "") : inspect(error, { breakLength: Number.POSITIVE_INFINITY });

/** The place of a syntax error above its caret, else the first frame of the stack that is in the module, else the first in any file. */
function whereIn(error: unknown, path: string): Where | undefined {
  const stack = error instanceof Error ? (error.stack ?? "") : "";
  const caret = caretOf(stack);
  if (caret !== undefined) return caret;
  const frames = Array.from(
    stack.matchAll(/^ +at (?:.*\()?((?:file:|\/|[A-Za-z]:\\).*?):(\d+):(\d+)\)?$/gm),
    ([, file = "", line, column]) => ({
      file: pathOf(file),
      line: Number(line),
      column: Number(column),
      caret: false,
    }),
  );
  return frames.find(({ file }) => file === path) ?? (issuesOf(error) === undefined ? frames[0] : undefined);
}

/** What Node writes above a syntax error: the file and line, the text of the line (perhaps of the one before), and carets below it. */
function caretOf(text: string): Where | undefined {
  const [, file, line, blanks] = /^((?:file:|\/|[A-Za-z]:\\).*):(\d+)\n(?:.*\n){1,2}?( *)\^/.exec(text) ?? [];
  return file === undefined ? undefined : { file: pathOf(file), line: Number(line), column: (blanks ?? "").length + 1, caret: true };
}

const pathOf = (file: string): string => (file.startsWith("file:") ? fileURLToPath(file) : file);

/** Node gives a program no line of a syntax error in a JavaScript module, but prints it. */
function syntaxErrorOf(path: string): Promise<Where | undefined> {
  return new Promise((done) => {
    execFile(process.execPath, ["--check", path], { timeout: 10_000, env: { ...process.env, NODE_OPTIONS: "" } }, (_error, _out, printed) =>
      done(caretOf(printed)),
    );
  });
}
