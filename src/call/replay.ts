// Replay: keeps what was read of a streamed body, up to a bound, so that it can be sent again.

export interface Replay {
  /** False once the body has outgrown the bound, or its source has failed. */
  readonly replayable: boolean;
  /** The source failed; no attempt can succeed, and the peer is not to blame. */
  readonly failed: boolean;
  /** Not all of it has come from the source yet. */
  readonly unfinished: boolean;
  /** All of the body, once it has been read whole and kept. */
  whole(): Uint8Array | undefined;
  /** The body from its beginning. Only the stream opened last reads from the source; one before it gives what is kept, and breaks off where that is not all. */
  open(): ReadableStream<Uint8Array>;
  /** Reads ahead up to the bound; beyond it, lets go of the source. */
  readAhead(): void;
  /** No further attempt will come. `unanswered`: the last one gave no response either, so nobody reads on. */
  settle(unanswered?: boolean): void;
}

interface Source {
  next(): Promise<IteratorResult<unknown>>;
  return?(): unknown;
}

/** Keeps at most `bound` bytes of the source. */
export function newReplay(source: Source, bound: number): Replay {
  let chunks: unknown[] = [];
  /** Index of `chunks[0]` in the whole body. */
  let base = 0;
  let bytes = 0;
  let done = false;
  let overflow = false;
  let failure: { readonly error: unknown } | undefined;
  let reading: Promise<void> | undefined;
  let streams = 0;
  let abandoned = false;
  let settled = false;

  function read(): Promise<void> {
    return (reading ??= source.next().then(
      ({ done: last, value }) => {
        reading = undefined;
        if (last === true) done = true;
        else {
          chunks.push(value);
          bytes += sizeOf(value);
          overflow ||= bytes > bound;
        }
      },
      (error: unknown) => {
        reading = undefined;
        failure = { error };
      },
    ));
  }

  function letGo(): void {
    if (done || failure !== undefined) return; // another attempt may still send what is kept
    chunks = [];
    done = true;
    void Promise.resolve(source.return?.()).catch(() => undefined);
  }

  return {
    get replayable() {
      return !overflow && failure === undefined;
    },
    get failed() {
      return failure !== undefined;
    },
    get unfinished() {
      return !done && failure === undefined;
    },
    whole: () => (done && !overflow && failure === undefined && base === 0 && chunks.every(isBytes) ? joined(chunks) : undefined),
    open: () => {
      const stream = ++streams;
      let position = 0;
      abandoned = false;
      return new ReadableStream<Uint8Array>(
        {
          pull: async (controller) => {
            while (stream === streams && position - base >= chunks.length && !done && failure === undefined) await read();
            // what it has given may not be taken for the whole body, should its attempt live on
            if (stream !== streams && (overflow || (!done && position - base >= chunks.length))) return controller.error(new GoesOn());
            if (position - base < chunks.length) {
              const chunk = chunks[position - base];
              position++;
              if (overflow) {
                chunks.splice(0, position - base);
                base = position;
              }
              return controller.enqueue(chunk as Uint8Array); // the cast: fetch rejects what is none, as it does without us
            }
            if (failure !== undefined) return controller.error(failure.error);
            return controller.close();
          },
          cancel: () => {
            if (stream !== streams) return;
            abandoned = true;
            if (settled) letGo();
          },
        },
        { highWaterMark: 0 },
      );
    },
    readAhead: () => {
      void (async () => {
        while (!done && failure === undefined && !overflow && !settled) await read();
        if (overflow || settled) letGo();
      })();
    },
    settle: (unanswered = false) => {
      settled = true;
      if (abandoned || unanswered) letGo();
      if (!unanswered) return;
      streams++; // undici reads on when its request has failed
      chunks = [];
    },
  };
}

/** Why a stream breaks off. A class, since it is an error. */
class GoesOn extends Error {
  constructor() {
    super("premesh: the body goes on in another attempt");
  }
}

function sizeOf(chunk: unknown): number {
  if (typeof chunk === "string") return Buffer.byteLength(chunk); // undici takes strings too
  return ArrayBuffer.isView(chunk) ? chunk.byteLength : 0;
}

const isBytes = (chunk: unknown): chunk is Uint8Array => chunk instanceof Uint8Array;

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.byteLength;
  }
  return whole;
}
