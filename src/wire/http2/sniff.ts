// Sniff: the while in which it is not known yet what comes through a CONNECT: HTTP, or something that nobody can look into.
import type { Waiting } from "../deadlines.ts";
import type { Carrier } from "./roles.ts";

export class Sniff implements Waiting {
  dueAt: number;
  /** It is known. */
  settled = false;
  readonly #carrier: Carrier;
  readonly #opaque: () => void;

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

  settle(): void {
    this.settled = true;
    this.#carrier.deadlines.remove(this);
  }
}
