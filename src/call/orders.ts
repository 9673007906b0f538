// Orders: what a trusted caller asks of the layers of a policy, beside what the policy says (Envoy's `x-envoy-*` request fields).
import type { Failure, Outcome } from "./outcome.ts";

export interface Orders {
  /** Outcomes that `retry` sends again besides its own. */
  readonly retryOn: ((outcome: Outcome<unknown>) => outcome is Failure<unknown>) | undefined;
  /** `retryOn` is to hold for what an Envoy's rate limit refused. */
  readonly rateLimited: boolean;
  /** How often `retry` sends at most, in place of its own number. */
  readonly attempts: number | undefined;
  /** In place of the time of a `timeout` before `retry`, in milliseconds. */
  readonly callTimeoutMs: number | undefined;
  /** In place of the time of a `timeout` inside `retry`, in milliseconds. */
  readonly attemptTimeoutMs: number | undefined;
  /** Whether `hedge` sends copies; with a time for an attempt, after that. */
  readonly hedging: boolean | undefined;
}
