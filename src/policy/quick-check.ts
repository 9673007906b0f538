// quickly: whether a value is right by a schema, without the schema library, which only has to be loaded to say what is wrong.
//
// The schemas are given these words in the place of zod's. Each says yes or no, and where it says yes, zod would, with the same copy of the value; a test holds
// them to that. They may say no to what is odd and right: zod is asked then.
import type { Zod } from "./schema.ts";

const NO: unique symbol = Symbol("no");

/** A copy of the value as far as it is known, or `NO`. */
type Read = (value: unknown) => unknown;

/** A schema, with those of zod's methods that the schemas of policies use. A class, since there are hundreds of them. */
class Word {
  readonly read: Read;
  /** What a literal stands for, and an object's `kind`. */
  readonly only: unknown;
  readonly optional: boolean;

  constructor(read: Read, only?: unknown, optional = false) {
    this.read = read;
    this.only = only;
    this.optional = optional;
  }

  refine(fits: (value: never) => unknown): Word {
    const { read, only, optional } = this;
    return new Word((value) => accepted(read(value), fits), only, optional);
  }

  superRefine(look: (value: never, issues: { readonly addIssue: () => void }) => void): Word {
    return this.refine((value) => {
      let right = true;
      look(value, { addIssue: () => void (right = false) });
      return right;
    });
  }

  regex(pattern: RegExp): Word {
    return this.refine((text: string) => pattern.test(text));
  }

  min(least: number): Word {
    return this.refine((value: Sized) => sizeOf(value) >= least);
  }

  max(most: number): Word {
    return this.refine((value: Sized) => sizeOf(value) <= most);
  }

  gt(bound: number): Word {
    return this.refine((number: number) => number > bound);
  }

  int(): Word {
    return this.refine(Number.isSafeInteger);
  }

  exactOptional(): Word {
    return new Word(this.read, this.only, true);
  }

  readonly(): Word {
    return this;
  }

  meta(): Word {
    return this;
  }
}

type Sized = number | string | readonly unknown[];

const sizeOf = (value: Sized): number => (typeof value === "number" ? value : value.length);

// the cast: what has been read is what the schema says
const accepted = (value: unknown, fits: (value: never) => unknown): unknown => (value !== NO && Boolean(fits(value as never)) ? value : NO);

const word = (read: Read, only?: unknown): Word => new Word(read, only);

type Fields = Readonly<Record<string, unknown>>;

function isPlain(value: unknown): value is Fields {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function list(items: readonly unknown[], read: Read): unknown {
  const copy: unknown[] = [];
  for (const item of items) {
    const one = read(item);
    if (one === NO) return NO;
    copy.push(one);
  }
  return copy;
}

/** As zod's, the copy has its fields in the order of the schema. */
function fields(value: unknown, shape: Readonly<Record<string, Word>>): unknown {
  if (!isPlain(value)) return NO;
  for (const key in value) if (!Object.hasOwn(shape, key)) return NO;
  const copy: Record<string, unknown> = {};
  for (const [key, { read, optional }] of Object.entries(shape)) {
    if (!Object.hasOwn(value, key)) {
      if (optional) continue;
      return NO;
    }
    const one = read(value[key]);
    if (one === NO || one === undefined) return NO;
    copy[key] = one;
  }
  return copy;
}

function record(value: unknown, readKey: Read, read: Read): unknown {
  if (!isPlain(value) || Object.getOwnPropertySymbols(value).length > 0) return NO;
  const copy: Record<string, unknown> = {};
  for (const [key, field] of Object.entries(value)) {
    const one = key === "__proto__" || readKey(key) === NO ? NO : read(field);
    if (one === NO) return NO;
    copy[key] = one;
  }
  return copy;
}

function json(value: unknown): unknown {
  if (value === null || typeof value === "string" || typeof value === "boolean" || Number.isFinite(value)) return value;
  return Array.isArray(value) ? list(value, json) : record(value, (key) => key, json);
}

const words = {
  string: () => word((value) => (typeof value === "string" ? value : NO)),
  number: () => word((value) => (Number.isFinite(value) ? value : NO)),
  boolean: () => word((value) => (typeof value === "boolean" ? value : NO)),
  literal: (only: unknown) => word((value) => (value === only ? value : NO), only),
  enum: (names: readonly unknown[]) => word((value) => (names.includes(value) ? value : NO)),
  json: () => word(json),
  record: (key: Word, { read }: Word) => word((value) => record(value, key.read, read)),
  array: ({ read }: Word) => word((value) => (Array.isArray(value) ? list(value, read) : NO)),
  strictObject: (shape: Readonly<Record<string, Word>>) => word((value) => fields(value, shape), shape["kind"]?.only),
  exactOptional: (inner: Word) => inner.exactOptional(),
  union: (choices: readonly Word[]) =>
    word((value) => choices.reduce((found: unknown, { read }) => (found === NO ? read(value) : found), NO)),
  discriminatedUnion: (key: string, choices: readonly Word[]) => {
    const byKey = new Map(choices.map(({ only, read }) => [only, read]));
    return word((value) => (isPlain(value) ? (byKey.get(value[key])?.(value) ?? NO) : NO));
  },
};

/** A look at values of one schema: a copy of what is right for certain, as zod makes it, else `undefined`. */
export function quickly(schemaOf: (z: Zod) => unknown): (value: unknown) => unknown {
  // the casts: schemas use no other word, and what they make of ours is one of ours
  const { read } = schemaOf(words as unknown as Zod) as Word;
  return (value) => {
    const copy = read(value);
    return copy === NO ? undefined : copy;
  };
}
