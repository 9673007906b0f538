// RateLimit fields: what of a limit is left, and the limit itself (draft-ietf-httpapi-ratelimit-headers-11).
import { durationMs } from "../../policy/duration.ts";
import type { LayerDefinition } from "../../policy/policy.ts";

/** The fields that go with a refusal by the layer of that name. Windows are whole seconds, so a limit per 100ms is said per second. */
export function rateLimitFields(
  layers: readonly LayerDefinition[],
  layer: string | undefined,
  retryAfterMs: number,
): readonly (readonly [name: string, value: string])[] {
  const limit = layers.find((one) => one.kind === "rateLimit" && (one.name ?? one.kind) === layer);
  if (limit?.kind !== "rateLimit") return [];
  const perMs = durationMs(limit.per);
  const windows = perMs >= 1_000 ? 1 : 1_000 / perMs;
  const quota = Math.floor(limit.rate * windows);
  const seconds = Math.max(1, Math.round((perMs * windows) / 1_000));
  const name = JSON.stringify(layer); // names are letters, digits, '.', '_' and '-', so this is a structured-field string
  return [
    ["ratelimit-policy", `${name};q=${quota};w=${seconds}`],
    ["ratelimit", `${name};r=0;t=${Math.max(1, Math.ceil(retryAfterMs / 1_000))}`],
  ];
}
