// Assertions about what a policy did, for any test runner: they throw an error with `actual` and `expected`, and return what they looked at.
import { AssertionError } from "node:assert";
import type { Decision } from "../call/call.ts";
import type { Client } from "../client.ts";
import type { PolicyError, PolicyErrorCode } from "../policy/error.ts";
import type { Explanation } from "../telemetry/explanation.ts";

type Explaining = Pick<Client, "explain">;

/** Fields that a decision must have; those that are left out may be anything. */
export type DecisionLike = Partial<Pick<Decision, "layer" | "kind" | "what" | "attempt">>;

function explained(client: Explaining, result: unknown, stack: (...all: never[]) => unknown): Explanation {
  const explanation = client.explain(result);
  if (explanation !== undefined) return explanation;
  throw new AssertionError({
    message: "the client knows nothing of this: pass the response of its fetch, or what that has thrown",
    actual: result,
    expected: "a response or an error of this client",
    stackStartFn: stack,
  });
}

/**
 * The call that this response or error came of was sent so many times.
 *
 * @example
 * ```ts
 * const answered = await client.fetch(url);
 * assertAttempts(client, answered, 3);
 * ```
 */
export function assertAttempts(client: Explaining, result: unknown, attempts: number): Explanation {
  const explanation = explained(client, result, assertAttempts);
  if (explanation.attempts === attempts) return explanation;
  throw new AssertionError({
    message: `expected ${attempts} ${attempts === 1 ? "attempt" : "attempts"}, got ${explanation.attempts}:\n${explanation.text}`,
    actual: explanation.attempts,
    expected: attempts,
    operator: "assertAttempts",
    stackStartFn: assertAttempts,
  });
}

/**
 * A layer has made such a decision about the call; gives the first one that fits.
 *
 * @example
 * ```ts
 * assertDecision(client, await client.fetch(url), { layer: "retry", what: "retrying" });
 * ```
 */
export function assertDecision(client: Explaining, result: unknown, decision: DecisionLike): Decision {
  const { decisions, text } = explained(client, result, assertDecision);
  const wanted = Object.entries(decision).filter(([, value]) => value !== undefined);
  const found = decisions.find((one) => wanted.every(([field, value]) => one[field as keyof DecisionLike] === value)); // the cast: a field of DecisionLike
  if (found !== undefined) return found;
  throw new AssertionError({
    message: `no layer decided ${wanted.map(([field, value]) => `${field} "${value}"`).join(", ")}:\n${text}`,
    actual: decisions.map(({ layer, kind, what, attempt }) => ({ layer, kind, what, attempt })),
    expected: decision,
    operator: "assertDecision",
    stackStartFn: assertDecision,
  });
}

/**
 * The error, or one of its causes, is a {@link PolicyError} with this code; gives that.
 *
 * @example
 * ```ts
 * const refusal = assertPolicyError(await client.fetch(url).catch((error) => error), "ERR_PREMESH_BREAKER_OPEN");
 * wait(refusal.retryAfterMs);
 * ```
 */
export function assertPolicyError(error: unknown, code: PolicyErrorCode): PolicyError {
  let seen: string | undefined;
  for (let one = error, depth = 0; typeof one === "object" && one !== null && depth < 5; depth++) {
    const { name, code: its, cause } = one as { name?: unknown; code?: unknown; cause?: unknown }; // the cast: any object can be asked
    if (name === "PolicyError" && its === code) return one as PolicyError; // the cast: by name and code, since there may be two copies of premesh
    if (name === "PolicyError") seen ??= String(its);
    one = cause;
  }
  throw new AssertionError({
    message: `expected a PolicyError with the code ${code}, got ${seen ?? shown(error)}`,
    actual: seen ?? error,
    expected: code,
    operator: "assertPolicyError",
    stackStartFn: assertPolicyError,
  });
}

const shown = (error: unknown): string => (error instanceof Error ? `${error.name}: ${error.message}` : `no error but ${String(error)}`);

/** What a layer shows that it holds for calls under way. */
const HELD: readonly string[] = ["active", "retries", "waiting"];

/**
 * No layer of the client holds anything: no call under way, no place in a queue, no permit, no share of a budget, no probe.
 *
 * @example
 * ```ts
 * assertIdle(client);
 * ```
 */
export function assertIdle(client: Pick<Client, "status">): void {
  const held: string[] = [];
  for (const [policy, { targets }] of Object.entries(client.status().policies)) {
    for (const [target, layers] of Object.entries(targets)) {
      for (const { layer, state } of layers) {
        const { underWay } = (state["probes"] ?? {}) as { underWay?: unknown }; // the cast: what a breaker shows of its probes
        const counts = [...HELD.map((field) => [field, state[field]] as const), ["probes under way", underWay] as const];
        for (const [field, count] of counts)
          if (typeof count === "number" && count > 0) held.push(`${policy}, ${target}, ${layer}: ${field} ${count}`);
      }
    }
  }
  if (held.length === 0) return;
  throw new AssertionError({
    message: `layers still hold something; was every body read or cancelled?\n  ${held.join("\n  ")}`,
    actual: held,
    expected: [],
    operator: "assertIdle",
    stackStartFn: assertIdle,
  });
}
