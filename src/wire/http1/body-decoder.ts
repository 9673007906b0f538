// Body decoder: cuts the bytes of a connection into a message's body, step by step, so that whoever receives it can pause between two chunks.
import type { Limits } from "../limits.ts";
import { NO_FIELDS, type Fields } from "../wire.ts";
import { newFacts, readFields } from "./fields.ts";
import { CHUNKED, TO_END, type Frame } from "./frame.ts";
import type { Inbox } from "./inbox.ts";
import { newHeadReader } from "./head-reader.ts";

const SIZE = 0;
const EXTENSION = 1;
const SIZE_LF = 2;
const DATA = 3;
const DATA_CR = 4;
const DATA_LF = 5;
const TRAILERS = 6;

/** What a step came to: `more`: the bytes are used up. The others are told once. */
export type BodyState = "more" | "chunk" | "end" | "bad" | "too-large";

export interface BodyDecoder {
  /** After `chunk`: bytes of the body, cut from what was read. */
  chunk: Uint8Array;
  /** After `end`. */
  trailers: Fields;
  /** How far the chunk that is read has been used. */
  at: number;
  /** The chunk that was read last is the last one: there are no trailers, and no more is read. */
  readonly complete: boolean;
  /** The body that is read is complete when the connection ends. */
  readonly endsWithConnection: boolean;
  begin(frame: Frame): void;
  /** One step on, from `at`. */
  read(bytes: Buffer): BodyState;
}

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

/** An instance is used again for the next body. */
export function newBodyDecoder(limits: Limits): BodyDecoder {
  const facts = newFacts();
  const reader = newHeadReader(limits.headBytes);
  let toEnd = false;
  let state = DATA;
  /** Bytes of the body or of the chunk that are still to come. */
  let left = 0;
  let digits = 0;
  let extension = "";
  let extensions = 0;
  let chunked = false;

  function cut(bytes: Buffer): BodyState {
    const end = toEnd ? bytes.length : Math.min(bytes.length, decoder.at + left);
    left -= end - decoder.at;
    decoder.chunk = decoder.at === 0 && end === bytes.length ? bytes : bytes.subarray(decoder.at, end);
    decoder.at = end;
    if (chunked && left === 0) state = DATA_CR;
    return "chunk";
  }

  /** A byte of the line that tells a chunk's size. False: it may not stand there. */
  function sizeByte(byte: number): boolean {
    if (state === SIZE) {
      const digit = hex(byte);
      if (digit >= 0) {
        left = left * 16 + digit;
        return ++digits <= 12; // 2^48: far from where numbers become inexact
      }
      if (digits === 0) return false;
      if (byte === 13) state = SIZE_LF;
      else if (byte === 59) {
        state = EXTENSION;
        extension = ";";
      } else return false;
      return true;
    }
    if (byte === 13) {
      state = SIZE_LF;
      return EXTENSIONS.test(extension);
    }
    extension += String.fromCharCode(byte);
    return true;
  }

  function readTrailers(bytes: Buffer): BodyState {
    const read = reader.read(bytes, decoder.at);
    if (read === "more") decoder.at = bytes.length;
    if (read !== "done") return read;
    decoder.at = reader.rest;
    const trailers: string[] = [];
    const fault = readFields(reader.text, 2, trailers, facts, limits);
    if (fault !== undefined) return fault === "syntax" ? "bad" : fault;
    for (let at = 0; at < trailers.length; at += 2) if (FRAMING.test(trailers[at] ?? "")) return "bad";
    if (facts.hosts > 0) return "bad";
    decoder.trailers = trailers.length === 0 ? NO_FIELDS : trailers;
    return "end";
  }

  const decoder: BodyDecoder = {
    chunk: NOTHING,
    trailers: NO_FIELDS,
    at: 0,
    get complete() {
      return left === 0 && !chunked && !toEnd;
    },
    get endsWithConnection() {
      return toEnd;
    },
    begin(frame) {
      chunked = frame === CHUNKED;
      toEnd = frame === TO_END;
      state = chunked ? SIZE : DATA;
      left = chunked || toEnd ? 0 : frame;
      digits = extensions = 0;
      decoder.trailers = NO_FIELDS;
    },
    read(bytes) {
      if (!chunked) return decoder.at < bytes.length ? cut(bytes) : "more";
      if (state === TRAILERS) return decoder.at < bytes.length ? readTrailers(bytes) : "more";
      while (decoder.at < bytes.length) {
        if (state === DATA) return cut(bytes);
        const byte = bytes[decoder.at++] ?? 0;
        if (state === DATA_CR) {
          if (byte !== 13) return "bad";
          state = DATA_LF;
        } else if (state === DATA_LF) {
          if (byte !== 10) return "bad";
          state = SIZE;
          left = digits = 0;
        } else if (state === SIZE_LF) {
          if (byte !== 10) return "bad";
          state = left === 0 ? TRAILERS : DATA;
          if (state === DATA) continue;
          reader.behindLine();
          return decoder.at < bytes.length ? readTrailers(bytes) : "more";
        } else {
          if (!sizeByte(byte)) return "bad";
          if (state === EXTENSION && (extension.length > limits.extensionBytes || ++extensions > limits.extensionsBytes))
            return "too-large";
        }
      }
      return "more";
    },
  };
  return decoder;
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
