// What the schema found wrong, in words: an issue of zod becomes one of ours, with its code and, where there is one, a hint.
import type { core } from "zod";
import { kinds, PLANNED_KINDS } from "./kinds.ts";
import { nearest } from "./nearest.ts";
import { at, join, pathText } from "./path.ts";
import type { CodedIssue, ProblemCode } from "./problems.ts";

/** Whoever has more unknown fields in one object has not misspelt them. */
const MOST_HINTS = 10;

/** `words`: all names of fields, for hints. */
export function explained(issue: core.$ZodIssue, input: unknown, base: string, words: readonly string[]): CodedIssue[] {
  const path = join(base, pathText(issue.path));
  const value = at(input, issue.path);
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key, index) => ({
      code: "PM0201",
      path: join(path, shortened(key)),
      message: "is not a known field",
      ...(index < MOST_HINTS ? hinted(nearest(key, words)) : {}),
    }));
  }
  if (issue.code === "invalid_union" && "discriminator" in issue && issue.discriminator === "kind") return [unknownKind(path, value)];
  if (issue.code === "invalid_union" && value !== undefined) {
    const variants = issue.errors.filter((errors) => errors.some(isWithin));
    const best = variants.toSorted((a, b) => misfit(a) - misfit(b))[0];
    if (best !== undefined)
      return best.flatMap((inner) => explained({ ...inner, path: [...issue.path, ...inner.path] }, input, base, words));
  }
  const message = messageOf(issue);
  if (value === undefined && (issue.code === "invalid_type" || issue.code === "invalid_value" || issue.code === "invalid_union")) {
    return [{ code: "PM0202", path, message: message.startsWith("must ") ? `is missing; it ${message}` : "is missing" }];
  }
  const got = issue.code === "custom" && issue.path.length === 0 ? "" : shown(value);
  return [
    { code: codeOf(issue, value), path, message: message.startsWith("must ") || issue.code === "custom" ? `${message}${got}` : message },
  ];
}

/** What the schema says itself, else by the types that it takes: zod's own words are for those who write schemas. */
function messageOf(issue: core.$ZodIssue): string {
  const types = issue.message.startsWith("Invalid input") ? typesOf(issue) : [];
  return types.length > 0 ? `must be ${[...new Set(types)].join(" or ")}` : issue.message;
}

function typesOf(issue: core.$ZodIssue): readonly string[] {
  if (issue.code === "invalid_union")
    return issue.errors.flatMap((errors) => errors.filter(({ path }) => path.length === 0).flatMap(typesOf));
  if (issue.code === "invalid_value") return issue.values.map(show);
  if (issue.message.startsWith("must be ")) return [issue.message.slice("must be ".length)];
  return issue.code === "invalid_type" ? [TYPES[issue.expected] ?? issue.expected] : [];
}

const TYPES: Readonly<Record<string, string>> = {
  object: "an object",
  record: "an object",
  array: "a list",
  string: "text",
  number: "a number",
  boolean: "true or false",
};

/** The code of what is wrong with a value. Refinements bring their own (`coded` in schema.ts). */
function codeOf(issue: core.$ZodIssue, value: unknown): ProblemCode {
  if (issue.code === "custom") return (issue.params?.["code"] as ProblemCode | undefined) ?? "PM0206"; // the cast: `coded` has put it there
  if (issue.code === "invalid_type") return typeof value === "number" && isNumeric(issue.expected) ? "PM0204" : "PM0203";
  if (issue.code === "too_small" || issue.code === "too_big") return issue.origin === "array" ? "PM0207" : "PM0204";
  return issue.code === "invalid_format" || issue.code === "invalid_key" ? "PM0205" : "PM0206";
}

const isNumeric = (type: string): boolean => type === "number" || type === "int";

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

function unknownKind(path: string, kind: unknown): CodedIssue {
  const names = Object.keys(kinds);
  if (kind === undefined)
    return {
      code: "PM0202",
      path,
      message: "is missing",
      hint: `a layer is made by a builder, or has one of the kinds ${names.join(", ")}`,
    };
  if (typeof kind === "string" && PLANNED_KINDS.includes(kind))
    return {
      code: "PM0209",
      path,
      message: `"${kind}" is a kind that this version of premesh does not run yet`,
      hint: "update premesh, or leave the layer out",
    };
  const similar = typeof kind === "string" ? nearest(kind, names) : undefined;
  return {
    code: "PM0208",
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
        : Array.isArray(value)
          ? "a list"
          : typeof value === "object" && value !== null
            ? "an object"
            : String(value);
  return shortened(text);
}

const shortened = (text: string): string => (text.length > 60 ? `${text.slice(0, 57)}...` : text);

const shown = (value: unknown): string => (isPlainObject(value) ? "" : `; got ${show(value)}`);

const isPlainObject = (value: unknown): boolean => typeof value === "object" && value !== null && !Array.isArray(value);
