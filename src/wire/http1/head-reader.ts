// Head reader: finds the end of a head in the bytes of a connection, and refuses early what can never become one.

/** What is known of a head after some more bytes. */
export type HeadState = "more" | "bad" | "too-large" | "done";

const END = Buffer.from("\r\n\r\n");

/** A class, since each connection has one: as closures the parts of a connection took four times the memory. */
export class HeadReader {
  /** The head's lines, each with its CRLF, once it is `done`. */
  text = "";
  /** Where the bytes behind the head begin, in the chunk that was read last. */
  rest = 0;
  readonly #maxBytes: number;
  #before = "";
  /** How much of CRLF CRLF the bytes so far end with. */
  #matched = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Whether a part of a head has come. */
  get begun(): boolean {
    return this.#before !== "";
  }

  read(chunk: Buffer, from: number): HeadState {
    if (this.#before === "") {
      const at = chunk.indexOf(END, from);
      if (at !== -1) {
        if (at - from > this.#maxBytes) return "too-large";
        this.text = chunk.toString("latin1", from, at + 2);
        this.rest = at + 4;
        return "done";
      }
    }
    const end = this.#scan(chunk, from);
    if (end === -2) return this.#finish("bad");
    const upTo = end === -1 ? chunk.length : end;
    if (this.#before.length + upTo - from > this.#maxBytes) return this.#finish("too-large");
    this.#before += chunk.toString("latin1", from, upTo);
    if (end === -1) return "more";
    this.text = this.#before.slice(0, -2);
    this.rest = end;
    return this.#finish("done");
  }

  /** What is read next comes behind a line, so that an empty section is a CRLF: trailers. Its text begins with that line's CRLF. */
  behindLine(): void {
    this.#before = "\r\n";
    this.#matched = 2;
  }

  /** Where the head ends within the chunk, byte by byte: for heads that come in pieces. -1: not yet; -2: there is what no head has. */
  #scan(chunk: Buffer, from: number): number {
    let matched = this.#matched;
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
    this.#matched = matched;
    return -1;
  }

  #finish(state: HeadState): HeadState {
    this.#before = "";
    this.#matched = 0;
    return state;
  }
}
