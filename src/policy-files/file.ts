// PolicyFile: what reading a file of policies gives, and the kinds of files there are.
import type { PolicyIssue } from "../policy/error.ts";
import type { PlacedList } from "../policy/parse.ts";
import type { CodedIssue, ProblemCode } from "../policy/problems.ts";

export type PolicyFile = ({ readonly kind: "policies" } & PlacedList) | PolicyProblems;

/** What is wrong with the policies, or the one reason why there is nothing to check. */
export interface PolicyProblems {
  readonly kind: "problems";
  readonly issues: readonly PolicyIssue[];
}

export const TEXTS: readonly string[] = [".json", ".yaml", ".yml"];
export const MODULES: readonly string[] = [".ts", ".mts", ".js", ".mjs"];

type More = Pick<PolicyIssue, "hint" | "line" | "column">;

export const problemWith = (code: ProblemCode, message: string, more: More = {}): PolicyProblems => ({
  kind: "problems",
  issues: [{ code, path: "", message, ...more } satisfies CodedIssue],
});

/** By its code and not its class: a policy module brings its own copy of premesh. */
export function issuesOf(error: unknown): readonly PolicyIssue[] | undefined {
  if (typeof error !== "object" || error === null || !("code" in error) || error.code !== "ERR_PREMESH_INVALID_POLICY") return undefined;
  return "issues" in error && Array.isArray(error.issues) ? (error.issues as PolicyIssue[]) : undefined; // the cast: the code says what it is
}
