// Checks definitions: every issue at once, each with its path and, where there is one, a hint.
import { createRequire } from "node:module";
import type { core, ZodType } from "zod";
import { durationMs } from "./duration.ts";
import { PolicyError, type PolicyIssue } from "./error.ts";
import { frozen } from "./freeze.ts";
import { kinds, PLANNED_KINDS } from "./kinds.ts";
import { at, join, pathText } from "./path.ts";
import { misshapen } from "./plain.ts";
import { nearest } from "./nearest.ts";
import type { Policy } from "./policy.ts";
import { policyFileSchema, policySchema } from "./policy-schema.ts";
import { canonicalLayerJson } from "./revision.ts";
import type { Zod } from "./schema.ts";

interface Checker {
  readonly z: Zod;
  readonly policy: ZodType<Policy>;
  readonly words: readonly string[];
}

let checker: Checker | undefined;

/** Zod costs 40 ms to load, more than all else together: it comes with the first definition, not with the import. */
function loaded(): Checker {
  if (checker !== undefined) return checker;
  const z = createRequire(import.meta.url)("zod") as Zod; // the cast: require is untyped
  return (checker = { z, policy: policySchema(z), words: fieldNames(z.toJSONSchema(policyFileSchema(z))) });
}

const known = new WeakSet<Policy>();

/** The policies, checked and frozen; those that were checked before are taken as they are. Throws a {@link PolicyError} that lists every issue. */
export function checkedPolicies(inputs: readonly unknown[], path: (index: number) => string): Policy[] {
  const issues: PolicyIssue[] = [];
  const policies: Policy[] = [];
  for (const [index, input] of inputs.entries()) {
    const policy = checkedPolicy(input, path(index), issues);
    if (policy !== undefined) policies.push(policy);
  }
  issues.push(...clashes(policies, path));
  if (issues.length > 0) throw invalid(issues);
  return policies;
}

function checkedPolicy(input: unknown, path: string, issues: PolicyIssue[]): Policy | undefined {
  if (typeof input === "object" && input !== null && known.has(input as Policy)) return input as Policy; // the casts: only policies are in the set
  const { policy: schema } = loaded();
  const { issues: shape, fatal } = misshapen(input);
  const found = shape.map((issue) => ({ ...issue, path: join(path, issue.path) }));
  if (fatal) {
    issues.push(...found);
    return undefined;
  }
  const result = schema.safeParse(input);
  const named = new Set(shape.map((issue) => join(path, issue.path)));
  if (!result.success) {
    found.push(...result.error.issues.flatMap((issue) => explained(issue, input, path)).filter((issue) => !named.has(issue.path)));
  }
  found.push(...contradictions(input, path));
  if (found.length > 0 || !result.success) {
    issues.push(...found);
    return undefined;
  }
  const policy = frozen(result.data);
  known.add(policy);
  return policy;
}

function invalid(issues: readonly PolicyIssue[]): PolicyError {
  const lines = issues.map(
    ({ path, message, hint }) => `  ${path === "" ? "" : `${path}: `}${message}${hint === undefined ? "" : ` (${hint})`}`,
  );
  return new PolicyError("ERR_PREMESH_INVALID_POLICY", `invalid policy:\n${lines.join("\n")}`, { issues });
}

/** What the schema of one field cannot see: fields and layers that do not go together. */
function contradictions(input: unknown, path: string): PolicyIssue[] {
  const layers = (input as { layers?: unknown } | null | undefined)?.layers; // the cast: anything may come; what is no list is skipped
  if (!Array.isArray(layers)) return [];
  const issues: PolicyIssue[] = [];
  const names = new Map<string, number>();
  const single = new Map<string, number>();
  for (const [index, layer] of layers.entries() as ArrayIterator<[number, Partial<Record<string, unknown>> | null]>) {
    const where = join(path, `layers[${index}]`);
    if (typeof layer !== "object" || layer === null) continue;
    const { kind, name } = layer;
    if (typeof name === "string") {
      const first = names.get(name);
      if (first !== undefined)
        issues.push({
          path: `${where}.name`,
          message: `"${name}" is the name of layers[${first}] already`,
          hint: "names are unique in a policy",
        });
      else names.set(name, index);
    }
    if (kind === "trace" || kind === "idempotency") {
      const first = single.get(kind);
      if (first !== undefined)
        issues.push({
          path: where,
          message: `a policy has at most one ${kind} layer; layers[${first}] is one`,
          hint: "remove one of them",
        });
      else single.set(kind, index);
    }
    if (kind === "breaker" && ms(layer["maxOpenFor"]) < (ms(layer["openFor"]) || 5_000)) {
      issues.push({ path: `${where}.maxOpenFor`, message: "is shorter than openFor", hint: "it is what openFor grows to" });
    }
    const backoff = layer["backoff"] as { base?: unknown; max?: unknown } | undefined; // the cast: only read, and only as durations
    if (kind === "retry" && typeof backoff === "object" && ms(backoff.max) < (ms(backoff.base) || 0)) {
      issues.push({ path: `${where}.backoff.max`, message: "is shorter than backoff.base", hint: "it is what the wait grows to" });
    }
  }
  return issues;
}

