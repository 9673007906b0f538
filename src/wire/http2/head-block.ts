// Head block: a header list as it comes, in one frame or in several (RFC 9113, 4.3).
import type { Limits } from "../limits.ts";
import { CONTINUATION, END_HEADERS, END_STREAM, PADDED, WITH_PRIORITY } from "./frames.ts";

/** A class, since each connection has one. */
export class HeadBlock {
  /** The stream whose list has not come whole; 0: there is none. */
  id = 0;
  /** It is the last that comes on its stream. */
  ended = false;
  /** Its stream is said to depend on itself. */
  circular = false;
  bytes: Buffer = NOTHING;
  from = 0;
  to = 0;
  readonly #limits: Limits;
  #parts: Buffer[] | undefined = undefined;
  #length = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** Takes a HEADERS or a CONTINUATION. What can be said then: it is whole (and stands from `from` to `to`), there is more to come, or it is not allowed. */
  take(type: number, flags: number, id: number, bytes: Buffer, from: number, to: number): "whole" | "more" | "wrong" | "flood" {
    let begin = from;
    let end = to;
    if (type !== CONTINUATION) {
      this.id = id;
      this.ended = (flags & END_STREAM) !== 0;
      this.circular = false;
      if ((flags & PADDED) !== 0) end -= bytes[begin++] ?? 0;
      if ((flags & WITH_PRIORITY) !== 0) {
        if (end - begin < 5) return "wrong";
        this.circular = (bytes.readUInt32BE(begin) & 0x7fffffff) === id;
        begin += 5;
      }
      if (begin > end || begin > to) return "wrong";
    }
    const last = (flags & END_HEADERS) !== 0;
    if (last && this.#parts === undefined) {
      this.bytes = bytes;
      this.from = begin;
      this.to = end;
      this.id = 0;
      return "whole";
    }
    const parts = (this.#parts ??= []);
    parts.push(Buffer.from(bytes.subarray(begin, end)));
    this.#length += end - begin;
    // what is compressed is seldom larger than what it stands for
    if (parts.length > this.#limits.continuations || this.#length > 2 * this.#limits.headBytes) return "flood";
    if (!last) return "more";
    this.bytes = Buffer.concat(parts);
    this.from = 0;
    this.to = this.bytes.length;
    this.drop();
    return "whole";
  }

  drop(): void {
    this.#parts = undefined;
    this.#length = 0;
    this.id = 0;
  }
}

const NOTHING = Buffer.alloc(0);
