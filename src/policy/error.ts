// PolicyError: what a caller gets when a policy, not the peer, ended the call, and when a definition is wrong.

/** Every `code` a {@link PolicyError} can carry. Each stands in `docs/reference/errors.md`. */
export type PolicyErrorCode =
  | "ERR_PREMESH_BREAKER_OPEN"
  | "ERR_PREMESH_BULKHEAD_FULL"
  | "ERR_PREMESH_CLIENT_CLOSED"
  | "ERR_PREMESH_FAULT"
  | "ERR_PREMESH_IDEMPOTENCY"
  | "ERR_PREMESH_INVALID_OPTIONS"
  | "ERR_PREMESH_INVALID_POLICY"
  | "ERR_PREMESH_INVALID_SCENARIO"
  | "ERR_PREMESH_NO_ENDPOINT"
  | "ERR_PREMESH_NO_IDEMPOTENCY_LAYER"
  | "ERR_PREMESH_NO_ROUTE"
  | "ERR_PREMESH_RATE_LIMITED"
  | "ERR_PREMESH_SIDECAR_UNAVAILABLE"
  | "ERR_PREMESH_TIMEOUT"
  | "ERR_PREMESH_UNKNOWN_POLICY";

/** One thing that is wrong with a definition. */
export interface PolicyIssue {
  /** What sort of problem it is: `PM0201`. Stable, made for programs; each stands in `docs/reference/problems.md`. */
  readonly code: string;
  /** Where: `layers[2].backoff.base`. Empty for the whole document. */
  readonly path: string;
  /** What is wrong, in one sentence. */
  readonly message: string;
  /** What to do about it, where that is known. */
  readonly hint?: string;
  /** Name of the policy that it is in, where that is known. */
  readonly policy?: string;
  /** Line in the text, from 1 on; where there was a text. */
  readonly line?: number;
  /** Column in that line, from 1 on, in UTF-16 units. */
  readonly column?: number;
}

export interface PolicyErrorFields {
  readonly policy?: string | undefined;
  readonly layer?: string | undefined;
  readonly attempts?: number | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly issues?: readonly PolicyIssue[] | undefined;
  readonly cause?: unknown;
}

/**
 * A call that a policy refused or ended, or a definition that is not valid.
 *
 * @example
 * ```ts
 * try { await client.fetch(url); } catch (error) {
 *   if (error instanceof PolicyError && error.code === "ERR_PREMESH_BREAKER_OPEN") wait(error.retryAfterMs);
 * }
 * ```
 */
export class PolicyError extends Error {
  override readonly name: string = "PolicyError";
  /** What happened; stable, made for programs. */
  readonly code: PolicyErrorCode;
  /** Name of the policy that acted, where one did. */
  readonly policy: string | undefined;
  /** Name of the layer that acted: its `name`, else its kind. */
  readonly layer: string | undefined;
  /** How many times the call was sent before it ended. */
  readonly attempts: number;
  /** How long to wait before trying again, in milliseconds, where the layer knows. */
  readonly retryAfterMs: number | undefined;
  /** All that is wrong with a definition; empty for calls. */
  readonly issues: readonly PolicyIssue[];

  constructor(code: PolicyErrorCode, message: string, fields: PolicyErrorFields = {}) {
    super(message, fields.cause === undefined ? undefined : { cause: fields.cause });
    this.code = code;
    this.policy = fields.policy;
    this.layer = fields.layer;
    this.attempts = fields.attempts ?? 0;
    this.retryAfterMs = fields.retryAfterMs;
    this.issues = fields.issues ?? [];
  }
}
