// Any messages: requests and responses of HTTP/2 at random, as frames: fields that are allowed and some that are not, padding, heads in several frames, trailers.
import fc from "fast-check";
import { block, CONTINUATION, DATA, END_HEADERS, END_STREAM, frame, HEADERS } from "./raw-h2.ts";

export type List = readonly (readonly [name: string, value: string])[];

const PADDED = 8;
const WITH_PRIORITY = 32;

/** How a header list is put into frames. */
interface Framing {
  readonly padding: number | undefined;
  readonly priority: boolean;
  readonly cuts: readonly number[];
}

const framing: fc.Arbitrary<Framing> = fc.record({
  padding: fc.option(fc.nat(20), { nil: undefined }),
  priority: fc.boolean(),
  cuts: fc.array(fc.nat(), { maxLength: 3 }),
});

/** HEADERS and CONTINUATIONs. */
export function heads(id: number, list: List, { padding, priority, cuts }: Framing, ended: boolean): Buffer {
  const whole = block(list);
  const ends = [...cuts.map((cut) => cut % (whole.length + 1)), whole.length].toSorted((a, b) => a - b);
  return Buffer.concat(
    ends.map((end, n) => {
      const last = n === ends.length - 1 ? END_HEADERS : 0;
      const part = whole.subarray(ends[n - 1] ?? 0, end);
      if (n > 0) return frame(CONTINUATION, last, id, part);
      const flags = last | (ended ? END_STREAM : 0) | (padding === undefined ? 0 : PADDED) | (priority ? WITH_PRIORITY : 0);
      return frame(
        HEADERS,
        flags,
        id,
        Buffer.concat([
          padding === undefined ? Buffer.alloc(0) : Buffer.from([padding]),
          priority ? Buffer.from([0, 0, 0, 0, 7]) : Buffer.alloc(0),
          part,
          Buffer.alloc(padding ?? 0),
        ]),
      );
    }),
  );
}

interface Piece {
  readonly length: number;
  readonly padding: number | undefined;
}

export interface Message {
  readonly list: List;
  readonly framing: Framing;
  readonly body: readonly Piece[];
  readonly trailers: List | undefined;
  /** Its content-length is what it says; -1: it says the right one. */
  readonly length: number | undefined;
  /** END_STREAM stands on the head where there is nothing behind it. */
  readonly short: boolean;
}

/** One of the first, or seldom one of the others. */
export const mostly = <T>(some: readonly T[], others: readonly T[]): fc.Arbitrary<T> =>
  fc.oneof(
    { weight: 12, arbitrary: fc.constantFrom(...some) },
    ...(others.length === 0 ? [] : [{ weight: 1, arbitrary: fc.constantFrom(...others) }]),
  );

const field = (wild: boolean): fc.Arbitrary<readonly [string, string]> =>
  fc.tuple(
    mostly(
      ["x-a", "x-b", "accept", "user-agent", "x-_~!"],
      wild ? ["X-A", "x a", "", ":x", "te", "connection", "transfer-encoding", "upgrade", "keep-alive", "x-\u00e9"] : [],
    ),
    mostly(
      ["", "1", "trailers", "a b", "\u00e9", "a\tb", "x".repeat(300)],
      wild ? [" 1", "1 ", "a\nb", "a\rb", "a\0b", "\x7f", "\x01"] : [],
    ),
  );

/** `wild`: some of what is in it is not allowed. */
export function anyMessage(begin: fc.Arbitrary<List>, wild: boolean): fc.Arbitrary<Message> {
  const fields = fc.array(field(wild), { maxLength: 5 });
  return fc.record({
    list: fc.tuple(begin, fields).map(([first, rest]) => [...first, ...rest]),
    framing,
    body: fc.array(
      fc.record({ length: fc.constantFrom(0, 1, 5, 1_000, 9_000), padding: fc.option(fc.constantFrom(0, 1, 200), { nil: undefined }) }),
      {
        maxLength: 5,
      },
    ),
    trailers: fc.option(fields, { nil: undefined }),
    length: mostly([undefined, -1], wild ? [0, 5] : []),
    short: fc.boolean(),
  });
}

export const lengthOf = ({ body }: Message): number => body.reduce((sum, { length }) => sum + length, 0);

/** All of its frames. */
export function framesOf(id: number, message: Message): Buffer {
  const { list, body, trailers, length, short } = message;
  const all = length === undefined ? list : [...list, ["content-length", String(length === -1 ? lengthOf(message) : length)] as const];
  const pieces = body.map(({ length: bytes, padding }, n) => {
    const last = n === body.length - 1 && trailers === undefined ? END_STREAM : 0;
    const content = Buffer.alloc(bytes, "abc");
    if (padding === undefined) return frame(DATA, last, id, content);
    return frame(DATA, last | PADDED, id, Buffer.concat([Buffer.from([padding]), content, Buffer.alloc(padding)]));
  });
  const none = body.length === 0 && trailers === undefined;
  return Buffer.concat([
    heads(id, all, message.framing, none && short),
    ...pieces,
    ...(trailers === undefined ? [] : [heads(id, trailers, message.framing, true)]),
    ...(none && !short ? [frame(DATA, END_STREAM, id)] : []),
  ]);
}
