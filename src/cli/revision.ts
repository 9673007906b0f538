// premesh revision: prints the revision of each policy in a file.
import { revision } from "../policy/revision.ts";
import type { Command } from "./command.ts";
import { readPolicies, told } from "./read.ts";

export const revisionCommand: Command = {
  name: "revision",
  usage: "revision <file>",
  summary: "print the revision and the name of each policy in this file",
  misuse: (files) => (files.length === 1 ? undefined : "revision needs one file"),
  run: async ([file = ""]) => {
    const read = await readPolicies(file);
    if (read.kind === "policies") for (const policy of read.policies) console.log(`${revision(policy)} ${policy.name}`);
    return told(file, read);
  },
};
