// The fields of the seam: what a process and its sidecar say to each other beside HTTP's own. docs/reference/seam.md lists what stands in them.

/** Process to sidecar: the policy that the call is under, and its revision. */
export const POLICY_FIELD = "premesh-policy";

/** Process to sidecar: what of the call does not show in the request. */
export const CALL_FIELD = "premesh-call";

/** Sidecar to process: how it came out. */
export const OUTCOME_FIELD = "premesh-outcome";

/** Process to sidecar, with `OPTIONS *`: whether it is there. */
export const PROBE_FIELD = "premesh-probe";

/** Sidecar to process, in answer to that. */
export const VERSION_FIELD = "premesh-version";

/** What this premesh speaks. A sidecar that speaks less is too old. */
export const SEAM_VERSION = 1;
