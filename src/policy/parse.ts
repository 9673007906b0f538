// parsePolicies: policies from JSON or YAML text, or from what such a text holds.
import { PolicyError, type PolicyIssue } from "./error.ts";
import { invalidPolicy } from "./invalid.ts";
import { placed } from "./places.ts";
import type { Policy } from "./policy.ts";
import type { CodedIssue, ProblemCode } from "./problems.ts";
import { readText } from "./text.ts";
import { checkedPolicies } from "./validate.ts";

/**
 * Reads policies from JSON or YAML text, or from a value: `{ "policies": [...] }`, one policy, or a list of policies.
 *
 * Errors: `ERR_PREMESH_INVALID_POLICY`, whose `issues` name everything that is wrong, with its path and, for a text, its line and column.
 *
 * @example
 * ```ts
 * const policies = parsePolicies(await readFile("policies.yaml", "utf8"));
 * ```
 */
export function parsePolicies(source: unknown): readonly Policy[] {
  return (typeof source === "string" ? policiesInText(source) : policiesIn(source)).policies;
}

/** Policies with the path of each in what they came from. */
export interface PolicyList {
  readonly policies: readonly Policy[];
  readonly paths: readonly string[];
}

export interface PlacedList extends PolicyList {
  /** Gives issues about these policies their lines. */
  readonly placed: (issues: readonly PolicyIssue[]) => readonly PolicyIssue[];
}

/** The policies of a text; throws `ERR_PREMESH_INVALID_POLICY`, its issues with their lines. */
export function policiesInText(text: string): PlacedList {
  const { value, spots } = readText(text);
  if (value === null) throw invalidPolicy([issue("PM0112", "", "is empty: it holds no policy")]);
  const placedHere: PlacedList["placed"] = (issues) => placed(issues, text, spots);
  try {
    return { ...policiesIn(value), placed: placedHere };
  } catch (error) {
    throw error instanceof PolicyError ? invalidPolicy(placedHere(error.issues)) : error;
  }
}

/** The policies of a document; throws `ERR_PREMESH_INVALID_POLICY`. */
function policiesIn(document: unknown): PolicyList {
  if (Array.isArray(document)) return checkedList(document, (index) => `[${index}]`);
  if (typeof document === "object" && document !== null && "policies" in document) {
    const extra = Object.keys(document).filter((key) => key !== "policies" && key !== "$schema");
    if (extra.length > 0) throw invalidPolicy(extra.map((key) => issue("PM0201", key, 'is not a known field beside "policies"')));
    if (!Array.isArray(document.policies)) throw invalidPolicy([issue("PM0203", "policies", "must be a list")]);
    return checkedList(document.policies, (index) => `policies[${index}]`);
  }
  return checkedList([document], () => "");
}

function checkedList(items: readonly unknown[], path: (index: number) => string): PolicyList {
  const policies = checkedPolicies(items, path);
  return { policies, paths: policies.map((_policy, index) => path(index)) };
}

const issue = (code: ProblemCode, path: string, message: string): CodedIssue => ({ code, path, message });
