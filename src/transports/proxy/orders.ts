// Orders of a trusted caller, as Envoy words them:
// https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/router_filter#http-headers-consumed
import { matcher } from "../../call/classify.ts";
import type { Orders } from "../../call/orders.ts";
import { type Condition, CONDITIONS, ENVOY_CONDITIONS } from "../../policy/conditions.ts";

const GRPC_WORDS = new Set(["cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable"]);
const HTTP_WORDS = new Set<string>(ENVOY_CONDITIONS);

/** The longest time that can be asked for: a day. */
const LONGEST_MS = 86_400_000;

const MOST_ATTEMPTS = 100;

/** `undefined`: nothing is ordered. What is malformed counts as not said, as in Envoy. */
export function ordersOf(fields: ReadonlyMap<string, string>): Orders | undefined {
  const http = wordsIn(fields.get("x-envoy-retry-on"));
  const words = [...pick(http, HTTP_WORDS), ...pick(wordsIn(fields.get("x-envoy-retry-grpc-on")), GRPC_WORDS)];
  const statuses = http.includes("retriable-status-codes")
    ? wordsIn(fields.get("x-envoy-retriable-status-codes"))
        .map(Number)
        .filter((status) => status >= 400 && status <= 599)
    : [];
  const retries = numberIn(fields.get("x-envoy-max-retries"), MOST_ATTEMPTS - 1);
  const callTimeoutMs = timeIn(fields.get("x-envoy-upstream-rq-timeout-ms"));
  const attemptTimeoutMs = timeIn(fields.get("x-envoy-upstream-rq-per-try-timeout-ms"));
  const hedging = flagIn(fields.get("x-envoy-hedge-on-per-try-timeout"));
  const retryOn = words.length === 0 && statuses.length === 0 ? undefined : matcher(words, statuses);
  const attempts = retries === undefined ? undefined : retries + 1;
  if (
    retryOn === undefined &&
    attempts === undefined &&
    callTimeoutMs === undefined &&
    attemptTimeoutMs === undefined &&
    hedging === undefined
  )
    return undefined;
  return { retryOn, rateLimited: words.includes("envoy-ratelimited"), attempts, callTimeoutMs, attemptTimeoutMs, hedging };
}

/** The time that the caller waits for an answer, in milliseconds. */
export const expectedMs = (fields: ReadonlyMap<string, string>): number | undefined => timeIn(fields.get("x-envoy-expected-rq-timeout-ms"));

const wordsIn = (value: string | undefined): readonly string[] => value?.split(",").map((word) => word.trim()) ?? [];

const pick = (words: readonly string[], known: ReadonlySet<string>): readonly Condition[] =>
  CONDITIONS.filter((word) => known.has(word) && words.includes(word));

function numberIn(value: string | undefined, most: number): number | undefined {
  return value !== undefined && /^\d{1,10}$/.test(value) ? Math.min(Number(value), most) : undefined;
}

/** Zero is no time-out in Envoy's words; the policy's own stays then. */
function timeIn(value: string | undefined): number | undefined {
  const ms = numberIn(value, LONGEST_MS);
  return ms === 0 ? undefined : ms;
}

const flagIn = (value: string | undefined): boolean | undefined => (value === "true" ? true : value === "false" ? false : undefined);
