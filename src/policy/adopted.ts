// The live instance behind a definition of `adopt`, and the function behind an entry of `route`: tied to the object of the definition, beside its
// data, so that JSON does not show it.

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
  return (typeof instance === "object" && instance !== null) || typeof instance === "function" ? instance : undefined;
}

let last = 0;
const numbers = new WeakMap<object, number>();

/** Numbers for the instances in a definition, the same for as long as the process lives; empty where there are none. Other instance, other layer. */
export function instanceText(definition: unknown): string {
  if (typeof definition !== "object" || definition === null) return "";
  const below = Object.values(definition).map(instanceText).join("");
  const instance = instanceOf(definition);
  if (instance === undefined) return below;
  let number = numbers.get(instance);
  if (number === undefined) numbers.set(instance, (number = ++last));
  return `${below}#${number}`;
}

/** Ties the instances in an original to its copy. */
export function retied(copy: unknown, original: unknown): void {
  if (typeof copy !== "object" || copy === null) return;
  const instance = instanceOf(original);
  if (instance !== undefined) tied(copy, instance);
  for (const [key, field] of Object.entries(copy)) retied(field, (original as Record<string, unknown>)[key]); // the cast: they have the same fields
}
