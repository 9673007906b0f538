// The policies of several files as one set, with all that is wrong with each file and between them.
import { issuesOf } from "../policy-files/file.ts";
import { readPolicyFile } from "../policy-files/read.ts";
import { issueText } from "../policy/invalid.ts";
import type { Policy } from "../policy/policy.ts";
import { checkedPolicies } from "../policy/validate.ts";

export interface PolicySet {
  readonly policies: readonly Policy[];
  /** What is wrong, a line each. */
  readonly problems: readonly string[];
}

export async function policiesOf(files: readonly string[]): Promise<PolicySet> {
  /** Each once, with its place: modules may export the policies of others. */
  const found = new Map<Policy, string>();
  const problems: string[] = [];
  for (const file of files) {
    // In this thread, since what a module adopts lives here; and one after the other, since modules may depend on each other.
    const read = await readPolicyFile(file);
    if (read.kind === "problems") problems.push(...read.issues.map((issue) => `${file}: ${issueText(issue)}`));
    else for (const [index, policy] of read.policies.entries()) if (!found.has(policy)) found.set(policy, placed(file, read.paths[index]));
  }
  const policies = [...found.keys()];
  return { policies, problems: [...problems, ...between(policies, [...found.values()])] };
}

const placed = (file: string, path = ""): string => (path === "" ? `${file}: ` : `${file}: ${path}.`);

/** What does not go together, such as two policies of one name. */
function between(policies: readonly Policy[], places: readonly string[]): string[] {
  try {
    checkedPolicies(policies, (index) => `policies[${index}]`);
    return [];
  } catch (error) {
    const issues = issuesOf(error);
    if (issues === undefined) throw error;
    return issues.map((issue) => issueText(issue).replaceAll(/policies\[(\d+)\]\./g, (_all, index: string) => places[Number(index)] ?? ""));
  }
}
