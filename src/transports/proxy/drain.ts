// Drain: takes what is left of a response that nobody will read, so that its connection can be used again, up to a bound.
import type { Sink } from "./relay.ts";

/** Draining more than this, or for longer, costs more than a new connection. */
const MOST_DRAINED = 65_536;
export const LONGEST_DRAIN_MS = 1_000;

/** `tooMuch`: it is not worth it. */
export function newDrain(tooMuch: () => void): Sink {
  let bytes = 0;
  return {
    body: (chunk) => {
      bytes += chunk.byteLength;
      if (bytes > MOST_DRAINED) tooMuch();
      return true;
    },
    ended: nothing,
    halfClosed: nothing,
    cut: nothing,
  };
}

const nothing = (): void => undefined;
