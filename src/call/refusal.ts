// What a caller is told when a layer ended the call: the error that a failure without a response becomes.
import { PolicyError, type PolicyErrorCode } from "../policy/error.ts";
import type { LayerKind } from "../policy/policy.ts";
import type { CallRecord } from "./call.ts";
import { codeName } from "./codes.ts";
import type { Failure } from "./outcome.ts";

const told: { readonly [K in LayerKind]?: readonly [code: PolicyErrorCode, what: string] } = {
  breaker: ["ERR_PREMESH_BREAKER_OPEN", "the breaker is open"],
  bulkhead: ["ERR_PREMESH_BULKHEAD_FULL", "too many calls are under way"],
  rateLimit: ["ERR_PREMESH_RATE_LIMITED", "the rate limit is reached"],
  timeout: ["ERR_PREMESH_TIMEOUT", "no response in time"],
  fault: ["ERR_PREMESH_FAULT", "a fault was injected"],
  sidecar: ["ERR_PREMESH_SIDECAR_UNAVAILABLE", "the sidecar is not there"],
};

/** What a failure without a response is thrown as: the peer's or the caller's own error as it is, a layer's refusal as a {@link PolicyError}. */
export function thrown(failure: Failure<unknown>, record: CallRecord): unknown {
  const { by, cause, layer, retryAfterMs } = failure;
  if (by === "peer" || by === "caller" || cause instanceof PolicyError) return cause;
  const [code, what] = told[by] ?? ["ERR_PREMESH_FAULT", codeName(failure.code)];
  const wait = retryAfterMs === undefined ? "" : `; try again in ${retryAfterMs} ms`;
  const status = failure.status === undefined ? "" : ` (status ${failure.status})`;
  return new PolicyError(code, `policy ${record.policy}: ${what} for ${record.target}${status}${wait}`, {
    policy: record.policy,
    layer,
    attempts: record.attempts,
    retryAfterMs,
    cause,
  });
}
