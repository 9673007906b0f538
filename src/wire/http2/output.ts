// Output: the frames that go out over one connection, gathered, and written once in a turn of the event loop.
import type { Duplex } from "node:stream";
import { giveBuffer, takeBuffer } from "./buffers.ts";
import type { Encoder } from "./hpack/encoder.ts";
import {
  ACK,
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  FRAME_HEAD,
  GOAWAY,
  HEADERS,
  PING,
  RST_STREAM,
  SETTINGS,
  WINDOW_UPDATE,
  writeFrameHead,
  writeNumber,
} from "./frames.ts";
import { flushSoon } from "./turn.ts";

/** Chunks up to this size are copied behind their frame's head: a write of its own costs more. */
const COPIED = 8 * 1024;
/** What does not fit into the first buffer of a turn has more of its kind behind it. */
const MORE = 16 * 1024;
/** What is gathered in one turn before those who have more to send have to wait. */
const GATHERED = 128 * 1024;

/** Who is told how the socket does. */
export interface OutputEvents {
  /** It takes nothing for now. */
  blocked(): void;
  /** There is room again, after it was full or blocked. */
  free(): void;
}

export class Output {
  /** Bytes of frames by which we answer the peer's, since the socket had taken all: what it can make us hold. */
  answers = 0;
  readonly #socket: Duplex;
  readonly #on: OutputEvents;
  #bytes: Buffer | undefined = undefined;
  #from = 0;
  #at = 0;
  /** What stands before what is in the buffer. */
  #parts: Uint8Array[] | undefined = undefined;
  #gathered = 0;
  /** How much it was in the turn before. */
  #usual = 0;
  #dirty = false;
  #blocked = false;
  #wasFull = false;
  /** The DATA frame that was gathered last. */
  #dataIn: Buffer | undefined = undefined;
  #dataAt = 0;
  #dataOf = 0;

  constructor(socket: Duplex, on: OutputEvents) {
    this.#socket = socket;
    this.#on = on;
    socket.on("drain", () => {
      this.#blocked = false;
      this.#rouse();
    });
  }

  /** No more bodies should be sent for now. */
  get full(): boolean {
    const full = this.#blocked || this.#gathered >= GATHERED;
    if (full) this.#wasFull = true;
    return full;
  }

  /** Bytes that are not with the kernel yet. */
  get waiting(): number {
    return this.#gathered + this.#socket.writableLength;
  }

