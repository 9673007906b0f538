// invalidPolicy: the error that carries everything that is wrong with definitions.
import { PolicyError, type PolicyIssue } from "./error.ts";

export function invalidPolicy(issues: readonly PolicyIssue[], cause?: unknown): PolicyError {
  const text = issues.map((issue) => `\n  ${issueText(issue)}`).join("");
  return new PolicyError("ERR_PREMESH_INVALID_POLICY", `invalid policy:${text}`, { issues, cause });
}

/** One issue on one line, with its place. */
export function issueText({ line, column, path, message, hint, code }: PolicyIssue): string {
  const place = line === undefined ? "" : `line ${line}, column ${column}: `;
  return `${place}${path === "" ? "" : `${path}: `}${message}${hint === undefined ? "" : ` (${hint})`} [${code}]`;
}
