// Input: cuts the bytes of a connection into frames. The payload of DATA is handed on as it comes, any other frame when it is whole.
import { FRAME_SIZE_ERROR, PROTOCOL_ERROR } from "./codes.ts";
import { DATA, END_STREAM, FRAME_BYTES, FRAME_HEAD, PADDED } from "./frames.ts";

/** Who is told of the frames. */
export interface FrameReader {
  /** `length` counts the padding, and `bare` is without it. */
  dataBegins(id: number, length: number, bare: number, ended: boolean): void;
  data(chunk: Buffer): void;
  dataEnds(): void;
  /** The payload stands from `from` to `to`; the bytes may be somebody else's afterwards. */
  frame(type: number, flags: number, id: number, bytes: Buffer, from: number, to: number): void;
  /** The connection cannot be read any further. */
  wrong(code: number, what: string): void;
}

/** A class, since each connection has one. */
export class Input {
  readonly #reader: FrameReader;
  /** The beginning of a frame that has not come whole. */
  #rest: Buffer | undefined = undefined;
  #inData = false;
  /** What of the DATA frame is still to come, and its padding. */
  #left = 0;
  #padding = 0;
  #stopped = false;

  constructor(reader: FrameReader) {
    this.#reader = reader;
  }

  /** Nothing more is read. */
  stop(): void {
    this.#stopped = true;
    this.#rest = undefined;
  }

  read(chunk: Buffer): void {
    const rest = this.#rest;
    const bytes = rest === undefined ? chunk : Buffer.concat([rest, chunk]);
    this.#rest = undefined;
    let at = 0;
    while (!this.#stopped) {
      if (this.#inData) {
        at = this.#readData(bytes, at);
        if (this.#inData) return;
      }
      const next = this.#stopped ? 0 : this.#readFrame(bytes, at);
      if (next === 0) break;
      at = next;
    }
    // a copy, so that what comes does not keep a whole chunk of the socket alive
    if (at < bytes.length && !this.#stopped) this.#rest = Buffer.from(bytes.subarray(at));
  }

  /** Reads a frame, or the head of a DATA frame. Gives where it ends; 0: it has not come whole. */
  #readFrame(bytes: Buffer, at: number): number {
    if (bytes.length - at < FRAME_HEAD) return 0;
    const length = (byte(bytes, at) << 16) | (byte(bytes, at + 1) << 8) | byte(bytes, at + 2);
    const type = byte(bytes, at + 3);
    const flags = byte(bytes, at + 4);
    const id = ((byte(bytes, at + 5) & 0x7f) << 24) | (byte(bytes, at + 6) << 16) | (byte(bytes, at + 7) << 8) | byte(bytes, at + 8);
    if (length > FRAME_BYTES) {
      this.#reader.wrong(FRAME_SIZE_ERROR, "a frame is larger than is allowed");
      return 0;
    }
    const from = at + FRAME_HEAD;
    if (type === DATA) return this.#beginData(bytes, from, length, flags, id);
    if (bytes.length - from < length) return 0;
    this.#reader.frame(type, flags, id, bytes, from, from + length);
    return from + length;
  }

  #beginData(bytes: Buffer, from: number, length: number, flags: number, id: number): number {
    let padding = 0;
    let begun = 0;
    if ((flags & PADDED) !== 0) {
      if (length === 0) return this.#tooPadded();
      if (bytes.length === from) return 0;
      begun = 1;
      padding = byte(bytes, from);
      if (padding >= length) return this.#tooPadded();
    }
    this.#inData = true;
    this.#left = length - begun - padding;
    this.#padding = padding;
    this.#reader.dataBegins(id, length, this.#left, (flags & END_STREAM) !== 0);
    return from + begun;
  }

  #tooPadded(): number {
    this.#reader.wrong(PROTOCOL_ERROR, "a frame is more padding than frame");
    return 0;
  }

  /** Hands on what of a DATA frame is there. Gives up to where it was used. */
  #readData(bytes: Buffer, from: number): number {
    let at = from;
    if (this.#left > 0) {
      const take = Math.min(this.#left, bytes.length - at);
      if (take === 0) return at;
      this.#left -= take;
      at += take;
      this.#reader.data(bytes.subarray(at - take, at));
      if (this.#left > 0) return at;
    }
    const skip = Math.min(this.#padding, bytes.length - at);
    this.#padding -= skip;
    if (this.#padding > 0) return at + skip;
    this.#inData = false;
    this.#reader.dataEnds();
    return at + skip;
  }
}

const byte = (bytes: Buffer, at: number): number => bytes[at] ?? 0;
