// Inbox: the bytes that have come over a connection and are not used yet, and the brake on its socket.
import type { Duplex } from "node:stream";

/** Who uses the bytes. */
export interface Reader {
  /** Uses some of the bytes, from {@link Inbox.at} on. False: nothing can be done with them for now. */
  step(bytes: Buffer): boolean;
  /** Whether nothing more should come. `left`: how many bytes have come and are not used. */
  held(left: number): boolean;
  /** The peer sends no more. Said again whenever some of what is `left` is used. */
  ended(left: boolean): void;
}

const DISCARDED = 256 * 1024;

/** A class, since each connection has one: as closures the parts of a connection took four times the memory. */
export class Inbox {
  /** What is not used yet begins at `at`. */
  bytes: Buffer | undefined;
  at = 0;
  /** The peer has ended its side. */
  over = false;
  readonly #socket: Duplex;
  readonly #reader: Reader;
  #running = false;
  #stopped = false;
  /** How much has been thrown away; below 0: nothing is. */
  #discarded = -1;

  constructor(socket: Duplex, reader: Reader, first?: Buffer) {
    this.#socket = socket;
    this.#reader = reader;
    this.bytes = first;
    socket.on("data", this.#read).on("end", this.#end);
  }

  used(upTo: number): void {
    this.at = upTo;
    if (this.bytes !== undefined && upTo >= this.bytes.length) this.drop();
  }

  /** Gives away all that is there. */
  take(): Buffer {
    const { bytes, at } = this;
    this.drop();
    return bytes === undefined ? NOTHING : at === 0 ? bytes : bytes.subarray(at);
  }

  drop(): void {
    this.bytes = undefined;
    this.at = 0;
  }

  /** Goes on with what has come, as far as it can be used, and sets the brake. */
  readonly run = (): void => {
    if (this.#running) return;
    this.#running = true;
    while (this.bytes !== undefined && this.#discarded < 0 && this.#reader.step(this.bytes));
    this.#running = false;
    if (this.#discarded >= 0) this.#trash();
    else this.stop(this.#reader.held(this.bytes === undefined ? 0 : this.bytes.length - this.at));
    if (this.over) this.#reader.ended(this.bytes !== undefined);
  };

  /** Sets the brake or loosens it. */
  stop(stopping: boolean): void {
    if (stopping === this.#stopped || this.#socket.destroyed) return;
    this.#stopped = stopping;
    if (stopping) this.#socket.pause();
    else this.#socket.resume();
  }

  /** From now on throws away what comes: so that the peer of a connection that is about to close sees the answer (RFC 9112 9.6). Within a bound. */
  discard(): void {
    this.#discarded = 0;
    this.#trash();
    this.stop(false);
  }

  /** Lets go of the socket. Gives what is not used yet. */
  release(): Buffer {
    this.#socket.removeListener("data", this.#read).removeListener("end", this.#end);
    return this.take();
  }

  #trash(): void {
    this.#discarded += this.bytes?.length ?? 0;
    this.drop();
    if (this.#discarded > DISCARDED) this.#socket.destroy();
  }

  readonly #read = (chunk: Buffer): void => {
    this.bytes = this.bytes === undefined ? chunk : Buffer.concat([this.bytes.subarray(this.at), chunk]);
    this.at = 0;
    this.run();
  };

  readonly #end = (): void => {
    this.over = true;
    this.#reader.ended(this.bytes !== undefined);
  };
}

const NOTHING = Buffer.alloc(0);
