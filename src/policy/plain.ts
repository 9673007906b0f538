// What has to be so before a schema can look at a value: it ends, and no key of it means a prototype.
import type { PolicyIssue } from "./error.ts";

/** Far deeper than any policy that people write. */
export const DEEPEST = 64;

/** More parts than 8 MB of text can hold in any form that people write. */
const MOST_PARTS = 1_000_000;

/** What is wrong with the shape of a value, whatever it means. `fatal`: it must not be walked by anything that has no bounds of its own. */
export function misshapen(value: unknown): { readonly issues: readonly PolicyIssue[]; readonly fatal: boolean } {
  const issues: PolicyIssue[] = [];
  const above: unknown[] = [];
  let parts = 0;
  /** False: stop. */
  function walk(inner: unknown, path: string): boolean {
    if (typeof inner !== "object" || inner === null) return true;
    const wrong = above.includes(inner)
      ? "contains itself"
      : above.length >= DEEPEST
        ? `is nested deeper than ${DEEPEST} levels`
        : ++parts > MOST_PARTS
          ? "is too large"
          : undefined;
    if (wrong !== undefined) {
      issues.push({ code: "PM0111", path, message: wrong, hint: "a policy is plain JSON" });
      return false;
    }
    above.push(inner);
    for (const [key, field] of Object.entries(inner)) {
      const where = Array.isArray(inner) ? `${path}[${key}]` : path === "" ? key : `${path}.${key}`;
      if (key === "__proto__") issues.push({ code: "PM0201", path: where, message: "is not a known field" });
      if (!walk(field, where)) return false;
    }
    above.pop();
    return true;
  }
  const whole = walk(value, "");
  return { issues, fatal: !whole };
}
