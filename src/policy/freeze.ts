// Definitions are data that nobody can change afterwards: a deep, frozen copy without undefined fields.
import { instanceOf, tied } from "./adopted.ts";
import { DEEPEST } from "./plain.ts";

/** A deeply frozen copy of plain data. Fields that are `undefined` are left out, as JSON does; anything that is not plain data stays as it is, for the check to name. */
export function frozen<T>(value: T): T {
  return frozenBelow(value, []);
}

/** `above`: what it is part of. What contains itself or has no bottom stays as it is too. */
function frozenBelow<T>(value: T, above: readonly unknown[]): T {
  if (typeof value !== "object" || value === null || above.includes(value) || above.length > DEEPEST) return value;
  const within = [...above, value];
  if (Array.isArray(value)) return Object.freeze(value.map((item: unknown) => frozenBelow(item, within))) as T; // the cast: map keeps the element type
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return value;
  const copy: Record<string, unknown> = {};
  for (const [key, field] of Object.entries(value)) {
    if (field === undefined) continue;
    Object.defineProperty(copy, key, { value: frozenBelow<unknown>(field, within), enumerable: true }); // defineProperty: a key "__proto__" must stay a key
  }
  const instance = instanceOf(value);
  return Object.freeze(instance === undefined ? copy : tied(copy, instance)) as T; // the cast: same fields, same types
}
