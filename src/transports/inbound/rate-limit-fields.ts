// RateLimit fields: what of a limit is left, and the limit itself (draft-ietf-httpapi-ratelimit-headers-11).
import type { LimitState } from "../../call/outcome.ts";

/** The fields that go with a refusal by the layer of that name. Windows are whole seconds, so a limit per 100ms is said per second. */
export function rateLimitFields(
  layer: string | undefined,
  { rate, perMs, remaining, resetMs = 0 }: LimitState,
): readonly (readonly [name: string, value: string])[] {
  const windows = perMs >= 1_000 ? 1 : 1_000 / perMs;
  const quota = Math.floor(rate * windows);
  const seconds = Math.max(1, Math.round((perMs * windows) / 1_000));
  const name = JSON.stringify(layer ?? "rateLimit"); // names are letters, digits, '.', '_' and '-', so this is a structured-field string
  return [
    ["ratelimit-policy", `${name};q=${quota};w=${seconds}`],
    ["ratelimit", `${name};r=${remaining};t=${Math.max(1, Math.ceil(resetMs / 1_000))}`],
  ];
}
