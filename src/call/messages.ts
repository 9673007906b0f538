// Messages: what a caller streams, kept within a bound, so that each attempt can be given all of it, from the first message on, one at a time.
//
// One attempt is committed in the end: when the peer has answered it, or when the bound is passed; then it is the one that has got furthest. From then on
// nothing is kept, and the caller goes at the pace of the peer.
import { type Copies, newCopies } from "./copies.ts";

/** What all calls of a client keep together. */
export interface Pool {
  bytes: number;
  readonly limit: number;
}

/** What a message that is kept takes in memory beside its bytes, roughly: a flood of small ones is bounded by that. */
export const MESSAGE_BYTES = 128;

/** One message on its way. */
interface Entry<M> {
  readonly message: M;
  readonly size: number;
  /** Counted in the pool. */
  counted: boolean;
  /** Tells the caller that it may go on; absent when it has been told. */
  written: (() => void) | undefined;
}

/** One attempt, as far as it is given messages. A class, since whoever makes attempts has one object for each. */
export abstract class Reader<M> {
  /** Which message is next. */
  position = 0;
  /** A message has been given, and not yet been taken. */
  busy = false;
  closed = false;
  #messages: Messages<M> | undefined = undefined;

  /** Sends a message; {@link Reader.took} is called when the next may come. */
  protected abstract give(message: M): void;
  /** There are no more messages. */
  protected abstract giveEnd(): void;
  /** Another attempt has been committed. */
  abstract lost(): void;

  protected readFrom(messages: Messages<M>): void {
    this.#messages = messages;
    messages.join(this);
  }

  /** The message that was given has been taken. */
  protected took(): void {
    if (this.#messages === undefined) return;
    this.busy = false;
    this.position++;
    this.#messages.taken(this);
  }

  /** The attempt is over. */
  protected leave(): void {
    this.#messages?.leave(this);
    this.#messages = undefined;
  }

  next(message: M | undefined, last: boolean): void {
    if (message !== undefined) {
      this.busy = true;
      this.give(message);
    }
    if (!last || this.closed) return;
    this.closed = true; // right behind the last message, never in its callback: grpc-node 2569
    this.giveEnd();
  }
}

/** Nothing yet; never changed. Most calls have one message and one attempt, and arrays of one. */
const none: never[] = [];

export class Messages<M> {
  #entries: Entry<M>[] = none;
  /** Index of the first entry among all messages. */
  #base = 0;
  #bytes = 0;
  #bound = 0;
  #ended = false;
  #over = false;
  #overflow = false;
  #committed: Reader<M> | undefined = undefined;
  /** Another list whenever one comes or leaves. */
  #readers: readonly Reader<M>[] = none;
  #copies: Copies<M> | undefined = undefined;
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /** Whether a further attempt could be given everything. */
  get replayable(): boolean {
    return this.#committed === undefined && !this.#overflow;
  }

  /** Whether the next attempt would be given everything. */
  get whole(): boolean {
    return this.#committed === undefined;
  }

  /** The caller has said that no more will come. */
  get ended(): boolean {
    return this.#ended;
  }

  /** How many bytes the caller has written so far that are kept. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether a message of that size would be kept, so that its caller may go on at once. */
  fits(size: number): boolean {
    return this.replayable && this.#bytes + size <= this.#bound && this.#pool.bytes + size + MESSAGE_BYTES <= this.#pool.limit;
  }

  get readers(): readonly Reader<M>[] {
    return this.#readers;
  }

  /** Keeps up to so many bytes. Without it, the first attempt is committed as soon as there is one. */
  keep(bytes: number): void {
    this.#bound = Math.max(this.#bound, bytes);
  }

