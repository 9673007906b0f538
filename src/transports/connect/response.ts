// The response of a stream: its head is held back until what follows it is known, and its end is told, however it comes.
import { type End, endNow } from "../../call/end.ts";
import type { StreamResponse } from "./connect-es.ts";

/**
 * How long a head is held back at most. Over the Connect and the gRPC-web protocol a server tells of a failure behind a good head, in the same breath;
 * taken at its word, such a head would commit the call before it has failed.
 */
const HOLD_MS = 20;

/** How many turns of the event loop at least: in a process that was busy meanwhile, what has come is not read yet. */
const HOLD_TURNS = 10;

/** The runtime's own, since the peer's breath is real whatever clock the client has. */
const realSetTimeout = setTimeout;
const realSetImmediate = setImmediate;

/** A stream that has begun. */
export interface Begun {
  readonly response: StreamResponse;
  /** Reads the messages; the first of them may be on its way already. */
  readonly messages: AsyncIterator<unknown>;
  readonly first: Promise<IteratorResult<unknown>>;
}

/** Waits for the head and for the first message, the end or a failure behind it, which is thrown; but not long. */
export async function begun(head: Promise<StreamResponse>): Promise<Begun> {
  const response = await head;
  const messages = response.message[Symbol.asyncIterator]();
  const first = messages.next();
  const { promise: held, resolve: release } = Promise.withResolvers<void>();
  const turn = (left: number): void => void (left === 0 ? release() : realSetImmediate(turn, left - 1));
  const timer = realSetTimeout(turn, HOLD_MS, HOLD_TURNS);
  try {
    await Promise.race([first, held]);
  } finally {
    clearTimeout(timer);
  }
  first.catch(() => undefined); // whoever reads on is told
  return { response, messages, first };
}

const unread = new FinalizationRegistry<() => void>((release) => release());

/** What is done with a stream as it is read. */
export interface Watching {
  readonly end: End;
  /** Sees each message before the caller. */
  readonly seen: (message: object) => void;
  /** What the caller is told when the stream breaks off. */
  readonly worded: (error: unknown) => unknown;
  /** Ends what the peer still sends, when nobody reads it any more. */
  readonly abandon: () => void;
}

/** The response, with messages that tell when they are over: read to the end, broken off, let go or collected unread. */
export function watched({ response, messages, first }: Begun, watching: Watching): StreamResponse {
  const iterator = reading(messages, first, watching);
  unread.register(iterator, abandoning(watching));
  return { ...response, message: { [Symbol.asyncIterator]: () => iterator } as StreamResponse["message"] }; // the cast: the messages are the same
}

/** A function of its own: one made beside a function that holds the iterator would hold it too. */
function abandoning({ end, abandon }: Watching): () => void {
  return () => {
    if (end.ended) return;
    abandon();
    endNow(end);
  };
}

/** Nothing here holds on to the iterator itself, so that it can be collected. */
function reading(
  messages: AsyncIterator<unknown>,
  first: Promise<IteratorResult<unknown>>,
  { end, seen, worded }: Watching,
): Required<AsyncIterator<unknown>> {
  let ahead: Promise<IteratorResult<unknown>> | undefined = first;
  const failed = (error: unknown): never => {
    endNow(end, error);
    throw worded(error);
  };
  const came = (result: IteratorResult<unknown>): IteratorResult<unknown> => {
    if (result.done === true) endNow(end);
    else if (typeof result.value === "object" && result.value !== null) seen(result.value);
    return result;
  };
  return {
    next: () => {
      const result = ahead ?? messages.next();
      ahead = undefined;
      return result.then(came, failed);
    },
    return: async (value) => {
      endNow(end);
      return (await messages.return?.(value)) ?? { done: true, value };
    },
    throw: async (error) => {
      endNow(end, error);
      if (messages.throw === undefined) throw error;
      return messages.throw(error);
    },
  };
}
