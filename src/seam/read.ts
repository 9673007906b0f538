// Reads structured fields (RFC 9651, 4.2), strictly. What is wrong with one matters to nobody, only that it is malformed.
//
// Ours, since it runs twice on every call that crosses a seam, and is small; it is fuzzed, and what is written is read back as it was.
import { type BareItem, type Dictionary, type InnerList, type Item, NO_PARAMETERS, type Settings } from "./structured.ts";

/** The most that one field may be. */
export const LONGEST_FIELD = 8_192;

/** The most that one may hold: members, items of a list, parameters. */
const MOST = 256;

class Malformed extends Error {}

const fail = (): never => {
  throw new Malformed();
};

/** A place in the text. A class, since it moves through a dozen functions. */
class Reader {
  at = 0;
  readonly text: string;

  constructor(text: string) {
    if (text.length > LONGEST_FIELD) fail();
    this.text = text;
  }

  get ended(): boolean {
    return this.at >= this.text.length;
  }

  get next(): string {
    return this.text.charAt(this.at);
  }

  /** Takes the character if it is there. */
  takes(character: string): boolean {
    if (this.next !== character) return false;
    this.at++;
    return true;
  }

  /** Takes what fits, which is sticky; nothing else may stand here. */
  match(pattern: RegExp): string {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text)?.[0] ?? fail();
    this.at += found.length;
    return found;
  }

  spaces(): void {
    while (this.next === " ") this.at++;
  }
}

/** A dictionary; `undefined`: it is malformed, and nothing of it counts. */
export const parseDictionary = (text: string): Dictionary | undefined => whole(text, dictionary);

/** One item; `undefined`: it is malformed. */
export const parseItem = (text: string): Item | undefined => whole(text, item);

function whole<T>(text: string, read: (from: Reader) => T): T | undefined {
  try {
    const from = new Reader(text);
    from.spaces();
    const result = read(from);
    from.spaces();
    return from.ended ? result : undefined;
  } catch (error) {
    if (error instanceof Malformed) return undefined;
    throw error;
  }
}

const KEY = /[a-z*][a-z0-9_.*-]*/y;
const OPTIONAL_WHITESPACE = /[ \t]*/y;

function dictionary(from: Reader): Dictionary {
  const members = new Map<string, Item | InnerList>();
  while (!from.ended) {
    const key = from.match(KEY);
    const member = from.takes("=") ? itemOrList(from) : { value: true, parameters: parameters(from) };
    members.delete(key); // the last counts, and stands where it stands
    members.set(key, member);
    if (members.size > MOST) fail();
    from.match(OPTIONAL_WHITESPACE);
    if (from.ended) break;
    if (!from.takes(",")) fail();
    from.match(OPTIONAL_WHITESPACE);
    if (from.ended) fail();
  }
  return members;
}

const itemOrList = (from: Reader): Item | InnerList => (from.next === "(" ? innerList(from) : item(from));

function innerList(from: Reader): InnerList {
  from.at++;
  const items: Item[] = [];
  for (;;) {
    from.spaces();
    if (from.takes(")")) return { items, parameters: parameters(from) };
    items.push(item(from));
    if (items.length > MOST || (from.next !== " " && from.next !== ")")) fail();
  }
}

function item(from: Reader): Item {
  return { value: bareItem(from), parameters: parameters(from) };
}

function parameters(from: Reader): Settings {
  if (from.next !== ";") return NO_PARAMETERS;
  const all = new Map<string, BareItem>();
  while (from.takes(";")) {
    from.spaces();
    const key = from.match(KEY);
    const value = from.takes("=") ? bareItem(from) : true;
    all.delete(key);
    all.set(key, value);
    if (all.size > MOST) fail();
  }
  return all;
}

const NUMBER = /-?(?:\d{1,12}\.\d{1,3}|\d{1,15})(?![\d.])/y;
const INTEGER = /-?\d{1,15}(?![\d.])/y;
const STRING = /"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"/y;
const WORD = /[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]*/y;
const BYTES = /:[A-Za-z0-9+/]*={0,2}:/y;
const BOOLEAN = /\?[01]/y;
const DISPLAY = /%"(?:[\x20\x21\x23\x24\x26-\x7e]|%[0-9a-f]{2})*"/y;

function bareItem(from: Reader): BareItem {
  const first = from.next;
  if (first === '"') return from.match(STRING).slice(1, -1).replace(/\\(.)/g, "$1");
  if (first === "?") return from.match(BOOLEAN) === "?1";
  if (first === ":") return Buffer.from(from.match(BYTES).slice(1, -1), "base64");
  if (first === "%") return { display: displayed(from.match(DISPLAY).slice(2, -1)) };
  if (first === "@") {
    from.at++;
    return { date: Number(from.match(INTEGER)) };
  }
  if (first === "-" || (first >= "0" && first <= "9")) return Number(from.match(NUMBER));
  return { token: from.match(WORD) };
}

function displayed(encoded: string): string {
  try {
    return decodeURIComponent(encoded);
  } catch {
    return fail(); // it is no UTF-8
  }
}
