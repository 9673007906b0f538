// The canonical form of a policy and its hash: two spellings of the same policy have one revision.
import { createHash } from "node:crypto";
import { instanceText } from "./adopted.ts";
import { durationMs } from "./duration.ts";
import { kinds } from "./kinds.ts";
import type { LayerDefinition, Policy } from "./policy.ts";

/** JSON with sorted keys (RFC 8785 in spirit) and every duration in milliseconds. */
function canonicalJson(policy: Policy): string {
  return JSON.stringify(sorted({ ...policy, layers: policy.layers.map(canonicalLayer) }));
}

/** The same for one layer; equal layers have equal text, and what is adopted is equal to itself only. */
export function canonicalLayerJson(layer: LayerDefinition): string {
  return JSON.stringify(sorted(canonicalLayer(layer))) + instanceText(layer);
}

/**
 * The revision of a policy: the first 16 hex digits of the SHA-256 of its canonical JSON. The order of keys and the spelling of durations
 * (`"1000ms"`, `"1s"`) do not change it.
 *
 * @example
 * ```ts
 * revision(payments); // "3f1c9a0be47d2215"
 * ```
 */
export function revision(policy: Policy): string {
  return createHash("sha256").update(canonicalJson(policy)).digest("hex").slice(0, 16);
}

function canonicalLayer(layer: LayerDefinition): unknown {
  let result: unknown = layer;
  for (const path of kinds[layer.kind].durations) result = inMilliseconds(result, path.split("."));
  return result;
}

function inMilliseconds(value: unknown, [field, ...rest]: string[]): unknown {
  if (Array.isArray(value)) return value.map((item: unknown) => inMilliseconds(item, field === undefined ? [] : [field, ...rest]));
  if (field === undefined) return typeof value === "string" ? canonicalDuration(value) : value;
  if (typeof value !== "object" || value === null || !(field in value)) return value;
  return { ...value, [field]: inMilliseconds((value as Record<string, unknown>)[field], rest) }; // the cast: `in` has just shown the field
}

/** A field for durations may hold a word in place of one. */
function canonicalDuration(text: string): string {
  const ms = durationMs(text);
  return Number.isNaN(ms) ? text : `${ms}ms`;
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, field]) => field !== undefined)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, field]) => [key, sorted(field)]),
  );
}
