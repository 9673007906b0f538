// Replay of messages: reads the caller's request stream once and keeps what was read, up to a bound, so that further attempts can send it again.
//
// call/messages.ts does the same for messages that a caller pushes; these are pulled, by the attempt under way.
import type { Pool } from "../../call/messages.ts";

/** What one attempt sends. Its `return` and `throw` reach the caller's stream only once it is the attempt that counts. */
export interface Sending<T> extends AsyncIterable<T> {
  /** Another attempt went on with the messages, so this one cannot be given them all; reading on fails. */
  readonly lost: boolean;
  /** The attempt is over. */
  close(): void;
}

export interface MessageReplay<T> {
  /** False once messages are gone, or the caller's stream has failed. */
  readonly replayable: boolean;
  /** More may come from the caller. */
  readonly unfinished: boolean;
  /** An attempt can be given all of it, this once or more often. */
  readonly whole: boolean;
  /** The caller's stream failed; the peer is not to blame. */
  readonly failed: boolean;
  /** Asks that so many bytes be kept. */
  keep(bytes: number): void;
  /** The messages from the first on. Several may be open: those of an attempt and of its hedge. */
  open(): Sending<T>;
  /** A response is there: its attempt is the one that counts, and its messages are now the same as the caller's stream. Only the first counts. */
  commit(sending: Sending<T>): void;
  /** The call has ended without a response of the peer: with this error, or with an answer of our own. */
  end(error: unknown): void;
}

/** How a message is kept: a caller may change or reuse it once it is sent. */
export interface Keeping<T> {
  /** Its bytes; `undefined`: it cannot be kept. */
  write(message: T): Uint8Array | undefined;
  read(bytes: Uint8Array): T;
}

/** One message, until it can be forgotten: itself for the first who sends it, and its bytes for others. */
interface Kept<T> {
  message: T | undefined;
  readonly bytes: Uint8Array | undefined;
}

/** `keeping` absent: messages are kept as they are, whatever their size. `overflowed`: what was read is more than may be kept. */
export function newMessageReplay<T>(
  messages: AsyncIterable<T>,
  keeping: Keeping<T> | undefined,
  pool: Pool,
  overflowed: (bytes: number) => void,
): MessageReplay<T> {
  let source: AsyncIterator<T> | undefined;
  let kept: Kept<T>[] = [];
  /** Index of `kept[0]` in the whole stream. */
  let base = 0;
  let bound = 0;
  /** How many bytes of it count in the pool. */
  let held = 0;
  let done = false;
  /** A message was sent and is not kept. */
  let lost = false;
  let overflow = false;
  let failure: { readonly error: unknown } | undefined;
  let reading: Promise<void> | undefined;
  let last: View<T> | undefined;
  const open = new Set<View<T>>();

  function take(message: T): void {
    const copy = bound > 0 && !overflow && last === undefined ? keeping?.write(message) : undefined;
    kept.push({ message, bytes: copy });
    if (copy === undefined) return;
    const size = copy.byteLength;
    if (held + size <= bound && pool.bytes + size <= pool.limit) {
      held += size;
      pool.bytes += size;
    } else {
      overflow = true;
      overflowed(held + size);
      release();
      goOn(furthest());
    }
  }

  const furthest = (): View<T> | undefined => [...open].toSorted((a, b) => b.position - a.position)[0];

  /** One attempt alone goes on: what it has sent is forgotten. */
  function goOn(view: View<T> | undefined): void {
    for (const other of open) if (other !== view) other.lose();
  }

  function release(): void {
    pool.bytes -= held;
    held = 0;
  }

  /** Async, so that what a stream throws at once comes like everything else. */
  async function next(): Promise<void> {
    try {
      source ??= messages[Symbol.asyncIterator]();
      const result = await source.next();
      if (result.done === true) done = true;
      else take(result.value);
    } catch (error) {
      failure = { error };
    } finally {
      reading = undefined;
    }
  }

  const read = (): Promise<void> => (reading ??= next());

  /** Lets go of everything before a place. */
  function forget(position: number): void {
    kept.splice(0, position - base);
    base = position;
  }

  /** The message at a place, for whoever sends it now. */
  function at(position: number): T {
    const one = kept[position - base] as Kept<T>; // the cast: the place was looked at
    const { message } = one;
    if (last !== undefined || overflow || (keeping !== undefined && one.bytes === undefined)) {
      lost = true;
      forget(position + 1);
    } else if (keeping !== undefined) one.message = undefined;
    return message ?? (keeping as Keeping<T>).read(one.bytes as Uint8Array); // the casts: what was sent once has its bytes
  }

  function newView(): View<T> {
    const { promise: closing, resolve: close } = Promise.withResolvers<void>();
    const view: View<T> = {
      position: 0,
      ended: undefined,
      closed: false,
      lost: false,
      [Symbol.asyncIterator]: () => view,
      close: () => {
        open.delete(view);
        view.closed = true;
        close();
      },
      lose: () => {
        view.lost = true;
        view.close();
      },
      next: async () => {
        while (!view.closed && view.position - base >= kept.length && !done && failure === undefined) await Promise.race([read(), closing]);
        if (view.lost) throw new Error("another attempt went on with the messages");
        if (view.closed) return { done: true, value: undefined };
        if (view.position - base < kept.length) return { done: false, value: at(view.position++) };
        if (failure !== undefined) throw failure.error;
        return { done: true, value: undefined };
      },
      return: (value) => ended(view, { value }),
      throw: (error) => ended(view, { error }),
    };
    return view;
  }

  /** An attempt lets go of its messages: for good, or for the next attempt. */
  async function ended(view: View<T>, how: Ended): Promise<IteratorResult<T>> {
    view.close();
    if (view === last) return forward(how);
    view.ended ??= how;
    if ("error" in how) throw how.error;
    return { done: true, value: how.value };
  }

  async function forward(how: Ended): Promise<IteratorResult<T>> {
    source ??= messages[Symbol.asyncIterator]();
    if (!("error" in how)) return (await source.return?.(how.value)) ?? { done: true, value: how.value };
    if (source.throw === undefined) throw how.error;
    return source.throw(how.error);
  }

  const told = (how: Ended): void => void forward(how).catch(() => undefined);

  return {
    get replayable() {
      return !lost && !overflow && failure === undefined;
    },
    get unfinished() {
      return !done && failure === undefined;
    },
    get whole() {
      return !lost;
    },
    get failed() {
      return failure !== undefined;
    },
    keep: (most) => {
      bound = Math.max(bound, most);
    },
    open: () => {
      const view = newView();
      open.add(view);
      return view;
    },
    commit: (sending) => {
      if (last !== undefined) return;
      last = sending as View<T>; // the cast: all are made here
      release();
      goOn(last);
      forget(last.position);
      if (last.ended !== undefined) told(last.ended);
    },
    end: (error) => {
      for (const view of open) view.close();
      kept = [];
      release();
      if (error !== undefined) told({ error });
      told({ value: undefined });
    },
  };
}

type Ended = { readonly value: unknown } | { readonly error: unknown };

interface View<T> extends Required<AsyncIterator<T>>, Sending<T> {
  /** Which message is next. */
  position: number;
  closed: boolean;
  lost: boolean;
  lose(): void;
  /** How the attempt let go of it, while another could still come. */
  ended: Ended | undefined;
}
