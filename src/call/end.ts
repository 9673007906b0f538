// End: the moment a response is over, read, cancelled, failed or collected, at which permits and spans are released.

/** A one-time event. Plain data with functions beside it: a promise here would cost a microtask and 150 bytes on every call. */
export interface End {
  ended: boolean;
  /** Why the response broke off; `undefined` when it came to its end. */
  error: unknown;
  waiting: ((error: unknown) => void) | ((error: unknown) => void)[] | undefined;
}

export function newEnd(): End {
  return { ended: false, error: undefined, waiting: undefined };
}

/** Runs `release` when the response is over; at once if it is, or if there is nothing to wait for. It must not throw. */
export function whenEnded(end: End | undefined, release: (error: unknown) => void): void {
  if (end === undefined || end.ended) release(end?.error);
  else if (end.waiting === undefined) end.waiting = release;
  else if (typeof end.waiting === "function") end.waiting = [end.waiting, release];
  else end.waiting.push(release);
}

/** Says that the response is over. Only the first call counts. */
export function endNow(end: End, error?: unknown): void {
  if (end.ended) return;
  end.ended = true;
  end.error = error;
  const { waiting } = end;
  end.waiting = undefined;
  if (typeof waiting === "function") waiting(error);
  else if (waiting !== undefined) for (const release of waiting) release(error);
}
