// premesh explain: tells which policy a call goes to, what its layers do, and how bad it can get.
import { readPolicyFile } from "../policy-files/read.ts";
import type { Command } from "./command.ts";
import { explained, explainedJson } from "./explain/explained.ts";
import { explainedText } from "./explain/page.ts";
import { questionOf } from "./explain/question.ts";
import { printProblems } from "./problems.ts";

const problemIn = (words: Parameters<typeof questionOf>[0]): string | undefined => {
  if (words.rest.length === 0) return "explain needs a file";
  const question = questionOf(words);
  return typeof question === "string" ? question : undefined;
};

export const explain: Command = {
  name: "explain",
  usage: "explain <file> [METHOD] <url>",
  summary: "tell which policy a call goes to, what its layers do, and the worst case",
  options: {
    policy: { value: "name", summary: "explain the policy of that name, as run uses it, in place of a URL" },
    json: { summary: "print one JSON document instead of text" },
  },
  details: [
    "A gRPC method is written payments.v1.Payments/Charge, or with its host grpc://payments.internal/payments.v1.Payments/Charge.",
    "Exit status: 0 explained, 1 no policy matches or policies are wrong, 2 wrong usage or a file that cannot be read.",
  ].join("\n"),
  misuse: problemIn,
  run: async (words) => {
    const [file = ""] = words.rest;
    const question = questionOf(words);
    if (typeof question === "string") return 2; // `misuse` has said why
    const read = await readPolicyFile(file, { apart: true });
    if (read.kind === "problems") return printProblems(file, read.issues);
    const { policies, paths } = read;
    const found = explained(question, policies, paths);
    if (found === undefined) {
      const known = policies.map(({ name }) => name).join(", ");
      const why =
        question.call === undefined
          ? `there is no policy "${question.policy ?? ""}"`
          : "no policy matches, so it goes through as if premesh were not there";
      console.error(`${question.shown}: ${why}; ${file} has ${known}`);
      return 1;
    }
    const [spot] = read.placed([{ code: "", path: paths[found.at] ?? "", message: "" }]);
    console.log(words.has("json") ? JSON.stringify(explainedJson(found, file), undefined, 2) : explainedText(found, file, spot?.line));
    return 0;
  },
};
