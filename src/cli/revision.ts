// premesh revision: prints the revision of each policy in a file.
import { revision } from "../policy/revision.ts";
import { readPolicyFile } from "../policy-files/read.ts";
import type { Command } from "./command.ts";
import { printProblems } from "./problems.ts";

export const revisionCommand: Command = {
  name: "revision",
  usage: "revision <file>",
  summary: "print the revision and the name of each policy in this file",
  options: {},
  misuse: ({ rest }) => (rest.length === 1 ? undefined : "revision needs one file"),
  run: async ({ rest: [file = ""] }) => {
    const read = await readPolicyFile(file, { apart: true });
    if (read.kind === "problems") return printProblems(file, read.issues);
    for (const policy of read.policies) console.log(`${revision(policy)} ${policy.name}`);
    return 0;
  },
};