  /** Tells all messages, once no more will come; `undefined`: they are over so many bytes, some of them are gone, or the call is over before. */
  copy(bytes: number, told: (all: readonly M[] | undefined) => void): void {
    if (this.#base > 0 || this.#over) return told(undefined);
    const copies = (this.#copies ??= newCopies());
    copies.add(bytes, this.#entries, told);
    if (this.#ended) copies.ended();
  }

  /** Takes a message; `written` is told when the caller may go on. True: it did not fit any more, and what attempt there is has been committed. */
  write(message: M, size: number, written: (() => void) | undefined): boolean {
    if (this.#over) {
      if (written !== undefined) process.nextTick(written);
      return false;
    }
    const entry: Entry<M> = { message, size, counted: false, written };
    this.#copies?.wrote(message, size);
    if (this.#entries.length === 0) this.#entries = [entry]; // pushed into an empty one, it would take room for 17
    else this.#entries.push(entry);
    let overflowed = false;
    if (this.replayable) {
      this.#bytes += size;
      if (this.#bytes <= this.#bound && this.#pool.bytes + size + MESSAGE_BYTES <= this.#pool.limit) {
        entry.counted = true;
        this.#pool.bytes += size + MESSAGE_BYTES;
        entry.written = undefined;
        if (written !== undefined) process.nextTick(written);
      } else {
        overflowed = this.#bound > 0;
        this.#overflow = true;
        const furthest = this.#furthest();
        if (furthest !== undefined) this.commit(furthest);
      }
    }
    this.#pump();
    return overflowed;
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#copies?.ended();
    for (const reader of this.#readers) {
      if (!reader.busy) this.#feed(reader);
      else if (reader.position + 1 === this.#base + this.#entries.length) reader.next(undefined, true);
    }
  }

  /** A new attempt. It is given everything, unless another is committed. */
  join(reader: Reader<M>): void {
    reader.position = this.#base;
    if (this.#readers.length === 0) this.#readers = [reader];
    else this.#readers = [...this.#readers, reader];
    if (this.#overflow || this.#bound === 0) this.commit(reader);
    this.#feed(reader);
  }

  leave(reader: Reader<M>): void {
    const index = this.#readers.indexOf(reader);
    if (index !== -1) this.#readers = this.#readers.length === 1 ? none : this.#readers.toSpliced(index, 1);
  }

  /** This attempt and no other. */
  commit(reader: Reader<M>): void {
    if (this.#committed !== undefined) return;
    this.#committed = reader;
    for (const other of this.#readers) if (other !== reader) other.lost();
    this.#forget(reader.position);
  }

  taken(reader: Reader<M>): void {
    if (reader === this.#committed) this.#forget(reader.position);
    this.#feed(reader);
  }

  /** The call is over: the caller is told that all was written, so that nobody waits, and nothing is kept. */
  over(): void {
    this.#over = true;
    this.#copies?.gone();
    this.#forget(Number.POSITIVE_INFINITY);
  }

  #pump(): void {
    for (const reader of this.#readers) if (!reader.busy) this.#feed(reader);
  }

  #feed(reader: Reader<M>): void {
    if (reader.closed) return;
    const index = reader.position - this.#base;
    const last = this.#ended && index >= this.#entries.length - 1;
    const entry = this.#entries[index];
    if (entry !== undefined || last) reader.next(entry?.message, last);
  }

  #furthest(): Reader<M> | undefined {
    let furthest: Reader<M> | undefined;
    for (const reader of this.#readers) if (furthest === undefined || reader.position > furthest.position) furthest = reader;
    return furthest;
  }

  /** Lets go of everything before a position. */
  #forget(position: number): void {
    const count = Math.min(position - this.#base, this.#entries.length);
    if (count <= 0) return;
    const all = this.#entries;
    const gone = count === all.length ? all : all.splice(0, count);
    if (gone === all) this.#entries = none;
    this.#base += count;
    for (const { size, counted, written } of gone) {
      if (counted) this.#pool.bytes -= size + MESSAGE_BYTES;
      if (written !== undefined) process.nextTick(written);
    }
  }
}
