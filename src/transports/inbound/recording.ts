// Recording: what the work answers, kept as it is written.
import type { ServerResponse } from "node:http";
import type { Answer, Told } from "../../call/incoming.ts";

/** Fields that belong to one connection or one moment, and not to the answer. */
const PASSING = new Set(["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "te", "date", "content-length"]);

export type Fields = readonly (readonly [name: string, value: string])[];

export interface Recording {
  head(status: number, fields: Fields): void;
  write(chunk: unknown, encoding: unknown): void;
  trailers(fields: Fields): void;
  /** The answer is whole. */
  end(): void;
  /** Nothing more will come. Harmless when it has ended. */
  over(): void;
}

export function newRecording(most: number, told: (told: Told) => void): Recording {
  let head: Pick<Answer, "status" | "fields"> | undefined;
  let trailing: Fields = [];
  let chunks: Uint8Array[] = [];
  let bytes = 0;
  let ended = false;
  const tell = (what: Told): void => {
    if (ended) return;
    ended = true;
    chunks = [];
    told(what);
  };
  return {
    head: (status, fields) => {
      head ??= { status, fields: fields.filter(([name]) => !PASSING.has(name)) };
    },
    write: (chunk, encoding) => {
      const part = bytesOf(chunk, encoding);
      if (part === undefined || ended) return;
      bytes += part.byteLength;
      if (bytes <= most) chunks.push(part);
      else chunks = [];
    },
    trailers: (fields) => (trailing = [...trailing, ...fields]),
    end: () => {
      if (head === undefined) return;
      tell(bytes > most ? "too-long" : { ...head, body: Buffer.concat(chunks), trailers: trailing });
    },
    over: () => tell("none"),
  };
}

/** A copy: whoever writes may use the memory again. */
function bytesOf(chunk: unknown, encoding: unknown): Uint8Array | undefined {
  if (typeof chunk === "string") return Buffer.from(chunk, typeof encoding === "string" ? (encoding as BufferEncoding) : "utf8"); // the cast: Node says what is none
  return chunk instanceof Uint8Array ? Buffer.from(chunk) : undefined;
}

/** The fields of a head: those that were set one by one, and those that `writeHead` is given, which go before. */
export function fieldsOf(response: Pick<ServerResponse, "getHeaders">, given: unknown): Fields {
  const fields = new Map<string, readonly string[]>();
  for (const [name, value] of Object.entries(response.getHeaders())) fields.set(name.toLowerCase(), textsOf(value));
  for (const [name, value] of pairsOf(given)) fields.set(name.toLowerCase(), textsOf(value));
  return [...fields].flatMap(([name, values]) => values.map((value) => [name, value] as const));
}

/** Fields are texts, numbers or lists of them; Node says what is none. */
const textsOf = (value: unknown): readonly string[] =>
  Array.isArray(value) ? value.map(String) : typeof value === "string" || typeof value === "number" ? [String(value)] : [];

/** An object, a list of pairs, or a list in which names and values take turns; as Node takes them. */
function pairsOf(given: unknown): readonly (readonly [string, unknown])[] {
  if (typeof given !== "object" || given === null) return [];
  if (!Array.isArray(given)) return Object.entries(given);
  const list: readonly unknown[] = given;
  const flat = list.every((one) => Array.isArray(one)) ? list.flat() : list;
  const pairs = new Map<string, unknown[]>();
  for (let index = 0; index + 1 < flat.length; index += 2) {
    const name = String(flat[index]).toLowerCase();
    pairs.set(name, [...(pairs.get(name) ?? []), ...textsOf(flat[index + 1])]);
  }
  return [...pairs];
}
