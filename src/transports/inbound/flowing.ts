// Flowing: the body of a response on its way out, watched until it has been read, cancelled, cut or collected.

/** What is told of a body. */
export interface Watch {
  chunk(bytes: Uint8Array): void;
  /** All of it has come from the work. */
  whole(): void;
  /** It has left, or nobody reads on; told once. */
  ended(error?: unknown): void;
  /** Whether the rest is to be read even if nobody takes it. */
  readonly toTheEnd: boolean;
}

export interface Flowing {
  readonly response: Response;
  /** Breaks it off. */
  cut(reason: unknown): void;
}

const unread = new FinalizationRegistry<() => void>((release) => release());

/** The response around the same body. */
export function flowing(response: Response, watch: Watch): Flowing {
  const { body } = response;
  if (body === null || response.bodyUsed) {
    watch.whole();
    watch.ended();
    return { response, cut: () => undefined };
  }
  const reader: ReadableStreamDefaultReader<Uint8Array> = body.getReader();
  let over = false;
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;

  /** Nobody reads on. */
  function leave(error?: unknown): void {
    if (over) return;
    over = true;
    watch.ended(error);
    if (watch.toTheEnd) void drained();
    else void cancelled(error);
  }

  async function cancelled(reason: unknown): Promise<void> {
    try {
      await reader.cancel(reason);
    } catch {
      // it had broken off already
    }
  }

  async function drained(): Promise<void> {
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return watch.whole();
        watch.chunk(value);
      }
    } catch {
      // it broke off: there is no answer
    }
  }

  const stream = new ReadableStream<Uint8Array>(
    {
      start: (given) => {
        controller = given;
      },
      pull: async (given) => {
        try {
          const { done, value } = await reader.read();
          if (over) return;
          if (!done) {
            watch.chunk(value);
            return given.enqueue(value);
          }
          over = true;
          watch.whole();
          watch.ended();
          return given.close();
        } catch (error) {
          if (over) return;
          over = true;
          watch.ended(error);
          return given.error(error);
        }
      },
      cancel: (reason) => leave(reason ?? new DOMException("whoever asked has left", "AbortError")),
    },
    { highWaterMark: 0 },
  );
  const { status, statusText, headers } = response;
  const rebuilt = new Response(stream, { status, statusText, headers });
  unread.register(rebuilt, leave);
  return {
    response: rebuilt,
    cut: (reason) => {
      if (over) return;
      controller?.error(reason);
      leave(reason);
    },
  };
}

/** Lets go of a response that nobody will see; for the record it is read to its end. */
export function dropped(response: Response, watch: Watch): void {
  flowing(response, watch).cut(undefined);
}