const ms = (value: unknown): number => (typeof value === "string" ? durationMs(value) : Number.NaN);

/** What one policy alone cannot show: names used twice. */
function clashes(policies: readonly Policy[], path: (index: number) => string): PolicyIssue[] {
  const issues: PolicyIssue[] = [];
  const names = new Set<string>();
  const shared = new Map<string, { where: string; text: string }>();
  for (const [index, policy] of policies.entries()) {
    if (names.has(policy.name))
      issues.push({
        path: join(path(index), "name"),
        message: `there are two policies with the name "${policy.name}"`,
        hint: "names are unique",
      });
    names.add(policy.name);
    for (const [position, layer] of policy.layers.entries()) {
      if (layer.name === undefined) continue;
      const where = join(path(index), `layers[${position}]`);
      const text = canonicalLayerJson(layer);
      const first = shared.get(layer.name);
      if (first === undefined) shared.set(layer.name, { where, text });
      else if (first.text !== text) {
        issues.push({
          path: where,
          message: `has the name "${layer.name}" of ${first.where}, but is defined otherwise`,
          hint: "layers that share a name share one state, so they must be equal",
        });
      }
    }
  }
  return issues;
}

/** Whoever has more unknown fields in one object has not misspelt them. */
const MOST_HINTS = 10;

function explained(issue: core.$ZodIssue, input: unknown, base: string): PolicyIssue[] {
  const path = join(base, pathText(issue.path));
  const value = at(input, issue.path);
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key, index) => ({
      path: join(path, shortened(key)),
      message: "is not a known field",
      ...(index < MOST_HINTS ? hinted(nearest(key, loaded().words)) : {}),
    }));
  }
  if (issue.code === "invalid_union" && "discriminator" in issue && issue.discriminator === "kind") return [unknownKind(path, value)];
  if (issue.code === "invalid_union" && value !== undefined) {
    const variants = issue.errors.filter((errors) => errors.some(isWithin));
    const best = variants.toSorted((a, b) => misfit(a) - misfit(b))[0];
    if (best !== undefined) return best.flatMap((inner) => explained({ ...inner, path: [...issue.path, ...inner.path] }, input, base));
  }
  if (value === undefined && (issue.code === "invalid_type" || issue.code === "invalid_value" || issue.code === "invalid_union")) {
    return [{ path, message: issue.message.startsWith("must ") ? `is missing; it ${issue.message}` : "is missing" }];
  }
  const got = issue.code === "custom" && issue.path.length === 0 ? "" : shown(value);
  return [
    {
      path,
      message:
        issue.message.startsWith("must ") || issue.code === "custom"
          ? `${issue.message}${got}`
          : issue.message.replace(/^Invalid input: e/, "E"),
    },
  ];
}

/** The value is of the type that a variant of a union asks for; what is wrong is something in it. */
const isWithin = (issue: core.$ZodIssue): boolean =>
  issue.path.length > 0 ||
  issue.code === "unrecognized_keys" ||
  (issue.code === "invalid_union" && issue.errors.some((errors) => errors.some(isWithin)));

/** How badly a variant of a union fits: a field that it does not know weighs more than one that is wrong. */
const misfit = (issues: readonly core.$ZodIssue[]): number =>
  issues.reduce((sum, issue) => {
    if (issue.code === "unrecognized_keys") return sum + 10 * issue.keys.length;
    return sum + (issue.code === "invalid_union" ? Math.min(...issue.errors.map(misfit)) : 1);
  }, 0);

function unknownKind(path: string, kind: unknown): PolicyIssue {
  const names = Object.keys(kinds);
  if (kind === undefined)
    return { path, message: "is missing", hint: `a layer is made by a builder, or has one of the kinds ${names.join(", ")}` };
  if (typeof kind === "string" && PLANNED_KINDS.includes(kind))
    return {
      path,
      message: `"${kind}" is a kind that this version of premesh does not run yet`,
      hint: "update premesh, or leave the layer out",
    };
  const similar = typeof kind === "string" ? nearest(kind, names) : undefined;
  return {
    path,
    message: `${show(kind)} is not a kind of layer`,
    hint: similar === undefined ? `kinds are ${names.join(", ")}` : `did you mean "${similar}"?`,
  };
}

const hinted = (word: string | undefined): { hint?: string } => (word === undefined ? {} : { hint: `did you mean "${word}"?` });

function show(value: unknown): string {
  const text =
    typeof value === "function"
      ? "a function"
      : typeof value === "string"
        ? JSON.stringify(value)
        : typeof value === "object" && value !== null
          ? "an object"
          : String(value);
  return shortened(text);
}

const shortened = (text: string): string => (text.length > 60 ? `${text.slice(0, 57)}...` : text);

const shown = (value: unknown): string => (typeof value === "object" && value !== null ? "" : `; got ${show(value)}`);

function fieldNames(schema: unknown, names = new Set<string>()): string[] {
  if (typeof schema === "object" && schema !== null) {
    for (const [key, value] of Object.entries(schema)) {
      if (key === "properties") for (const name of Object.keys(value as object)) names.add(name); // the cast: JSON Schema's own shape
      fieldNames(value, names);
    }
  }
  return [...names];
}
