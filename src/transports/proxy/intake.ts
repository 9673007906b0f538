// Intake: takes a request's body from its client, no faster than attempts take it or it can be kept.
import type { Messages } from "../../call/messages.ts";
import type { Exchange } from "../../wire/wire.ts";

/** More than this is not taken while no attempt takes it. */
const MOST_WAITING = 65_536;

/** A class, since there is one for every body. */
export class Intake {
  readonly #exchange: Exchange;
  readonly #messages: Messages<Uint8Array>;
  /** Sizes of the chunks that wait for an attempt, and their sum. */
  readonly #waiting: number[] = [];
  #bytes = 0;
  #paused = false;
  readonly #written = (): void => this.#taken();

  constructor(exchange: Exchange, messages: Messages<Uint8Array>) {
    this.#exchange = exchange;
    this.#messages = messages;
  }

  /** True: it did not fit any more, and what attempt there is has been committed. */
  take(chunk: Uint8Array): boolean {
    const size = chunk.byteLength;
    if (this.#messages.fits(size)) return this.#messages.write(chunk, size, undefined);
    this.#waiting.push(size);
    this.#bytes += size;
    const overflowed = this.#messages.write(chunk, size, this.#written);
    if (this.#bytes > MOST_WAITING) this.pause();
    return overflowed;
  }

  pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#exchange.pause();
  }

  /** Goes on, unless too much waits. */
  resume(): void {
    if (!this.#paused || this.#bytes > MOST_WAITING / 2) return;
    this.#paused = false;
    this.#exchange.resume();
  }

  /** The oldest chunk that waits has been taken. */
  #taken(): void {
    this.#bytes -= this.#waiting.shift() ?? 0;
    this.resume();
  }
}
