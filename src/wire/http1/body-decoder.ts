// Body decoder: cuts the bytes of a connection into a message's body, step by step, so that whoever receives it can pause between two chunks.
import type { Limits } from "../limits.ts";
import { NO_FIELDS, type Fields } from "../wire.ts";
import { facts, readFields } from "./fields.ts";
import { CHUNKED, TO_END, type Frame } from "./frame.ts";
import type { Inbox } from "./inbox.ts";
import { HeadReader } from "./head-reader.ts";

const SIZE = 0;
const EXTENSION = 1;
const SIZE_LF = 2;
const DATA = 3;
const DATA_CR = 4;
const DATA_LF = 5;
const TRAILERS = 6;

/** What a step came to: `more`: the bytes are used up. The others are told once. */
export type BodyState = "more" | "chunk" | "end" | "bad" | "too-large";

/** The value of a hexadecimal digit; -1: it is none. */
function hex(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const small = byte | 32;
  return small >= 97 && small <= 102 ? small - 87 : -1;
}

/** Fields that would change what has been read already (RFC 9110 6.5.1). */
const FRAMING = /^(?:transfer-encoding|content-length|host|trailer|connection|upgrade|te|content-encoding|content-type|content-range)$/i;

/** Without the spaces that RFC 9112 7.1.1 would let by for the sake of old times. */
const EXTENSIONS = /^(?:;[\w!#$%&'*+\-.^`|~]+(?:=(?:[\w!#$%&'*+\-.^`|~]+|"(?:[\t !#-[\]-~\u0080-\u00ff]|\\[\t -~\u0080-\u00ff])*"))?)+$/;

const NOTHING = new Uint8Array();

/** An instance is used again for the next body. A class, since each connection has one: as closures the parts of a connection took four times the memory. */
export class BodyDecoder {
  /** After `chunk`: bytes of the body, cut from what was read. */
  chunk: Uint8Array = NOTHING;
  /** After `end`. */
  trailers: Fields = NO_FIELDS;
  /** How far the chunk that is read has been used. */
  at = 0;
  readonly #limits: Limits;
  #reader: HeadReader | undefined;
  #chunked = false;
  #toEnd = false;
  #state = DATA;
  /** Bytes of the body or of the chunk that are still to come. */
  #left = 0;
  #digits = 0;
  #extension = "";
  #extensions = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** The chunk that was read last is the last one: there are no trailers, and no more is read. */
  get complete(): boolean {
    return this.#left === 0 && !this.#chunked && !this.#toEnd;
  }

  /** The body that is read is complete when the connection ends. */
  get endsWithConnection(): boolean {
    return this.#toEnd;
  }

  begin(frame: Frame): void {
    this.#chunked = frame === CHUNKED;
    this.#toEnd = frame === TO_END;
    this.#state = this.#chunked ? SIZE : DATA;
    this.#left = this.#chunked || this.#toEnd ? 0 : frame;
    this.#digits = this.#extensions = 0;
    this.trailers = NO_FIELDS;
  }

  /** One step on, from `at`. */
  read(bytes: Buffer): BodyState {
    if (!this.#chunked) return this.at < bytes.length ? this.#cut(bytes) : "more";
    while (this.at < bytes.length) {
      if (this.#state === DATA) return this.#cut(bytes);
      if (this.#state === TRAILERS) return this.#readTrailers(bytes);
      const wrong = this.#frameByte(bytes[this.at++] ?? 0);
      if (wrong !== undefined) return wrong;
    }
    return "more";
  }

  #cut(bytes: Buffer): BodyState {
    const { at } = this;
    const end = this.#toEnd ? bytes.length : Math.min(bytes.length, at + this.#left);
    this.#left -= end - at;
    this.chunk = at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end);
    this.at = end;
    if (this.#chunked && this.#left === 0) this.#state = DATA_CR;
    return "chunk";
  }

  /** A byte around the chunks. What is told is wrong with it. */
  #frameByte(byte: number): "bad" | "too-large" | undefined {
    const { extensionBytes, extensionsBytes } = this.#limits;
    switch (this.#state) {
      case SIZE:
        return this.#sizeByte(byte) ? undefined : "bad";
      case EXTENSION:
        if (byte === 13) {
          this.#state = SIZE_LF;
          return EXTENSIONS.test(this.#extension) ? undefined : "bad";
        }
        this.#extension += String.fromCharCode(byte);
        return this.#extension.length > extensionBytes || ++this.#extensions > extensionsBytes ? "too-large" : undefined;
      case SIZE_LF:
        this.#state = this.#left === 0 ? TRAILERS : DATA;
        if (this.#state === TRAILERS) (this.#reader ??= new HeadReader(this.#limits.headBytes)).behindLine();
        return byte === 10 ? undefined : "bad";
      case DATA_CR:
        this.#state = DATA_LF;
        return byte === 13 ? undefined : "bad";
      default:
        this.#state = SIZE;
        this.#left = this.#digits = 0;
        return byte === 10 ? undefined : "bad";
    }
  }

  /** A byte of a chunk's size, or the first one behind it. False: it may not stand there. */
  #sizeByte(byte: number): boolean {
    const digit = hex(byte);
    if (digit >= 0) {
      this.#left = this.#left * 16 + digit;
      return ++this.#digits <= 12; // 2^48: far from where numbers become inexact
    }
    if (this.#digits === 0) return false;
    this.#extension = ";";
    this.#state = byte === 13 ? SIZE_LF : EXTENSION;
    return byte === 13 || byte === 59;
  }

  #readTrailers(bytes: Buffer): BodyState {
    const reader = (this.#reader ??= new HeadReader(this.#limits.headBytes));
    const read = reader.read(bytes, this.at);
    this.at = read === "done" ? reader.rest : bytes.length;
    if (read !== "done") return read;
    const trailers: string[] = [];
    const fault = readFields(reader.text, 2, trailers, this.#limits);
    if (fault !== undefined) return fault === "syntax" ? "bad" : fault;
    for (let at = 0; at < trailers.length; at += 2) if (FRAMING.test(trailers[at] ?? "")) return "bad";
    if (facts.hosts > 0) return "bad";
    this.trailers = trailers.length === 0 ? NO_FIELDS : trailers;
    return "end";
  }
}

/** Throws away a body that has come along with its head and that nobody wants. Whether that is all of it. */
export function skipBody(decoder: BodyDecoder, inbox: Inbox): boolean {
  while (inbox.bytes !== undefined) {
    decoder.at = inbox.at;
    const state = decoder.read(inbox.bytes);
    inbox.used(decoder.at);
    if (state === "end" || (state === "chunk" && decoder.complete)) return true;
    if (state !== "chunk") return false;
  }
  return false;
}
