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

/** Prints the problems of a file that is of no use to a command, on stderr, and gives the exit status. */
export function printProblems(file: string, issues: readonly PolicyIssue[]): number {
  for (const issue of issues) console.error(problemLine(file, issue));
  return statusOf(issues);
}
