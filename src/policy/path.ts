// Paths: where in a document something is.

/** A path with the rest behind it. */
export const join = (base: string, rest: string): string =>
  base === "" || rest === "" || rest.startsWith("[") ? base + rest : `${base}.${rest}`;

/** A path as people write it: `layers[2].backoff.base`. */
export const pathText = (path: readonly PropertyKey[]): string =>
  path.map((step, index) => (typeof step === "number" ? `[${step}]` : `${index === 0 ? "" : "."}${String(step)}`)).join("");

/** What stands at a path, if anything does. */
export function at(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (inner, step) => (typeof inner === "object" && inner !== null ? (inner as Record<PropertyKey, unknown>)[step] : undefined),
    value,
  );
  // the cast: any object can be asked for any key
}
