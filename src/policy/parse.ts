// parsePolicies: policies from JSON or YAML text, or from what such a text holds.
import { createRequire } from "node:module";
import { PolicyError } from "./error.ts";
import type { Policy } from "./policy.ts";
import { checkedPolicies } from "./validate.ts";

/** The longest text taken: far more than people write, far less than memory. */
const LONGEST_TEXT = 8 * 1024 * 1024;

/**
 * Reads policies from JSON or YAML text, or from a value: `{ "policies": [...] }`, one policy, or a list of policies.
 *
 * Errors: `ERR_PREMESH_INVALID_POLICY`, whose `issues` name everything that is wrong, with its path or its line.
 *
 * @example
 * ```ts
 * const policies = parsePolicies(await readFile("policies.yaml", "utf8"));
 * ```
 */
export function parsePolicies(source: unknown): readonly Policy[] {
  const document = typeof source === "string" ? parsed(source) : source;
  if (Array.isArray(document)) return checkedPolicies(document, (index) => `[${index}]`);
  if (typeof document === "object" && document !== null && "policies" in document) {
    const extra = Object.keys(document).filter((key) => key !== "policies" && key !== "$schema");
    if (extra.length > 0) throw problem(`${extra.join(", ")}: not a known field beside "policies"`);
    if (!Array.isArray(document.policies)) throw problem('"policies" must be a list');
    return checkedPolicies(document.policies, (index) => `policies[${index}]`);
  }
  return checkedPolicies([document], () => "");
}

function parsed(text: string): unknown {
  if (text.length > LONGEST_TEXT) throw problem(`the text is longer than ${LONGEST_TEXT} characters`);
  try {
    return JSON.parse(text);
  } catch {
    // not JSON; YAML has the better messages, and every JSON text is YAML
  }
  const yaml = createRequire(import.meta.url)("yaml") as typeof import("yaml"); // the cast: require is untyped
  const document = yaml.parseDocument(text, { prettyErrors: true, strict: true, uniqueKeys: true });
  const [error] = [...document.errors, ...document.warnings]; // a tag that nobody knows is only a warning there
  if (error !== undefined) throw problem(`neither JSON nor YAML: ${error.message}`, error);
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch (cause) {
    throw problem(`cannot be read as YAML: ${cause instanceof Error ? cause.message : String(cause)}`, cause);
  }
}

function problem(message: string, cause?: unknown): PolicyError {
  return new PolicyError("ERR_PREMESH_INVALID_POLICY", `invalid policy: ${message}`, { issues: [{ path: "", message }], cause });
}
