// Table: the dynamic table of one direction of a connection (RFC 7541, 2.3.2): the newest entries that fit into so many bytes.

/** A ring that grows as it is used. A class, since each connection has two. */
export class Table<Entry extends { readonly size: number }> {
  /** How many there are. */
  length = 0;
  #ring: (Entry | undefined)[] = [];
  /** Where the next one is written. */
  #next = 0;
  #size = 0;
  #bytes: number;
  readonly #evicted: ((entry: Entry) => void) | undefined;

  constructor(bytes: number, evicted?: (entry: Entry) => void) {
    this.#bytes = bytes;
    this.#evicted = evicted;
  }

  /** The bytes that it may take. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The newest is at 0. */
  at(nth: number): Entry | undefined {
    return nth < this.length ? this.#ring[(this.#next - 1 - nth) & (this.#ring.length - 1)] : undefined;
  }

  /** One that is larger than the table empties it. False: it is not in. */
  add(entry: Entry): boolean {
    this.#shrink(this.#bytes - entry.size);
    if (entry.size > this.#bytes) return false;
    if (this.length === this.#ring.length) this.#grow();
    this.#ring[this.#next] = entry;
    this.#next = (this.#next + 1) & (this.#ring.length - 1);
    this.#size += entry.size;
    this.length++;
    return true;
  }

  resize(bytes: number): void {
    this.#bytes = bytes;
    this.#shrink(bytes);
  }

  #shrink(bytes: number): void {
    while (this.#size > bytes && this.length > 0) {
      const oldest = (this.#next - this.length) & (this.#ring.length - 1);
      const entry = this.#ring[oldest];
      this.#ring[oldest] = undefined; // so that nothing is kept that does not count
      this.length--;
      if (entry === undefined) continue;
      this.#size -= entry.size;
      this.#evicted?.(entry);
    }
  }

  /** To the next power of two, the oldest first. */
  #grow(): void {
    const old = this.#ring;
    const ring: (Entry | undefined)[] = [];
    for (let nth = this.length - 1; nth >= 0; nth--) ring.push(this.at(nth));
    this.#next = this.length;
    const size = Math.max(8, old.length * 2);
    while (ring.length < size) ring.push(undefined);
    this.#ring = ring;
  }
}
