// premesh check: tells everything that is wrong with the policies in files.
import type { Command } from "./command.ts";
import { readPolicies, told } from "./read.ts";

export const check: Command = {
  name: "check",
  usage: "check <file...>",
  summary: "tell every problem of the policies in these files",
  misuse: (files) => (files.length === 0 ? "check needs at least one file" : undefined),
  run: async (files) => {
    let code = 0;
    for (const file of files) {
      const read = await readPolicies(file);
      code = Math.max(code, told(file, read));
      if (read.kind === "policies")
        console.log(`${file}: ok, ${read.policies.length === 1 ? "1 policy" : `${read.policies.length} policies`}`);
    }
    return code;
  },
};
