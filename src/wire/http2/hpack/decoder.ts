// Decoder: reads the header blocks that a peer sends over one connection (RFC 7541).
import { type Field, isName, isValue, OVERHEAD } from "./field.ts";
import { decodeHuffman, roomFor } from "./huffman.ts";
import { ownName } from "./indexing.ts";
import { markNeverIndexed } from "./never-indexed.ts";
import { FIRST_DYNAMIC, STATIC_FIELDS } from "./static-table.ts";
import { Table } from "./table.ts";

export interface Bounds {
  /** The size of the table that the peer was allowed. */
  readonly tableBytes: number;
  /** How many fields a list may have. */
  readonly fields: number;
  /** What they may count together, each as in a table. */
  readonly bytes: number;
}

/** What is wrong with a list. */
export type Fault = "" | "malformed" | "too-large" | "too-many";

/** A string so short is put together sooner than it is cut out. */
const SHORT = 8;

const { fromCharCode } = String;

/** Where strings in Huffman's code are written, unless they are long. Shared: none is in use behind the call. */
const SCRATCH = Buffer.allocUnsafeSlow(2_048);

/** A class, since each connection has one. */
export class Decoder {
  /** What is wrong with the fields of the last block, which was read to its end all the same. */
  fault: Fault = "";
  readonly #bounds: Bounds;
  readonly #table: Table<Field>;
  #unreadable = false;
  #bytes: Buffer = SCRATCH;
  #at = 0;
  #to = 0;
  /** What was read last: a name or a value that is not allowed. */
  #wrong = false;
  #list: string[] = [];
  #count = 0;
  #size = 0;

  constructor(bounds: Bounds) {
    this.#bounds = bounds;
    this.#table = new Table(bounds.tableBytes);
  }

  /** Reads a whole header block. Names and values by turns; undefined: it cannot be read, and neither can any later one. */
  decode(bytes: Buffer, from: number, to: number): string[] | undefined {
    this.fault = "";
    if (this.#unreadable) return undefined;
    this.#bytes = bytes;
    this.#at = from;
    this.#to = to;
    this.#list = [];
    this.#count = 0;
    this.#size = 0;
    this.#unreadable = !this.#resized() || !this.#fields();
    const list = this.#list;
    this.#list = NOTHING;
    this.#bytes = SCRATCH;
    return this.#unreadable ? undefined : list;
  }

  /** Changes of the table's size, which stand at the beginning of a block. */
  #resized(): boolean {
    while (this.#at < this.#to && ((this.#bytes[this.#at] ?? 0) & 0xe0) === 0x20) {
      const size = this.#integer(0x1f);
      if (size === -1 || size > this.#bounds.tableBytes) return false;
      this.#table.resize(size);
    }
    return true;
  }

  #fields(): boolean {
    while (this.#at < this.#to) {
      const first = this.#bytes[this.#at] ?? 0;
      if (first >= 0x80) {
        const field = this.#field(this.#integer(0x7f));
        if (field === undefined) return false;
        this.#take(field.name, field.value, field.size, field.malformed);
      } else if (first >= 0x40) {
        if (!this.#literal(0x3f, true, false)) return false;
      } else if (first >= 0x20) {
        return false; // a change of size in the middle of a block
      } else if (!this.#literal(0x0f, false, first >= 0x10)) {
        return false;
      }
    }
    return true;
  }

  #literal(mask: number, indexed: boolean, never: boolean): boolean {
    const index = this.#integer(mask);
    let name: string | undefined;
    let misnamed = false;
    if (index === 0) {
      name = this.#string(isName);
      misnamed = this.#wrong;
    } else {
      const field = this.#field(index);
      if (field !== undefined) ({ name, misnamed } = field);
    }
    if (name === undefined) return false;
    const value = this.#string(isValue);
    if (value === undefined) return false;
    const malformed = misnamed || this.#wrong;
    const size = name.length + value.length + OVERHEAD;
    if (indexed) this.#table.add({ name: index === 0 ? ownName(name) : name, value, size, misnamed, malformed });
    else if (never) markNeverIndexed(name);
    this.#take(name, value, size, malformed);
    return true;
  }

  /** Beyond a bound nothing is kept: a byte can stand for a field of the table's size. */
  #take(name: string, value: string, size: number, malformed: boolean): void {
    this.#size += size;
    this.#count++;
    if (this.#size > this.#bounds.bytes) this.fault ||= "too-large";
    else if (this.#count > this.#bounds.fields) this.fault ||= "too-many";
    else this.#list.push(name, value);
    if (malformed) this.fault ||= "malformed";
  }

  #field(index: number): Field | undefined {
    if (index >= FIRST_DYNAMIC) return this.#table.at(index - FIRST_DYNAMIC);
    return index > 0 ? STATIC_FIELDS[index] : undefined;
  }

  /** An integer in the bits of `mask`, and in up to five bytes behind it where these do not suffice (RFC 7541, 5.1); -1: there is none. */
  #integer(mask: number): number {
    const bytes = this.#bytes;
    let value = (bytes[this.#at++] ?? 0) & mask;
    if (value < mask) return value;
    for (let shift = 0; this.#at < this.#to && shift <= 28; shift += 7) {
      const byte = bytes[this.#at++] ?? 0;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    return -1;
  }

  /** A string; undefined: there is none. */
  #string(allowed: (bytes: Uint8Array, from: number, to: number) => boolean): string | undefined {
    if (this.#at >= this.#to) return undefined;
    const coded = (this.#bytes[this.#at] ?? 0) >= 0x80;
    const length = this.#integer(0x7f);
    let from = this.#at;
    let to = from + length;
    if (length === -1 || to > this.#to) return undefined;
    this.#at = to;
    let bytes = this.#bytes;
    if (coded) {
      const room = roomFor(length);
      const into = room <= SCRATCH.length ? SCRATCH : Buffer.allocUnsafe(room);
      to = decodeHuffman(bytes, from, to, into);
      if (to === -1) return undefined;
      from = 0;
      bytes = into;
    }
    this.#wrong = !allowed(bytes, from, to);
    if (to - from > SHORT) return bytes.toString("latin1", from, to);
    let text = "";
    for (let at = from; at < to; at++) text += fromCharCode(bytes[at] ?? 0);
    return text;
  }
}

/** Holds the place of a list between blocks, so that none is kept alive. */
const NOTHING: string[] = [];
