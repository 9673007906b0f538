// Contradictions: fields, layers and policies that are right for themselves and do not go together.
import { durationMs } from "./duration.ts";
import { join } from "./path.ts";
import type { Policy } from "./policy.ts";
import type { CodedIssue } from "./problems.ts";
import { canonicalLayerJson } from "./revision.ts";

/** What the schema of one field cannot see: fields and layers that do not go together. */
export function contradictions(input: unknown, path: string): CodedIssue[] {
  const layers = (input as { layers?: unknown } | null | undefined)?.layers; // the cast: anything may come; what is no list is skipped
  if (!Array.isArray(layers)) return [];
  const issues: CodedIssue[] = [];
  const names = new Map<string, number>();
  const single = new Map<string, number>();
  for (const [index, layer] of layers.entries() as ArrayIterator<[number, Partial<Record<string, unknown>> | null]>) {
    const where = join(path, `layers[${index}]`);
    if (typeof layer !== "object" || layer === null) continue;
    const { kind, name } = layer;
    if (typeof name === "string") {
      const first = names.get(name);
      if (first !== undefined)
        issues.push({
          code: "PM0301",
          path: `${where}.name`,
          message: `"${name}" is the name of layers[${first}] already`,
          hint: "names are unique in a policy",
        });
      else names.set(name, index);
    }
    if (kind === "trace" || kind === "idempotency" || kind === "route") {
      const first = single.get(kind);
      if (first !== undefined)
        issues.push({
          code: "PM0302",
          path: where,
          message: `a policy has at most one ${kind} layer; layers[${first}] is one`,
          hint: "remove one of them",
        });
      else single.set(kind, index);
    }
    if (kind === "breaker" && ms(layer["maxOpenFor"]) < (ms(layer["openFor"]) || 5_000)) {
      issues.push({ code: "PM0303", path: `${where}.maxOpenFor`, message: "is shorter than openFor", hint: "it is what openFor grows to" });
    }
    if (kind === "rateLimit" && layer["onStoreLoss"] !== undefined && layer["shared"] !== true) {
      issues.push({
        code: "PM0314",
        path: `${where}.onStoreLoss`,
        message: "is without a store to lose",
        hint: "add shared: true, or remove it",
      });
    }
    const { min } = (layer["adaptive"] ?? {}) as { min?: unknown }; // the cast: any value can be asked
    const { limit } = layer;
    if (kind === "bulkhead" && typeof min === "number" && typeof limit === "number" && min > limit) {
      issues.push({
        code: "PM0313",
        path: `${where}.adaptive.min`,
        message: "is above limit",
        hint: "limit is the most that the limit may become",
      });
    }
    const backoff = layer["backoff"] as { base?: unknown; max?: unknown } | undefined; // the cast: only read, and only as durations
    if (kind === "retry" && typeof backoff === "object" && ms(backoff.max) < (ms(backoff.base) || 0)) {
      issues.push({
        code: "PM0304",
        path: `${where}.backoff.max`,
        message: "is shorter than backoff.base",
        hint: "it is what the wait grows to",
      });
    }
  }
  issues.push(...twoBudgets(layers, path));
  return issues;
}

/** A hedge keeps to the budget of the policy's retry. */
function twoBudgets(layers: readonly (Partial<Record<string, unknown>> | null)[], path: string): CodedIssue[] {
  const first = layers.findIndex((layer) => layer?.["kind"] === "retry");
  return layers.flatMap((layer, index): CodedIssue[] => {
    if (first === -1 || layer?.["kind"] !== "hedge" || layer["budget"] === undefined) return [];
    const hint = "give it to the retry, or leave it out";
    return [{ code: "PM0312", path: join(path, `layers[${index}].budget`), message: `is beside the budget of layers[${first}]`, hint }];
  });
}

const ms = (value: unknown): number => (typeof value === "string" ? durationMs(value) : Number.NaN);

/** One of several policies: its name, and itself where it is valid. */
export interface Entry {
  readonly name: string | undefined;
  readonly policy: Policy | undefined;
}

/** What one policy alone cannot show: names used twice. `entries`: all of them, so that each has its place. */
export function clashes(entries: readonly Entry[], path: (index: number) => string): CodedIssue[] {
  const issues: CodedIssue[] = [];
  const names = new Set<string>();
  const shared = new Map<string, { where: string; text: string }>();
  for (const [index, { name, policy }] of entries.entries()) {
    if (name !== undefined && names.has(name))
      issues.push({
        code: "PM0305",
        policy: name,
        path: join(path(index), "name"),
        message: `there are two policies with the name "${name}"`,
        hint: "names are unique",
      });
    if (name !== undefined) names.add(name);
    if (policy === undefined) continue;
    for (const [position, layer] of policy.layers.entries()) {
      if (layer.name === undefined) continue;
      const where = join(path(index), `layers[${position}]`);
      const text = canonicalLayerJson(layer);
      const first = shared.get(layer.name);
      if (first === undefined) shared.set(layer.name, { where, text });
      else if (first.text !== text) {
        issues.push({
          code: "PM0306",
          policy: policy.name,
          path: where,
          message: `has the name "${layer.name}" of ${first.where}, but is defined otherwise`,
          hint: "layers that share a name share one state, so they must be equal",
        });
      }
    }
  }
  return issues;
}
