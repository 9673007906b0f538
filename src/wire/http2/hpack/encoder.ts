// Encoder: writes header blocks for a peer, over one connection (RFC 7541). Strings go out as they are: Huffman's code would save bytes that cost less than the time to make it.
import { OVERHEAD } from "./field.ts";
import { ALWAYS, type Indexing, indexingOf, NEVER, PERHAPS } from "./indexing.ts";
import { neverIndexedChanges } from "./never-indexed.ts";
import { FIRST_DYNAMIC, STATIC_NAMES, type StaticName } from "./static-table.ts";
import { Table } from "./table.ts";

/** The table's size until the peer says another, and the most that is used. */
const TABLE_BYTES = 4_096;

/** So many names are known at a time, more than the table has room for; longer ones are not. */
const NAMES = 160;
const LONGEST = 128;

/** How many values are remembered as seen. */
const SEEN = 64;

/** A string so short is written sooner here than by Node. */
const SHORT = 12;

/** A field in the table. Its code is its static index, or counts from there on with every field that has ever been put in. */
interface Entry {
  readonly name: Name;
  readonly value: string;
  readonly code: number;
  readonly size: number;
}

/** What an encoder knows of a name. All entries that it refers to are in the table. */
interface Name {
  readonly text: string;
  readonly fixed: StaticName | undefined;
  indexing: Indexing;
  /** When `indexing` was looked up. */
  asOf: number;
  /** The value that was found last, and its code. */
  value: string | undefined;
  code: number;
  newest: Entry | undefined;
  /** The codes by value, once there have been two. */
  values: Map<string, number> | undefined;
}

/** A class, since each connection has one. */
export class Encoder {
  readonly #names = new Map<string, Name>();
  readonly #table: Table<Entry>;
  /** Of values that were not put in. */
  #seen: Int32Array | undefined;
  /** The code of the next entry. */
  #code = FIRST_DYNAMIC;
  /** The size that the peer is to be told of, and the lowest since it was told last. */
  #bytes = TABLE_BYTES;
  #lowest = TABLE_BYTES;

  constructor() {
    this.#table = new Table<Entry>(TABLE_BYTES, forget);
  }

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. */
  limit(bytes: number): void {
    this.#bytes = Math.min(bytes, TABLE_BYTES);
    this.#lowest = Math.min(this.#lowest, this.#bytes);
  }

  /** At most how many bytes the list takes. */
  bound(list: readonly string[]): number {
    let bytes = 8; // two sizes of the table
    for (const text of list) bytes += text.length + 8;
    return bytes;
  }

  /** Writes the list at `at`, where there is room for `bound` bytes; gives where it ends. */
  encode(list: readonly string[], into: Buffer, at: number): number {
    let end = this.#bytes === this.#table.bytes && this.#lowest === this.#bytes ? at : this.#resize(into, at);
    const asOf = neverIndexedChanges();
    for (let nth = 0; nth < list.length; nth += 2) {
      const name = this.#names.get(list[nth] ?? "") ?? this.#name(list[nth] ?? "");
      if (name.asOf !== asOf) {
        name.asOf = asOf;
        name.indexing = indexingOf(name.text);
      }
      end = this.#field(name, list[nth + 1] ?? "", into, end);
    }
    return end;
  }

