// Which fetch function is beneath a client: the one it was given, else the global one of the moment, so that mocks installed later count.
import type { FetchFunction, FetchInit } from "./request.ts";
import { Tap } from "./tap.ts";

/** The runtime's own fetch, whose requests can be watched and given fields from below. */
export const runtimeFetch: FetchFunction = globalThis.fetch;

export interface Beneath {
  /** The function to call now. */
  readonly now: () => FetchFunction;
  /** The call came from beneath: the global fetch has been replaced by this client's own (perhaps wrapped), and must not go round in a circle. */
  readonly isReturning: (init: FetchInit | undefined) => boolean;
  /** The global function of the time when the client was made: the way out of the circle. */
  readonly original: FetchFunction;
}

export function fetchBeneath(given: FetchFunction | undefined): Beneath {
  const original = globalThis.fetch;
  let entering = false;
  const replaced: FetchFunction = (input, init) => {
    entering = true;
    try {
      return globalThis.fetch(input, init);
    } finally {
      entering = false;
    }
  };
  return {
    now: () => given ?? (globalThis.fetch === runtimeFetch ? runtimeFetch : replaced),
    isReturning: (init) => entering || (init as { dispatcher?: unknown } | undefined)?.dispatcher instanceof Tap, // the cast: undici's extension
    original,
  };
}
