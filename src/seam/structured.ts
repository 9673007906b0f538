// Structured fields (RFC 9651): the values that dictionaries and items are made of, which is all that the seam speaks in.

/** A word without quotes: `unavailable`. */
export interface Token {
  readonly token: string;
}

/** Text of any script (RFC 9651, 3.3.8). */
export interface Display {
  readonly display: string;
}

export interface Moment {
  /** Seconds since 1970. */
  readonly date: number;
}

/** Integers and decimals are numbers, strings are strings of printable ASCII. */
export type BareItem = number | string | boolean | Token | Display | Moment | Uint8Array;

export type Settings = ReadonlyMap<string, BareItem>;

export interface Item {
  readonly value: BareItem;
  readonly parameters: Settings;
}

export interface InnerList {
  readonly items: readonly Item[];
  readonly parameters: Settings;
}

export type Dictionary = ReadonlyMap<string, Item | InnerList>;

export const NO_PARAMETERS: Settings = new Map();

export const token = (word: string): Token => ({ token: word });

export const isToken = (value: unknown): value is Token => typeof value === "object" && value !== null && "token" in value;

export const isInnerList = (member: Item | InnerList | undefined): member is InnerList => member !== undefined && "items" in member;

/** What a token may be. */
const TOKEN = /^[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]*$/;

/** Text as a word where it is one, else in quotes, else as text of any script. */
export function textItem(text: string): BareItem {
  if (TOKEN.test(text)) return { token: text };
  return /^[\x20-\x7e]*$/.test(text) ? text : { display: text };
}

/** The text of an item, however it is written; `undefined`: it is none. */
export function textOf(member: Item | InnerList | undefined): string | undefined {
  if (member === undefined || isInnerList(member)) return undefined;
  const { value } = member;
  if (typeof value === "string") return value;
  if (typeof value !== "object") return undefined;
  return "token" in value ? value.token : "display" in value ? value.display : undefined;
}

export const numberOf = (member: Item | InnerList | undefined): number | undefined =>
  member !== undefined && !isInnerList(member) && typeof member.value === "number" ? member.value : undefined;

export const booleanOf = (member: Item | InnerList | undefined): boolean | undefined =>
  member !== undefined && !isInnerList(member) && typeof member.value === "boolean" ? member.value : undefined;