  #field(name: Name, value: string, into: Buffer, at: number): number {
    const { indexing } = name;
    if (indexing === ALWAYS || indexing === PERHAPS) {
      const code = name.value === value ? name.code : this.#find(name, value);
      if (code !== 0) return integer(0x80, 0x7f, this.#index(code), into, at);
    }
    const known = name.fixed?.index ?? (name.newest === undefined ? 0 : this.#index(name.newest.code));
    const kept = this.#isWorth(name, value, known);
    let end = kept ? integer(0x40, 0x3f, known, into, at) : integer(indexing === NEVER ? 0x10 : 0, 0x0f, known, into, at);
    if (known === 0) end = string(name.text, into, end);
    end = string(value, into, end);
    if (kept) this.#add(name, value); // last, as the entry of the name may be the one that goes
    return end;
  }

  /** Whether the field is worth a place in the table. A name that is not in it yet is, for what comes under it later. */
  #isWorth(name: Name, value: string, known: number): boolean {
    if (name.indexing === NEVER || name.text.length > LONGEST) return false;
    if (sizeOf(name, value) > this.#table.bytes / 4) return false;
    return name.indexing === ALWAYS || known === 0 || (name.indexing === PERHAPS && this.#again(name, value));
  }

  #find(name: Name, value: string): number {
    if (value.length > TABLE_BYTES / 4) return 0; // before it is hashed
    const { newest } = name;
    const code = newest?.value === value ? newest.code : (name.values?.get(value) ?? name.fixed?.values?.get(value) ?? 0);
    if (code !== 0) {
      name.value = value;
      name.code = code;
    }
    return code;
  }

  #index(code: number): number {
    return code < FIRST_DYNAMIC ? code : FIRST_DYNAMIC - 1 + this.#code - code;
  }

  /** Whether the value was seen not long ago, which values that never come again should not push fields out for. Two of one hash pass for the same. */
  #again(name: Name, value: string): boolean {
    let hash = name.text.length;
    for (let at = 0; at < value.length; at++) hash = (Math.imul(hash, 31) + value.charCodeAt(at)) | 0;
    hash = Math.imul(hash, 0x9e3779b1);
    const seen = (this.#seen ??= new Int32Array(SEEN));
    const place = (hash >>> 16) % SEEN;
    if (seen[place] === hash) return true;
    seen[place] = hash;
    return false;
  }

  #add(name: Name, value: string): void {
    const entry: Entry = { name, value, code: this.#code++, size: sizeOf(name, value) };
    const { code } = entry;
    this.#table.add(entry);
    if (name.newest !== undefined) name.values ??= new Map([[name.newest.value, name.newest.code]]);
    name.values?.set(value, code);
    name.newest = entry;
    name.value = value;
    name.code = code;
  }

  /** Tells the peer of a change of the table's size, and first of the lowest in between. */
  #resize(into: Buffer, at: number): number {
    let end = at;
    if (this.#lowest < this.#bytes) {
      this.#table.resize(this.#lowest);
      end = integer(0x20, 0x1f, this.#lowest, into, end);
    }
    this.#table.resize(this.#bytes);
    this.#lowest = this.#bytes;
    return integer(0x20, 0x1f, this.#bytes, into, end);
  }

  #name(text: string): Name {
    const name: Name = {
      text,
      fixed: STATIC_NAMES.get(text),
      indexing: indexingOf(text),
      asOf: neverIndexedChanges(),
      value: undefined,
      code: 0,
      newest: undefined,
      values: undefined,
    };
    if (text.length > LONGEST) return name;
    if (this.#names.size >= NAMES) for (const [key, { newest }] of this.#names) if (newest === undefined) this.#names.delete(key);
    this.#names.set(text, name);
    return name;
  }
}

const sizeOf = (name: Name, value: string): number => name.text.length + value.length + OVERHEAD;

/** An entry has left the table. */
function forget({ name, value, code }: Entry): void {
  name.values?.delete(value);
  if (name.newest?.code === code) name.newest = undefined;
  if (name.code !== code) return;
  name.value = undefined;
  name.code = 0;
}

function integer(first: number, mask: number, value: number, into: Buffer, at: number): number {
  if (value < mask) {
    into[at] = first | value;
    return at + 1;
  }
  into[at] = first | mask;
  let end = at + 1;
  let rest = value - mask;
  for (; rest >= 0x80; rest >>>= 7) into[end++] = (rest & 0x7f) | 0x80;
  into[end] = rest;
  return end + 1;
}

function string(text: string, into: Buffer, at: number): number {
  const { length } = text;
  const end = integer(0, 0x7f, length, into, at);
  if (length > SHORT) into.write(text, end, "latin1");
  else for (let nth = 0; nth < length; nth++) into[end + nth] = text.charCodeAt(nth);
  return end + length;
}
