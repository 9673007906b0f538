// premesh check: tells everything that is wrong or questionable about the policies in files.
import type { PolicyIssue } from "../policy/error.ts";
import { counted } from "../policy/figures.ts";
import type { Policy } from "../policy/policy.ts";
import { revision } from "../policy/revision.ts";
import { warningsOf } from "../policy/warnings.ts";
import { readPolicyFile } from "../policy-files/read.ts";
import type { Command } from "./command.ts";
import { annotation, problemJson, problemLine, statusOf } from "./problems.ts";

interface Checked {
  readonly file: string;
  readonly policies: readonly Policy[];
  readonly problems: readonly PolicyIssue[];
}

async function checked(file: string): Promise<Checked> {
  const read = await readPolicyFile(file, { apart: true });
  if (read.kind === "problems") return { file, policies: [], problems: read.issues };
  return { file, policies: read.policies, problems: inOrder(read.placed(warningsOf(read.policies, read.paths))) };
}

/** By line, where there are lines. */
const inOrder = (issues: readonly PolicyIssue[]): readonly PolicyIssue[] =>
  issues.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0));

function linesOf({ file, policies, problems }: Checked): readonly string[] {
  const lines = problems.map((problem) => problemLine(file, problem));
  if (policies.length === 0) return lines;
  const found = problems.length === 0 ? "" : `, ${counted(problems.length, "warning")}`;
  return [...lines, `${file}: ok, ${counted(policies.length, "policy", "policies")}${found}`];
}

function jsonOf(files: readonly Checked[], strict: boolean): string {
  return JSON.stringify(
    {
      ok: files.every(({ problems }) => statusOf(problems, strict) === 0),
      files: files.map(({ file, policies, problems }) => ({
        file,
        ok: statusOf(problems, strict) === 0,
        policies: policies.map((policy) => ({ name: policy.name, revision: revision(policy) })),
        problems: problems.map(problemJson),
      })),
    },
    undefined,
    2,
  );
}

export const check: Command = {
  name: "check",
  usage: "check <file...>",
  summary: "tell every problem of the policies in these files",
  options: {
    json: { summary: "print one JSON document instead of lines" },
    github: { summary: "print GitHub workflow annotations instead of lines" },
    strict: { summary: "exit with 1 for warnings too" },
  },
  misuse: ({ rest, has }) => {
    if (has("json") && has("github")) return "--json and --github are two forms of one output";
    return rest.length === 0 ? "check needs at least one file" : undefined;
  },
  run: async ({ rest, has }) => {
    const files: Checked[] = [];
    for (const file of rest) {
      const one = await checked(file);
      files.push(one);
      if (has("github")) for (const problem of one.problems) console.log(annotation(file, problem));
      else if (!has("json")) for (const line of linesOf(one)) console.log(line);
    }
    if (has("json")) console.log(jsonOf(files, has("strict")));
    return Math.max(...files.map(({ problems }) => statusOf(problems, has("strict"))));
  },
};
