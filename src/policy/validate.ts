// Checks definitions: every issue at once, each with its path and, where there is one, a hint.
import { createRequire } from "node:module";
import type { ZodType } from "zod";
import { adoptionIssues, withInstances } from "./adoption.ts";
import { clashes, contradictions } from "./contradictions.ts";
import type { PolicyIssue } from "./error.ts";
import { frozen } from "./freeze.ts";
import { invalidPolicy } from "./invalid.ts";
import { join } from "./path.ts";
import { misshapen } from "./plain.ts";
import type { Policy } from "./policy.ts";
import { policyFileSchema, policySchema } from "./policy-schema.ts";
import { quickly } from "./quick-check.ts";
import type { Zod } from "./schema.ts";
import { explained } from "./schema-issues.ts";

interface Checker {
  readonly z: Zod;
  readonly policy: ZodType<Policy>;
  /** All names of fields, for hints. Made when something is wrong: that takes as long as loading zod. */
  readonly words: () => readonly string[];
}

let checker: Checker | undefined;

/** Zod costs 40 ms and 9 MB to load, more than all else together: it comes when something is wrong. */
function loaded(): Checker {
  if (checker !== undefined) return checker;
  const z = createRequire(import.meta.url)("zod") as Zod; // the cast: require is untyped
  let words: readonly string[] | undefined;
  return (checker = {
    z,
    policy: policySchema(z),
    words: () => (words ??= fieldNames(z.toJSONSchema(policyFileSchema(z)))),
  });
}

const known = new WeakSet<Policy>();

/** The policies, checked and frozen; those that were checked before are taken as they are. Throws `ERR_PREMESH_INVALID_POLICY` with every issue. */
export function checkedPolicies(inputs: readonly unknown[], path: (index: number) => string): Policy[] {
  const issues: PolicyIssue[] = [];
  // not by map: a hole in the list is a policy that is missing
  const entries = Array.from(inputs, (input, index) => ({ name: nameOf(input), policy: checkedPolicy(input, path(index), issues) }));
  issues.push(...clashes(entries, path));
  if (issues.length > 0) throw invalidPolicy(issues);
  return entries.flatMap(({ policy }) => policy ?? []);
}

function checkedPolicy(input: unknown, path: string, issues: PolicyIssue[]): Policy | undefined {
  if (typeof input === "object" && input !== null && known.has(input as Policy)) return input as Policy; // the casts: only policies are in the set
  const { issues: shape, fatal } = misshapen(input);
  const name = nameOf(input);
  const found: PolicyIssue[] = shape.map((issue) => Object.assign({}, issue, { path: join(path, issue.path) }));
  if (fatal) {
    issues.push(...found);
    return undefined;
  }
  const data = right(input) ?? explainedShape(input, path, found);
  found.push(...contradictions(input, path), ...adoptionIssues(input, path));
  if (found.length > 0 || data === undefined) {
    issues.push(...(name === undefined ? found : found.map((issue) => Object.assign({ policy: name }, issue))));
    return undefined;
  }
  const policy = frozen(withInstances(data, input as Policy)); // the cast: the schema has said so
  known.add(policy);
  return policy;
}

let quick: ((value: unknown) => unknown) | undefined;

/** A copy of what is right for certain. */
function right(input: unknown): Policy | undefined {
  quick ??= quickly(policySchema);
  return quick(input) as Policy | undefined; // the cast: the schema is that of policies
}

/** Adds to the issues what the schema says, where none is at that place. */
function explainedShape(input: unknown, path: string, issues: PolicyIssue[]): Policy | undefined {
  const { policy, words } = loaded();
  const result = policy.safeParse(input);
  if (result.success) return result.data;
  const named = new Set(issues.map((issue) => issue.path));
  issues.push(...result.error.issues.flatMap((issue) => explained(issue, input, path, words())).filter((issue) => !named.has(issue.path)));
  return undefined;
}

/** What a schema of ours says of a value that is no policy; issues, or the value. */
export function checkedShape<T>(
  input: unknown,
  schemaOf: (z: Zod) => ZodType<T>,
): { readonly value?: T; readonly issues: readonly PolicyIssue[] } {
  const { issues, fatal } = misshapen(input);
  if (fatal) return { issues };
  const { z } = loaded();
  const schema = schemaOf(z);
  const result = schema.safeParse(input);
  if (result.success && issues.length === 0) return { value: frozen(result.data), issues };
  const words = fieldNames(z.toJSONSchema(schema));
  return { issues: [...issues, ...(result.error?.issues.flatMap((issue) => explained(issue, input, "", words)) ?? [])] };
}

/** For issues: which policy they are in, if it says so. */
function nameOf(input: unknown): string | undefined {
  const name = (input as { name?: unknown } | null | undefined)?.name; // the cast: anything may come
  return typeof name === "string" && name.length <= 64 ? name : undefined;
}

function fieldNames(schema: unknown, names = new Set<string>()): string[] {
  if (typeof schema === "object" && schema !== null) {
    for (const [key, value] of Object.entries(schema)) {
      if (key === "properties") for (const name of Object.keys(value as object)) names.add(name); // the cast: JSON Schema's own shape
      fieldNames(value, names);
    }
  }
  return [...names];
}
