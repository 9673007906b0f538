// Held: the part of a body that has come and was not given yet. Small chunks are copied together, so that as many bytes take about as much memory, however they came.

/** A chunk that is smaller is copied, so that it does not keep what it was read with alive. */
const COPIED = 16 * 1024;
/** Small chunks go into pieces of this size. */
const PIECE = 4 * 1024;

export class Held {
  readonly #chunks: Uint8Array[] = [];
  /** The last piece, how much of it is used, and how much of that is in the list. */
  #piece: Buffer | undefined = undefined;
  #used = 0;
  #listed = 0;

  push(chunk: Uint8Array): void {
    if (chunk.length >= PIECE / 2) {
      this.#list();
      this.#chunks.push(chunk.length < COPIED ? Buffer.from(chunk) : chunk);
      return;
    }
    if (this.#piece === undefined || this.#used + chunk.length > PIECE) {
      this.#list();
      this.#piece = Buffer.allocUnsafe(PIECE);
      this.#used = this.#listed = 0;
    }
    this.#piece.set(chunk, this.#used);
    this.#used += chunk.length;
  }

  /** `undefined`: there is nothing left. */
  shift(): Uint8Array | undefined {
    if (this.#chunks.length === 0) this.#list();
    return this.#chunks.shift();
  }

  /** The first bytes, up to about so many. Nothing is taken away. */
  peek(bytes: number): Buffer {
    this.#list();
    const first: Uint8Array[] = [];
    let length = 0;
    for (const chunk of this.#chunks) {
      if (length >= bytes) break;
      first.push(chunk);
      length += chunk.length;
    }
    return Buffer.concat(first);
  }

  /** What is in the piece goes into the list. */
  #list(): void {
    if (this.#piece === undefined || this.#used === this.#listed) return;
    this.#chunks.push(this.#piece.subarray(this.#listed, this.#used));
    this.#listed = this.#used;
  }
}
