// Head reader: finds the end of a head in the bytes of a connection, and refuses early what can never become one.

/** What is known of a head after some more bytes. */
export type HeadState = "more" | "bad" | "too-large" | "done";

export interface HeadReader {
  /** The head's lines, each with its CRLF, once it is `done`. */
  text: string;
  /** Where the bytes behind the head begin, in the chunk that was read last. */
  rest: number;
  /** Whether a part of a head has come. */
  readonly begun: boolean;
  read(chunk: Buffer, from: number): HeadState;
  /** What is read next comes behind a line, so that an empty section is a CRLF: trailers. Its text begins with that line's CRLF. */
  behindLine(): void;
}

const END = Buffer.from("\r\n\r\n");

export function newHeadReader(maxBytes: number): HeadReader {
  let before = "";
  /** How much of CRLF CRLF the bytes so far end with. */
  let matched = 0;

  /** Where the head ends within the chunk, byte by byte: for heads that come in pieces. -1: not yet; -2: there is what no head has. */
  function scan(chunk: Buffer, from: number): number {
    for (let at = from; at < chunk.length; at++) {
      const byte = chunk[at];
      if (byte === 13) {
        if (matched === 1 || matched === 3) return -2;
        matched++;
      } else if (byte === 10) {
        if (matched !== 1 && matched !== 3) return -2;
        if (++matched === 4) return at + 1;
      } else {
        if (matched === 1 || matched === 3 || (byte !== undefined && byte < 32 && byte !== 9) || byte === 127) return -2;
        matched = 0;
      }
    }
    return -1;
  }

  function finish(state: HeadState): HeadState {
    before = "";
    matched = 0;
    return state;
  }

  const reader = {
    text: "",
    rest: 0,
    get begun() {
      return before !== "";
    },
    read(chunk: Buffer, from: number): HeadState {
      if (before === "") {
        const at = chunk.indexOf(END, from);
        if (at !== -1) {
          if (at - from > maxBytes) return "too-large";
          reader.text = chunk.toString("latin1", from, at + 2);
          reader.rest = at + 4;
          return "done";
        }
      }
      const end = scan(chunk, from);
      if (end === -2) return finish("bad");
      if (before.length + (end === -1 ? chunk.length : end) - from > maxBytes) return finish("too-large");
      before += chunk.toString("latin1", from, end === -1 ? chunk.length : end);
      if (end === -1) return "more";
      reader.text = before.slice(0, -2);
      reader.rest = end;
      return finish("done");
    },
    behindLine() {
      before = "\r\n";
      matched = 2;
    },
  };
  return reader;
}
