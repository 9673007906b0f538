// Intake: takes a request's body from its client, no faster than attempts take it or it can be kept.
import type { Messages } from "../../call/messages.ts";
import type { Exchange } from "../../wire/wire.ts";

/** More than this is not taken while no attempt takes it. It is taken so far at once, since a client that leaves is not seen to while nothing of it is read. */
const MOST_WAITING = 65_536;

/** Who wants all of a body before an attempt has any of it. */
export interface Gatherer {
  /** False: it wants no more. */
  chunk(chunk: Uint8Array): boolean;
  end(): void;
}

export interface Overflowed {
  /** The body did not fit any more, and what attempt there is has been committed. */
  outgrown(): void;
}

/** A class, since there is one for every body. */
export class Intake {
  readonly #exchange: Exchange;
  readonly #messages: Messages<Uint8Array>;
  readonly #owner: Overflowed;
  /** There is an attempt: only then is it known how much is to be kept. */
  #begun = false;
  /** What came before. */
  #early: Uint8Array[] | undefined = undefined;
  #gatherer: Gatherer | undefined = undefined;
  #ended = false;
  /** Sizes of the chunks that wait for an attempt, and their sum. */
  #waiting: number[] | undefined = undefined;
  #bytes = 0;
  #paused = false;
  #written: (() => void) | undefined = undefined;

  constructor(exchange: Exchange, messages: Messages<Uint8Array>, owner: Overflowed) {
    this.#exchange = exchange;
    this.#messages = messages;
    this.#owner = owner;
  }

  take(chunk: Uint8Array): void {
    const size = chunk.byteLength;
    if (this.#begun && this.#messages.fits(size)) {
      this.#messages.write(chunk, size, undefined);
      return;
    }
    this.#bytes += size;
    if (this.#begun) this.#write(chunk);
    else (this.#early ??= []).push(chunk);
    if (this.#gatherer?.chunk(chunk) === true) return;
    this.#gatherer = undefined;
    if (this.#bytes <= MOST_WAITING || this.#paused) return;
    this.#paused = true;
    this.#exchange.pause();
  }

  end(): void {
    this.#ended = true;
    this.#gatherer?.end();
    this.#gatherer = undefined;
    if (this.#begun) this.#messages.end();
  }

  /** All that comes is shown to it, and taken without a pause while it wants more. False: an attempt has had of it already. */
  gather(gatherer: Gatherer): boolean {
    if (this.#begun) return false;
    if (this.#early?.every((chunk) => gatherer.chunk(chunk)) === false) return true;
    if (this.#ended) gatherer.end();
    else this.#gatherer = gatherer;
    if (this.#paused) this.#goOn();
    return true;
  }

  /** An attempt is there to take it. */
  begin(): void {
    if (this.#begun) return;
    this.#begun = true;
    for (const chunk of this.#early ?? []) this.#write(chunk);
    this.#early = undefined;
    if (this.#ended) this.#messages.end();
  }

  #write(chunk: Uint8Array): void {
    const size = chunk.byteLength;
    (this.#waiting ??= []).push(size);
    if (this.#messages.write(chunk, size, (this.#written ??= () => this.#taken()))) this.#owner.outgrown();
  }

  /** The oldest chunk that waits has been taken. */
  #taken(): void {
    this.#bytes -= this.#waiting?.shift() ?? 0;
    if (this.#paused && this.#bytes <= MOST_WAITING / 2) this.#goOn();
  }

  #goOn(): void {
    this.#paused = false;
    this.#exchange.resume();
  }
}
