// premesh check: tells everything that is wrong or questionable about the policies in files.
import { readPolicyFile } from "../policy-files/read.ts";
import type { Command } from "./command.ts";
import { problemLine, statusOf } from "./problems.ts";

export const check: Command = {
  name: "check",
  usage: "check <file...>",
  summary: "tell every problem of the policies in these files",
  options: {
    strict: { summary: "exit with 1 for warnings too" },
  },
  misuse: ({ rest }) => (rest.length === 0 ? "check needs at least one file" : undefined),
  run: async ({ rest: files, has }) => {
    let status = 0;
    for (const file of files) {
      const read = await readPolicyFile(file, { apart: true });
      const issues = read.kind === "problems" ? read.issues : [];
      status = Math.max(status, statusOf(issues, has("strict")));
      for (const issue of issues) console.log(problemLine(file, issue));
      if (read.kind === "policies")
        console.log(`${file}: ok, ${read.policies.length === 1 ? "1 policy" : `${read.policies.length} policies`}`);
    }
    return status;
  },
};