  raw(bytes: Uint8Array): void {
    const into = this.#room(bytes.length);
    into.set(bytes, this.#at);
    this.#at += bytes.length;
    this.#gathered += bytes.length;
  }

  /** The list has names in lower case, and values that may be sent. `most`: how large a frame the peer takes. */
  headers(id: number, list: readonly string[], ended: boolean, encoder: Encoder, most: number): void {
    const into = this.#room(FRAME_HEAD + encoder.bound(list));
    const from = this.#at + FRAME_HEAD;
    const to = encoder.encode(list, into, from);
    const flags = ended ? END_STREAM : 0;
    if (to - from <= most) {
      this.#head(into, to - from, HEADERS, flags | END_HEADERS, id);
      this.#at = to;
      this.#gathered += to - from;
      return;
    }
    const block = Buffer.from(into.subarray(from, to));
    for (let at = 0; at < block.length; at += most) {
      const part = block.subarray(at, at + most);
      const last = at + most >= block.length ? END_HEADERS : 0;
      this.#head(this.#room(FRAME_HEAD + part.length), part.length, at === 0 ? HEADERS : CONTINUATION, at === 0 ? flags | last : last, id);
      this.raw(part);
    }
  }

  /** A chunk that fits into one frame. It must not be changed any more. */
  data(id: number, chunk: Uint8Array, ended: boolean): void {
    const { length } = chunk;
    const copied = length <= COPIED;
    const into = this.#room(FRAME_HEAD + (copied ? length : 0));
    this.#dataIn = into;
    this.#dataAt = this.#at;
    this.#dataOf = id;
    this.#head(into, length, DATA, ended ? END_STREAM : 0, id);
    if (copied) {
      into.set(chunk, this.#at);
      this.#at += length;
    } else {
      this.#cut();
      (this.#parts ??= []).push(chunk);
    }
    this.#gathered += length;
  }

  /** Says of the DATA frame that was gathered last that it is the stream's last one. False: it is out already, or another stream's. */
  endData(id: number): boolean {
    if (this.#dataOf !== id || this.#dataIn === undefined) return false;
    this.#dataIn[this.#dataAt + 4] = END_STREAM;
    this.#dataIn = undefined;
    return true;
  }

  reset(id: number, code: number): void {
    const into = this.#room(FRAME_HEAD + 4);
    this.#head(into, 4, RST_STREAM, 0, id);
    this.#number(into, code);
    this.answers += FRAME_HEAD + 4;
  }

  window(id: number, bytes: number): void {
    const into = this.#room(FRAME_HEAD + 4);
    this.#head(into, 4, WINDOW_UPDATE, 0, id);
    this.#number(into, bytes);
  }

  /** Numbers and values by turns. */
  settings(pairs: readonly number[]): void {
    const into = this.#room(FRAME_HEAD + pairs.length * 3);
    this.#head(into, pairs.length * 3, SETTINGS, 0, 0);
    for (let index = 0; index < pairs.length; index += 2) {
      into[this.#at++] = 0;
      into[this.#at++] = pairs[index] ?? 0;
      this.#number(into, pairs[index + 1] ?? 0);
    }
  }

  settingsTaken(): void {
    this.#head(this.#room(FRAME_HEAD), 0, SETTINGS, ACK, 0);
    this.answers += FRAME_HEAD;
  }

  ping(payload: Uint8Array, answer: boolean): void {
    this.#head(this.#room(FRAME_HEAD + 8), 8, PING, answer ? ACK : 0, 0);
    this.raw(payload);
    if (answer) this.answers += FRAME_HEAD + 8;
  }

  goaway(last: number, code: number, why = ""): void {
    const into = this.#room(FRAME_HEAD + 8 + why.length);
    this.#head(into, 8 + why.length, GOAWAY, 0, 0);
    this.#number(into, last);
    this.#number(into, code);
    this.#at += into.write(why, this.#at, "latin1");
  }

  /** Hands what was gathered to the socket. */
  flush(): void {
    const socket = this.#socket;
    const bytes = this.#bytes;
    this.#dirty = false;
    this.#dataIn = undefined;
    this.#usual = this.#gathered;
    this.#gathered = 0;
    if (socket.destroyed || !socket.writable) {
      this.#bytes = this.#parts = undefined;
      return;
    }
    if (this.#parts === undefined) {
      if (bytes === undefined) return;
      this.#bytes = undefined;
      socket.write(bytes.subarray(this.#from, this.#at));
      // the kernel has all of it, so that nobody reads the buffer any more
      if (socket.writableLength === 0) giveBuffer(bytes);
    } else {
      this.#cut();
      const parts = this.#parts;
      this.#bytes = this.#parts = undefined;
      socket.cork();
      for (const part of parts) socket.write(part);
      socket.uncork();
    }
    if (socket.writableNeedDrain && socket.writableLength > 0) {
      this.#blocked = this.#wasFull = true;
      this.#on.blocked();
    } else this.#rouse();
  }

  #rouse(): void {
    if (this.#socket.writableLength === 0) this.answers = 0;
    if (!this.#wasFull) return;
    this.#wasFull = false;
    this.#on.free();
  }

  /** The buffer in which there are so many bytes free from {@link #at} on. */
  #room(bytes: number): Buffer {
    if (!this.#dirty) {
      this.#dirty = true;
      flushSoon(this);
    }
    const there = this.#bytes;
    if (there !== undefined && this.#at + bytes <= there.length) return there;
    this.#cut();
    this.#from = this.#at = 0;
    const made = takeBuffer(Math.max(bytes, there === undefined ? Math.min(this.#usual, MORE) : MORE));
    this.#bytes = made;
    return made;
  }

  /** What is in the buffer becomes a part of its own. */
  #cut(): void {
    if (this.#bytes === undefined || this.#at === this.#from) return;
    (this.#parts ??= []).push(this.#bytes.subarray(this.#from, this.#at));
    this.#from = this.#at;
  }

  #head(into: Buffer, length: number, type: number, flags: number, id: number): void {
    writeFrameHead(into, this.#at, length, type, flags, id);
    this.#at += FRAME_HEAD;
    this.#gathered += FRAME_HEAD;
  }

  #number(into: Buffer, value: number): void {
    writeNumber(into, this.#at, value);
    this.#at += 4;
  }
}
