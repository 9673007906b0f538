// The live instance behind a definition of `adopt`: tied to the object of the definition, beside its data, so that JSON does not show it.

/** Registered for all copies of premesh in a process: a policy module may bring its own. */
const INSTANCE = Symbol.for("premesh.adopted");

/** Ties an instance to the object of a definition. It is not enumerable: a definition reads, prints and compares as its data. */
export function tied<D extends object>(definition: D, instance: object): D {
  return Object.defineProperty(definition, INSTANCE, { value: instance });
}

/** The instance that is tied to an object, if one is. */
export function instanceOf(definition: unknown): object | undefined {
  if (typeof definition !== "object" || definition === null) return undefined;
  const instance = (definition as Record<symbol, unknown>)[INSTANCE]; // the cast: any object can be asked for any key
  return typeof instance === "object" && instance !== null ? instance : undefined;
}

let last = 0;
const numbers = new WeakMap<object, number>();

/** A number for the instance of a definition, the same for as long as the process lives; empty where there is none. Other instance, other layer. */
export function instanceText(definition: object): string {
  const instance = instanceOf(definition);
  if (instance === undefined) return "";
  let number = numbers.get(instance);
  if (number === undefined) numbers.set(instance, (number = ++last));
  return `#${number}`;
}
