// Definitions are data that nobody can change afterwards: a deep, frozen copy without undefined fields.

/** A deeply frozen copy of plain data. Fields that are `undefined` are left out, as JSON does; anything that is not plain data stays as it is, for the check to name. */
export function frozen<T>(value: T): T {
  if (Array.isArray(value)) return Object.freeze(value.map(frozen)) as T; // the cast: map keeps the element type
  if (typeof value !== "object" || value === null) return value;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return value;
  const copy: Record<string, unknown> = {};
  for (const [key, field] of Object.entries(value)) {
    if (field === undefined) continue;
    Object.defineProperty(copy, key, { value: frozen<unknown>(field), enumerable: true }); // defineProperty: a key "__proto__" must stay a key
  }
  return Object.freeze(copy) as T; // the cast: same fields, same types
}
