// Decisions: what layers did, written to the call they did it to, and told to whoever listens.
import { channel } from "node:diagnostics_channel";
import type { Call, CallRecord, Decision, Report } from "../call/call.ts";

/** A decision as listeners get it, with the call it was about. */
export interface DecisionEvent extends Decision {
  /** Absent where no call was behind it (`isolate`, `reset`). */
  readonly policy?: string | undefined;
  readonly target?: string | undefined;
}

/** Publishes a {@link DecisionEvent} for each decision; costs nothing while nobody listens. */
const decisions = channel("premesh:decision");

/** How many decisions one call keeps. */
const MOST_DECISIONS = 100;

export function reportDecision(call: Call | undefined, decision: Report): void {
  const whole: Decision = { attempt: call?.attempt ?? 0, ...decision };
  if (call !== undefined) {
    const kept = (call.record.decisions ??= []);
    if (kept.length < MOST_DECISIONS) kept.push(whole);
  }
  if (decisions.hasSubscribers)
    decisions.publish({ ...whole, policy: call?.record.policy, target: call?.record.target } satisfies DecisionEvent);
}

/** What happened to one call, and why. */
export interface Explanation {
  readonly policy: string;
  readonly revision: string;
  readonly target: string;
  readonly method: string;
  /** How often it was sent. */
  readonly attempts: number;
  /** What layers decided, where they did more than pass the call on, in order. */
  readonly decisions: readonly Decision[];
  /** The same for people, one line each. */
  readonly text: string;
}

export function explanationOf(record: CallRecord): Explanation {
  const { policy, revision, target, method, attempts, decisions: made = [] } = record;
  const lines = made.map(({ layer, what, attempt, detail }) => {
    const numbers = Object.entries(detail ?? {}).filter(([, value]) => value !== undefined);
    return `  ${layer} ${what.replaceAll("-", " ")} (${[`attempt ${attempt}`, ...numbers.map(([name, value]) => `${name} ${typeof value === "number" ? Math.round(value * 100) / 100 : String(value)}`)].join(", ")})`;
  });
  const head = `${method} ${target} under policy ${policy}: ${attempts} ${attempts === 1 ? "attempt" : "attempts"}`;
  return { policy, revision, target, method, attempts, decisions: made, text: [head, ...lines].join("\n") };
}
