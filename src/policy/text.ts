// Reads JSON or YAML text: what it holds, and where each part of it stands.
import { createRequire } from "node:module";
import type { Document, Node, YAMLError } from "yaml";
import type { PolicyIssue } from "./error.ts";
import { invalidPolicy } from "./invalid.ts";
import { type Frame, scanJson } from "./json-scan.ts";
import { join } from "./path.ts";
import { type FindSpots, type Place, placesIn, type Spot } from "./places.ts";
import { DEEPEST } from "./plain.ts";
import type { CodedIssue, ProblemCode } from "./problems.ts";

/** The longest text taken: far more than people write, far less than memory. */
export const LONGEST_TEXT = 8 * 1024 * 1024;

/** More is an attack that grows by aliases of aliases. */
const MOST_ALIASES = 100;

/** Whoever makes more mistakes of one sort in one text corrects these first. */
const MOST_MISTAKES = 10;

export interface Text {
  readonly value: unknown;
  readonly spots: FindSpots;
}

type YamlDocument = Document.Parsed;

/** Throws `ERR_PREMESH_INVALID_POLICY`. */
export function readText(text: string): Text {
  if (text.length > LONGEST_TEXT) throw problem("PM0104", `the text is longer than ${LONGEST_TEXT} characters`);
  const json = text.startsWith("\uFEFF") ? ` ${text.slice(1)}` : text; // a byte order mark is no part of JSON, and common on Windows
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return readYaml(text); // YAML has the better messages, and every JSON text is YAML
  }
  const twice = keysAgain(json);
  if (twice.length > 0) throw invalidPolicy(twice);
  return { value, spots: (paths) => jsonSpots(json, paths) };
}

const pathOf = (frames: readonly Frame[]): string =>
  frames.reduce((path, { keys, key, index }) => join(path, keys === undefined ? `[${index}]` : key), "");

function keysAgain(text: string): PolicyIssue[] {
  const issues: CodedIssue[] = [];
  const placeAt = placesIn(text);
  scanJson(text, {
    value: () => undefined,
    keyAgain: (frames, at) => {
      if (issues.length >= MOST_MISTAKES) return;
      const path = frames.length > DEEPEST ? "" : pathOf(frames);
      issues.push({ code: "PM0107", path, message: "stands twice", hint: "remove one of the two", ...placeAt(at) });
    },
  });
  return issues;
}

function jsonSpots(text: string, paths: ReadonlySet<string>): ReadonlyMap<string, Spot> {
  const spots = new Map<string, Spot>();
  scanJson(text, {
    value: (frames, value, key) => {
      if (frames.length > DEEPEST) return;
      const path = pathOf(frames);
      if (paths.has(path) && !spots.has(path)) spots.set(path, { value, key });
    },
    keyAgain: () => undefined,
  });
  return spots;
}

function readYaml(text: string): Text {
  const yaml = createRequire(import.meta.url)("yaml") as typeof import("yaml"); // the cast: require is untyped
  let document: YamlDocument;
  let value: unknown;
  try {
    document = yaml.parseDocument(text, { prettyErrors: false, strict: true, uniqueKeys: true });
  } catch (cause) {
    throw cause instanceof RangeError ? tooDeep(cause) : problem("PM0106", `cannot be read as YAML: ${messageOf(cause)}`, cause);
  }
  const mistakes = [...document.errors, ...document.warnings]; // a tag that nobody knows is only a warning there
  if (mistakes.length > 0) throw invalidPolicy(mistakesOf(mistakes, text), mistakes[0]);
  try {
    value = document.toJS({ maxAliasCount: MOST_ALIASES });
  } catch (cause) {
    if (cause instanceof RangeError) throw tooDeep(cause);
    throw problem("PM0109", `cannot be read as YAML: ${messageOf(cause)}`, cause);
  }
  return { value, spots: (paths) => yamlSpots(yaml, document, paths) };
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

function mistakesOf(errors: readonly YAMLError[], text: string): readonly PolicyIssue[] {
  const placeAt = placesIn(text);
  const issues = errors.slice(0, MOST_MISTAKES).map((error) => mistakeOf(error, placeAt(error.pos[0])));
  const first = issues.find(isSyntax);
  return issues.filter((issue) => issue === first || !isSyntax(issue)); // one mistake of syntax makes many
}

const isSyntax = ({ code }: PolicyIssue): boolean => code === "PM0106" || code === "PM0111";

function mistakeOf({ code, message }: YAMLError, place: Place): PolicyIssue {
  if (code === "DUPLICATE_KEY") return coded("PM0107", "a key stands twice", { hint: "remove one of the two", ...place });
  if (code === "MULTIPLE_DOCS")
    return coded("PM0108", "a second document begins here", { hint: "one file is one document; write a list of policies", ...place });
  if (code === "TAG_RESOLVE_FAILED") return coded("PM0110", message, { hint: "policies need no tags", ...place });
  if (/call stack/.test(message)) return coded("PM0111", TOO_DEEP, place); // of yaml's own recursion, which it catches
  return coded("PM0106", `neither JSON nor YAML: ${message}`, place);
}

const TOO_DEEP = "is nested too deep to be read";

const coded = (code: ProblemCode, message: string, more: Pick<PolicyIssue, "hint" | "line" | "column">): CodedIssue => ({
  code,
  path: "",
  message,
  ...more,
});

function yamlSpots(yaml: typeof import("yaml"), document: YamlDocument, paths: ReadonlySet<string>): ReadonlyMap<string, Spot> {
  const spots = new Map<string, Spot>();
  function visit(written: unknown, path: string, key?: number): void {
    if (!paths.has(path) || spots.has(path)) return;
    const value = yaml.isNode(written) ? startOf(written) : undefined;
    if (value !== undefined || key !== undefined) spots.set(path, { value: value ?? key ?? 0, key });
    const node: unknown = yaml.isAlias(written) ? written.resolve(document) : written;
    if (yaml.isSeq(node)) for (const [index, item] of node.items.entries()) visit(item, join(path, `[${index}]`));
    if (!yaml.isMap(node)) return;
    for (const { key: name, value: field } of node.items) {
      if (yaml.isScalar(name)) visit(field, join(path, String(name.value)), startOf(name));
    }
  }
  visit(document.contents, "");
  return spots;
}

const startOf = (node: Node): number | undefined => node.range?.[0];

const tooDeep = (cause: unknown): Error => problem("PM0111", TOO_DEEP, cause);

const problem = (code: ProblemCode, message: string, cause?: unknown): Error => invalidPolicy([coded(code, message, {})], cause);
