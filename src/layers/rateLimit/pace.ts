// Pace: what the peer says of its own limit, as a pace to keep to until it says otherwise.
//
// A quota that remains for a time is not spread evenly from the start: that would hold back a client that makes a hundred calls and rests. Calls may be ahead
// of an even pace by half of the time that remains, so half of what remains goes as it comes, and the rest is spaced ever more evenly until the reset.
import type { Head, Outcome } from "../../call/outcome.ts";
import { Code } from "../../call/codes.ts";
import { parseRetryAfter } from "../../call/retry-after.ts";

export interface Pace {
  /** Until when it holds; the peer's quota is whole again then. */
  until: number;
  /** Milliseconds between calls; `Infinity`: none until then. */
  interval: number;
  /** When the next call is due if calls came evenly. */
  due: number;
  /** How many calls the peer said remain. */
  remaining: number;
}

/** What a peer that is wrong or hostile can hold a client for. */
const LONGEST_MS = 3_600_000;

/** Where a reset is a time of day, not a span: above any span that is believed. */
const IS_TIME_S = 1_000_000_000;
const IS_TIME_MS = 1_000_000_000_000;

/** What a response says: so many calls remain for so long. */
export interface Said {
  readonly remaining: number;
  readonly resetMs: number;
}

/** The pace after a response; `processes`: how many share what remains. */
export function learned(before: Pace | undefined, outcome: Outcome<unknown>, now: number, processes: number): Pace | undefined {
  const asked = holdMs(outcome);
  const said = asked === undefined ? (outcome.head === undefined ? undefined : quotaOf(outcome.head)) : { remaining: 0, resetMs: asked };
  if (said === undefined) return before;
  const { remaining } = said;
  const resetMs = Math.min(said.resetMs, LONGEST_MS);
  const until = now + resetMs;
  const held = before !== undefined && before.until > now ? before : undefined;
  if (held?.interval === Number.POSITIVE_INFINITY && held.until >= until) return held; // an answer to an earlier call says nothing new
  const interval = remaining <= 0 ? Number.POSITIVE_INFINITY : (resetMs * processes) / remaining;
  return { until, interval, due: held?.due ?? now, remaining };
}

/** How long until so many calls keep the pace; 0: now. */
export function paceWait(pace: Pace | undefined, permits: number, now: number): number {
  if (pace === undefined || pace.until <= now) return 0;
  const { until, interval, due } = pace;
  if (interval === Number.POSITIVE_INFINITY) return until - now;
  const wait = due + (permits - 1) * interval - now - (until - now) / 2;
  return wait <= 0 ? 0 : Math.min(wait, until - now);
}

export function paceSpend(pace: Pace | undefined, permits: number, now: number): void {
  if (pace === undefined || pace.until <= now || pace.interval === Number.POSITIVE_INFINITY) return;
  pace.due = Math.max(pace.due, now) + permits * pace.interval;
}

/** The peer asks all to wait: a 429 or 503 with Retry-After, or gRPC's words for them. */
function holdMs(outcome: Outcome<unknown>): number | undefined {
  if (outcome.ok || outcome.by !== "peer") return undefined;
  const { code, retryAfterMs = Number.POSITIVE_INFINITY } = outcome;
  if (retryAfterMs === Number.POSITIVE_INFINITY || retryAfterMs <= 0) return undefined;
  return code === Code.RESOURCE_EXHAUSTED || code === Code.UNAVAILABLE ? retryAfterMs : undefined;
}

/**
 * What fields say of the quota, the tightest where there are several. In order: `RateLimit` of draft-ietf-httpapi-ratelimit-headers-08 and later
 * (`"default";r=50;t=30`), of drafts before (`limit=100, remaining=50, reset=30`), the fields `RateLimit-Remaining` and `-Reset` of its first drafts, and the same
 * with `X-`, where a reset may be a time of day in seconds or milliseconds. `undefined`: nothing that is understood.
 */
export function quotaOf(head: Head, wallClock: () => number = Date.now): Said | undefined {
  const field = head.get("ratelimit");
  if (typeof field === "string" && field.length <= 1_024) {
    const said = field.includes(";")
      ? tightest(field.split(",").map((item) => pair(item, /;\s*r=(\d{1,15})/i, /;\s*t=(\d{1,15})/i)))
      : pair(field, /\bremaining=(\d{1,15})/i, /\breset=(\d{1,15})/i);
    if (said !== undefined) return said;
  }
  for (const prefix of ["ratelimit", "x-ratelimit", "x-rate-limit"]) {
    const remaining = numberOf(head.get(`${prefix}-remaining`));
    const reset = resetOf(head.get(`${prefix}-reset`), wallClock);
    if (remaining !== undefined && reset !== undefined) return { remaining, resetMs: reset };
  }
  return undefined;
}

function pair(text: string, remaining: RegExp, reset: RegExp): Said | undefined {
  const [, left] = remaining.exec(text) ?? [];
  const [, seconds] = reset.exec(text) ?? [];
  return left === undefined || seconds === undefined ? undefined : { remaining: Number(left), resetMs: Number(seconds) * 1_000 };
}

/** The one with the least pace. */
function tightest(all: readonly (Said | undefined)[]): Said | undefined {
  const said = all.filter((one) => one !== undefined);
  const pace = ({ remaining, resetMs }: Said): number => remaining / Math.max(1, resetMs);
  return said.toSorted((a, b) => pace(a) - pace(b))[0];
}

/** Lists of several windows begin with the tightest in practice: the first number counts. */
function numberOf(value: string | null | undefined): number | undefined {
  const [, digits] = /^\s*(\d{1,15})(?:\.\d+)?\s*(?:[,;]|$)/.exec(value ?? "") ?? [];
  return digits === undefined ? undefined : Number(digits);
}

function resetOf(value: string | null | undefined, wallClock: () => number): number | undefined {
  const number = numberOf(value);
  if (number === undefined) return parseRetryAfter(value, wallClock);
  if (number >= IS_TIME_MS) return Math.max(0, number - wallClock());
  return number >= IS_TIME_S ? Math.max(0, number * 1_000 - wallClock()) : number * 1_000;
}
