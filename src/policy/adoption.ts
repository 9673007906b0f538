// What is tied to definitions on its way through the check of a policy: each layer that needs an instance has it, and the checked copy keeps it.
import { adoptionProblem } from "../layers/adopt/definition.ts";
import { instanceOf, retied } from "./adopted.ts";
import { join } from "./path.ts";
import type { Policy } from "./policy.ts";
import type { CodedIssue } from "./problems.ts";

type Fields = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Fields => typeof value === "object" && value !== null;

/** What is wrong with the instances in the layers of what may be a policy. */
export function adoptionIssues(input: unknown, path: string): CodedIssue[] {
  const { layers } = (input ?? {}) as { layers?: unknown }; // the cast: anything may come; what is no list is skipped
  if (!Array.isArray(layers)) return [];
  return layers.flatMap((layer: unknown, index): CodedIssue[] => {
    if (!isObject(layer)) return [];
    const where = join(path, `layers[${index}]`);
    if (layer["kind"] === "route") return lostFunctions(layer["to"], where);
    const problem = layer["kind"] === "adopt" ? adoptionProblem(layer) : undefined;
    return problem === undefined ? [] : [{ path: where, ...problem }];
  });
}

/** Entries of a route whose function has not come along. */
function lostFunctions(entries: unknown, where: string): CodedIssue[] {
  if (!Array.isArray(entries)) return [];
  return entries.flatMap((entry: unknown, index): CodedIssue[] => {
    if (!isObject(entry) || entry["endpoints"] !== "function" || typeof instanceOf(entry) === "function") return [];
    return [
      {
        code: "PM0308",
        path: `${where}.to[${index}].endpoints`,
        message: "has no function: it exists only in the process that made it",
        hint: "write route({ to: [{ endpoints: yourFunction }] }) in the code that makes the policy; files hold lists, dns, srv and file",
      },
    ];
  });
}

/** The checked copy, with the instances that are tied to the layers of its original. */
export function withInstances(checked: Policy, { layers }: Policy): Policy {
  retied(checked.layers, layers);
  return checked;
}
