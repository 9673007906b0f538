// Problems of a file as lines, the way compilers write them, and the exit status that goes with them.
import { styleText } from "node:util";
import type { PolicyIssue } from "../policy/error.ts";
import { problemOf } from "../policy/problems.ts";

/** 0 nothing is wrong, 1 policies are, 2 there was nothing to check. Warnings count when `strict`. */
export function statusOf(issues: readonly PolicyIssue[], strict = false): number {
  const found = issues.map(({ code }) => problemOf(code));
  if (found.some(({ unreadable }) => unreadable === true)) return 2;
  return found.some(({ severity }) => severity === "error" || strict) ? 1 : 0;
}

/** `policies.yaml:12:5: error PM0203 [payments] layers[2].attempts: must be ... (hint)`; colours only for a terminal, and not under NO_COLOR. */
export function problemLine(file: string, { code, path, message, hint, policy, line, column }: PolicyIssue): string {
  const { severity } = problemOf(code);
  const place = line === undefined ? file : `${file}:${line}:${column ?? 1}`;
  const sort = styleText(severity === "error" ? "red" : "yellow", severity, { stream: process.stdout });
  const whose = policy === undefined ? "" : `[${policy}] `;
  return `${place}: ${sort} ${code} ${whose}${path === "" ? "" : `${path}: `}${message}${hint === undefined ? "" : ` (${hint})`}`;
}

/** Where a code is explained, in the repository. */
const anchorOf = (code: string): string => `docs/reference/problems.md#${code.toLowerCase()}`;

/** A problem as `--json` prints it: every field always there. */
export function problemJson({ code, path, policy, line, column, message, hint }: PolicyIssue): Readonly<Record<string, unknown>> {
  const none = null; // JSON has no undefined
  const where = { path, policy: policy ?? none, line: line ?? none, column: column ?? none };
  return { code, severity: problemOf(code).severity, ...where, message, hint: hint ?? none, anchor: anchorOf(code) };
}

/**
 * A GitHub workflow command (docs.github.com, "Workflow commands for GitHub Actions"): GitHub shows it at the line of the file. In a message `%` and
 * line ends are escaped, in a property `:` and `,` too.
 */
export function annotation(file: string, { code, path, message, hint, policy, line, column }: PolicyIssue): string {
  const place = line === undefined ? {} : { line, col: column ?? 1 };
  const properties = Object.entries({ file, ...place, title: policy === undefined ? code : `${code} ${policy}` });
  const text = `${path === "" ? "" : `${path}: `}${message}${hint === undefined ? "" : ` (${hint})`}`;
  const property = (value: string): string => escaped(value).replaceAll(":", "%3A").replaceAll(",", "%2C");
  return `::${problemOf(code).severity} ${properties.map(([name, value]) => `${name}=${property(String(value))}`).join(",")}::${escaped(text)}`;
}

const escaped = (text: string): string => text.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");

/** Prints the problems of a file that is of no use to a command, on stderr, and gives the exit status. */
export function printProblems(file: string, issues: readonly PolicyIssue[]): number {
  for (const issue of issues) console.error(problemLine(file, issue));
  return statusOf(issues);
}
