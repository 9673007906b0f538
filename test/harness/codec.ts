// Codec: messages of HTTP/1.1 read from bytes without a socket, by our parser and by llhttp, to be compared.
import { createRequire } from "node:module";
import { BodyDecoder } from "../../src/wire/http1/body-decoder.ts";
import { TO_END } from "../../src/wire/http1/frame.ts";
import { HeadReader } from "../../src/wire/http1/head-reader.ts";
import { parseRequest, parseResponse } from "../../src/wire/http1/heads.ts";
import { defaultLimits } from "../../src/wire/limits.ts";
import type { Fields } from "../../src/wire/wire.ts";

/** A message as both can tell it. */
export interface Message {
  /** Method and target, or the status. */
  readonly line: string;
  /** Host is not among them. */
  readonly fields: Fields;
  body: string;
  trailers: Fields;
  whole: boolean;
}

export interface Read {
  readonly messages: Message[];
  /** What is left cannot be read. */
  refused: boolean;
  /** The connection ends, or goes over to something else, with the last message. */
  last: boolean;
}

interface Head {
  readonly line: string;
  readonly fields: Fields;
  readonly frame: number;
  readonly last: boolean;
}

/** A target that has become authority and path is the same whatever it was; the line is taken from the text. */
const requestLine = (text: string): string => text.slice(0, text.indexOf(" HTTP/"));

function requestOf(text: string): Head | undefined {
  const bare = text.startsWith("\r\n") ? text.slice(2) : text;
  const parsed = parseRequest(bare, defaultLimits, undefined);
  if (typeof parsed === "number") return undefined;
  const { head, frame, last } = parsed;
  return { line: requestLine(bare), fields: head.fields, frame, last: last || head.upgrade !== undefined || head.method === "CONNECT" };
}

function responseOf(text: string): Head | undefined {
  const parsed = parseResponse(text, "GET", defaultLimits);
  if (parsed === undefined) return undefined;
  const { head, frame, last } = parsed;
  return { line: String(head.status), fields: head.fields, frame, last: (last && head.status >= 200) || head.status === 101 };
}

/** Reads requests or responses by our parser, from chunks. `frames`: the frame of each, as it was decided. */
export function readOurs(kind: "request" | "response", chunks: readonly Buffer[], frames: number[] = []): Read {
  const parse = kind === "request" ? requestOf : responseOf;
  const reader = new HeadReader(defaultLimits.headBytes);
  const decoder = new BodyDecoder(defaultLimits);
  const result: Read = { messages: [], refused: false, last: false };
  let message: Message | undefined;
  let ending = false;
  for (const chunk of chunks) {
    let at = 0;
    while (at < chunk.length) {
      if (message === undefined) {
        if (ending) return { ...result, last: true };
        const state = reader.read(chunk, at);
        if (state === "more") break;
        const head = state === "done" ? parse(reader.text) : undefined;
        if (head === undefined) return { ...result, refused: true };
        at = reader.rest;
        frames.push(head.frame);
        message = { line: head.line, fields: head.fields, body: "", trailers: [], whole: head.frame === 0 || head.frame === TO_END };
        result.messages.push(message);
        ending = head.last;
        if (head.frame === 0) message = undefined;
        else decoder.begin(head.frame);
        continue;
      }
      decoder.at = at;
      const state = decoder.read(chunk);
      at = decoder.at;
      if (state === "bad" || state === "too-large") return { ...result, refused: true };
      if (state === "chunk") message.body += Buffer.from(decoder.chunk).toString("latin1");
      if (state === "end" || (state === "chunk" && decoder.complete)) {
        message.trailers = decoder.trailers;
        message.whole = true;
        message = undefined;
      }
      if (state === "more") break;
    }
  }
  return { ...result, last: ending };
}

interface Llhttp {
  initialize(type: number, resource: object): void;
  execute(bytes: Buffer): number | Error;
  [event: number]: unknown;
}

interface LlhttpType {
  new (): Llhttp;
  readonly REQUEST: number;
  readonly RESPONSE: number;
  readonly kOnHeaders: number;
  readonly kOnHeadersComplete: number;
  readonly kOnBody: number;
  readonly kOnMessageComplete: number;
}

// Node's own binding of llhttp, which no public module gives; the casts are what it is known to be
const { HTTPParser, methods } = createRequire(import.meta.url)("node:_http_common") as {
  readonly HTTPParser: LlhttpType;
  readonly methods: readonly string[];
};

export const llhttpMethods: readonly string[] = methods;

const withoutHost = (fields: readonly string[]): string[] => fields.filter((_, at) => fields[at - (at % 2)]?.toLowerCase() !== "host");

/** Reads the same by llhttp as Node uses it, strictly. */
export function readLlhttp(kind: "request" | "response", bytes: Buffer): Read {
  const parser = new HTTPParser();
  parser.initialize(kind === "request" ? HTTPParser.REQUEST : HTTPParser.RESPONSE, {});
  const result: Read = { messages: [], refused: false, last: false };
  let message: Message | undefined;
  let early: string[] = [];
  let url = "";
  parser[HTTPParser.kOnHeaders] = (fields: string[], target: string): void => {
    early.push(...fields);
    if (message === undefined || message.whole) url += target; // trailers come by the same way, and with them the target once more
  };
  parser[HTTPParser.kOnHeadersComplete] = (
    _major: number,
    _minor: number,
    fields: string[] | undefined,
    method: number,
    target: string,
    status: number,
    _reason: string,
    upgrade: boolean,
  ): number => {
    const line = kind === "request" ? `${methods[method] ?? ""} ${url}${target ?? ""}` : String(status);
    message = { line, fields: withoutHost([...early, ...(fields ?? [])]), body: "", trailers: [], whole: false };
    early = [];
    url = "";
    result.messages.push(message);
    if (upgrade) result.last = true;
    return 0;
  };
  parser[HTTPParser.kOnBody] = (chunk: Buffer): void => {
    if (message !== undefined) message.body += chunk.toString("latin1");
  };
  parser[HTTPParser.kOnMessageComplete] = (): void => {
    if (message !== undefined) {
      message.trailers = early;
      message.whole = true;
    }
    early = [];
  };
  const used = parser.execute(bytes);
  if (typeof used !== "number") result.refused = true;
  return result;
}
