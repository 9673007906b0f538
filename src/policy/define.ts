// definePolicy: from what was written to a checked, frozen policy.
import type { Policy } from "./policy.ts";
import { checkedPolicies } from "./validate.ts";

/**
 * Checks a policy and freezes it. The result is plain data: `JSON.stringify` of it is the policy, and a file with that JSON is the same policy.
 *
 * Errors: `ERR_PREMESH_INVALID_POLICY`, whose `issues` name everything that is wrong, each with its path.
 *
 * @example
 * ```ts
 * export const payments = definePolicy({
 *   name: "payments",
 *   match: [{ host: "payments.internal" }],
 *   layers: [timeout("2s"), retry(), breaker(), timeout("300ms")],
 * });
 * ```
 */
export function definePolicy(policy: Policy): Policy {
  const [checked] = checkedPolicies([policy], () => "");
  return checked as Policy; // the cast: one in, one out, or it has thrown
}
