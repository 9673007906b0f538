// Adopted instances on their way through the check of a policy: each layer that needs one has it, and the checked copy keeps it.
import { adoptionProblem } from "../layers/adopt/definition.ts";
import { instanceOf, tied } from "./adopted.ts";
import { join } from "./path.ts";
import type { Policy } from "./policy.ts";
import type { CodedIssue } from "./problems.ts";

/** What is wrong with the `adopt` layers of what may be a policy. */
export function adoptionIssues(input: unknown, path: string): CodedIssue[] {
  const { layers } = (input ?? {}) as { layers?: unknown }; // the cast: anything may come; what is no list is skipped
  if (!Array.isArray(layers)) return [];
  return layers.flatMap((layer: unknown, index): CodedIssue[] => {
    if (typeof layer !== "object" || layer === null || (layer as { kind?: unknown }).kind !== "adopt") return []; // the cast: as above
    const problem = adoptionProblem(layer);
    return problem === undefined ? [] : [{ path: join(path, `layers[${index}]`), ...problem }];
  });
}

/** The checked copy, with the instances that are tied to the layers of its original. */
export function withInstances(checked: Policy, { layers }: Policy): Policy {
  for (const [index, layer] of checked.layers.entries()) {
    const instance = instanceOf(layers[index]);
    if (instance !== undefined) tied(layer, instance);
  }
  return checked;
}
