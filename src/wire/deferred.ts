// Deferred: a stream to the caller, before it is known over what it goes.
import { type BreakReason, type Fields, NO_FIELDS, type Stream } from "./wire.ts";

export interface Deferred extends Stream {
  /** What was done so far is done to the stream that it goes over, and all that follows. Not after `given`. */
  goOver(stream: Stream): void;
}

/** `given`: it was reset before it went over anything. */
export function newDeferred(given: () => void): Deferred {
  let over: Stream | undefined;
  const held: Uint8Array[] = [];
  let end: Fields | undefined;
  let paused = false;
  let reset = false;
  return {
    write(chunk) {
      if (over !== undefined) return over.write(chunk);
      if (reset || end !== undefined) return true;
      held.push(chunk);
      return false;
    },
    end(trailers = NO_FIELDS) {
      if (over !== undefined) over.end(trailers);
      else end ??= trailers;
    },
    reset(why: BreakReason) {
      if (over !== undefined) return over.reset(why);
      if (reset) return;
      reset = true;
      held.length = 0;
      given();
    },
    pause() {
      paused = true;
      over?.pause();
    },
    resume() {
      paused = false;
      over?.resume();
    },
    goOver(stream) {
      over = stream;
      if (paused) stream.pause();
      for (const chunk of held.splice(0)) stream.write(chunk); // it has no connection yet, so that it tells when more may come
      if (end !== undefined) stream.end(end);
    },
  };
}
