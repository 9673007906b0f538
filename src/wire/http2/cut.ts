// Cut: the streams of a connection that we have reset, as the peer's frames on them may be on their way still.

/** So many are remembered; of those before them nothing is held against the peer. */
const MOST = 1_024;

/** A class, since each connection has one. */
export class Cut {
  readonly #ids = new Set<number>();
  /** Up to which id they are forgotten. */
  #forgotten = 0;

  add(id: number): void {
    this.#ids.add(id);
    if (this.#ids.size <= MOST) return;
    const [oldest = 0] = this.#ids;
    this.#ids.delete(oldest);
    this.#forgotten = Math.max(this.#forgotten, oldest);
  }

  has(id: number): boolean {
    return id <= this.#forgotten || this.#ids.has(id);
  }

  /** The peer has reset it too, and sends nothing more on it. False: it was not among those that are remembered. */
  cross(id: number): boolean {
    return this.#ids.delete(id);
  }
}
