// Allowance: how often a peer may still do what costs us more than it, a bucket that fills with time.
import type { Deadlines } from "../deadlines.ts";
import type { Rate } from "./limits.ts";

/** A class, as each connection has several. */
export class Allowance {
  readonly #rate: Rate;
  readonly #deadlines: Deadlines;
  #left: number;
  #at: number;

  constructor(rate: Rate, deadlines: Deadlines) {
    this.#rate = rate;
    this.#deadlines = deadlines;
    this.#left = rate.burst;
    this.#at = deadlines.after(0);
  }

  /** Takes one. False: there is none left. */
  spend(): boolean {
    const now = this.#deadlines.after(0);
    const { burst, perSecond } = this.#rate;
    this.#left = Math.min(burst, this.#left + ((now - this.#at) / 1_000) * perSecond);
    this.#at = now;
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }
}
