// The payload of a fetch whose body can be read once only, a stream, an iterable or a Request's: what was read of it is kept for further attempts.
import { isErrored } from "node:stream";
import { newReplay, type Replay } from "../../call/replay.ts";
import type { Payload } from "../../call/call.ts";
import type { FetchInit, FetchInput } from "./request.ts";
import type { Dispatcher } from "./dispatcher.ts";

/** What every attempt is made of. */
export interface Sent {
  readonly input: FetchInput;
  readonly init: FetchInit | undefined;
  readonly url: URL;
  /** The caller's own signal. */
  readonly signal: AbortSignal | undefined;
  readonly dispatcher: Dispatcher | undefined;
}

export interface FetchPayload extends Payload, Sent {
  /** What the next attempt sends as its body; `undefined`: what input and init say. `elsewhere`: not to where the input says. */
  body(elsewhere: boolean): ReadableStream<Uint8Array> | Uint8Array | undefined;
  /** The body's own stream failed; the peer is not to blame. */
  readonly bodyFailed: boolean;
  /** No further attempt will come. `unanswered`: the last one gave no response, and `why`: a body that was never sent is cancelled with that. */
  settle(unanswered: boolean, why?: unknown): void;
}

/** Body kinds that fetch cannot read again. */
export const once = (body: unknown): body is ReadableStream | AsyncIterable<Uint8Array> =>
  typeof body === "object" && body !== null && (body instanceof ReadableStream || Symbol.asyncIterator in body) && !(body instanceof Blob);

/** `given`: the body in init. `request`: the Request whose body is sent, where init has none. */
export function oncePayload(sent: Sent, given: unknown, request: Request | undefined): FetchPayload {
  let bound = 0;
  let replay: Replay | undefined;
  let copies: ((whole: Uint8Array | undefined) => void)[] | undefined;
  let attempts = 0;
  // without `duplex` fetch refuses the stream, with its own words
  const { duplex } = (sent.init ?? {}) as FetchInit & { readonly duplex?: string }; // the cast: undici's extension
  const streamed = once(given) && duplex === "half" && !(given instanceof ReadableStream && given.locked);
  const { input, init, url, signal, dispatcher } = sent;
  return {
    input,
    init,
    url,
    signal,
    dispatcher,
    get replayable() {
      if (replay !== undefined) return replay.replayable;
      return attempts === 0;
    },
    get unfinished() {
      return attempts === 0 || replay?.unfinished === true;
    },
    get bodyFailed() {
      if (replay?.failed === true) return true;
      const stream = given ?? request?.body;
      return stream instanceof ReadableStream && isErrored(stream as unknown as NodeJS.ReadableStream); // the cast: its type forgets web streams
    },
    keep: (bytes) => {
      bound = Math.max(bound, bytes);
    },
    body: (elsewhere) => {
      attempts++;
      // a stream that is sent once is left alone; an iterable is not, since nothing else tells that it has failed
      if (streamed && (bound > 0 || replay !== undefined || !(given instanceof ReadableStream))) {
        replay ??= newReplay(sourceOf(given), bound);
        return replay.open();
      }
      if (request === undefined || (bound === 0 && !elsewhere)) return undefined;
      if (replay === undefined && !elsewhere) {
        // The first attempt sends the Request itself, since only fetch knows the length of its body; a clone is kept for the others.
        const { body } = request.clone();
        if (body !== null) replay = newReplay(sourceOf(body), bound);
        replay?.readAhead();
        return undefined;
      }
      replay ??= newReplay(sourceOf(request.body ?? new ReadableStream()), bound);
      return replay.whole() ?? replay.open();
    },
    copy: (bytes, give) => {
      bound = Math.max(bound, bytes);
      (copies ??= []).push((whole) => give(whole === undefined || whole.byteLength > bytes ? undefined : copied(sent, whole)));
    },
    settle: (unanswered, why) => {
      for (const copy of copies ?? []) copy(replay?.whole());
      replay?.settle(unanswered);
      const unsent = attempts === 0 && unanswered ? (given ?? request?.body) : undefined;
      if (unsent instanceof ReadableStream && !unsent.locked) void unsent.cancel(why).catch(() => undefined);
    },
  };
}

/** A payload with the same body, if it is one that fetch cannot read again, for a send that the caller's abort does not end. */
export function copied(sent: Sent, whole?: Uint8Array): FetchPayload {
  const { input, init, url, dispatcher } = sent;
  const nothing = (): undefined => undefined;
  return {
    input,
    init: { ...init, signal: null },
    url,
    signal: undefined,
    dispatcher,
    replayable: true,
    bodyFailed: false,
    body: () => whole,
    settle: nothing,
  };
}

/** Both functions are async, so what an iterable throws at once, or gives without a promise, comes like everything else. */
function sourceOf(body: ReadableStream | AsyncIterable<unknown>): { next(): Promise<IteratorResult<unknown>>; return(): Promise<unknown> } {
  if (!(body instanceof ReadableStream)) {
    const iterator = body[Symbol.asyncIterator]();
    return { next: async () => iterator.next(), return: async () => iterator.return?.() };
  }
  const reader: ReadableStreamDefaultReader<unknown> = body.getReader();
  return {
    next: async () => {
      const { done, value } = await reader.read();
      return { done, value } as IteratorResult<unknown>; // the cast: the two types differ in name only
    },
    return: () => reader.cancel(),
  };
}
