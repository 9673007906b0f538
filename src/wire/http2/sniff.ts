// Sniff: the while in which it is not known yet what comes through a CONNECT: HTTP, or something that nobody can look into.
import type { Waiting } from "../deadlines.ts";
import type { Carrier } from "./roles.ts";

const LINE_FEED = 0x0a;

export class Sniff implements Waiting {
  dueAt: number;
  /** It is known. */
  settled = false;
  readonly #carrier: Carrier;
  readonly #opaque: () => void;
  /** How many bytes are looked at next. */
  #next = 0;

  /** `opaque`: it is nothing that can be looked into. */
  constructor(carrier: Carrier, opaque: () => void) {
    this.#carrier = carrier;
    this.#opaque = opaque;
    this.dueAt = carrier.deadlines.after(carrier.limits.sniffMs);
    carrier.deadlines.add(this);
  }

  /** Some protocols let the server begin. */
  late(): void {
    this.opaque();
  }

  opaque(): void {
    if (this.settled) return;
    this.settle();
    this.#opaque();
  }

  /** Whether so many bytes are worth a look: a line that ends is, and else a quarter more than at the last look, since a client may send byte after byte. */
  isWorth(bytes: number, chunk: Uint8Array | undefined): boolean {
    if (bytes < this.#next && chunk?.includes(LINE_FEED) !== true) return false;
    this.#next = bytes * 1.25;
    return true;
  }

  settle(): void {
    this.settled = true;
    this.#carrier.deadlines.remove(this);
  }
}
