// Case: one thing that callers do with fetch, and what they see of it.
import type { AnyFetch, Kit, Observed } from "../observe.ts";
import { settle, whole } from "../observe.ts";

export interface Circumstances {
  readonly fetch: AnyFetch;
  readonly kit: Kit;
  /** An address at the peer. */
  readonly at: (path: string) => string;
  /** Settles when the peer has begun to see the n-th request of this case. */
  readonly begun: (n: number) => Promise<void>;
}

export interface Case {
  readonly name: string;
  readonly run: (circumstances: Circumstances) => Promise<Observed>;
  /** The policy retries it, so the peer sees more requests than one; all must be alike. */
  readonly retried?: boolean;
  /** A field that the caller has asked for and that some undicis forget: premesh may send it nevertheless. */
  readonly forgotten?: string;
  /** What the peer sees is chance even with the bare fetch. */
  readonly unwatched?: boolean;
}

/** fetch with these arguments, and the whole response. */
export function call(name: string, argumentsOf: (circumstances: Circumstances) => readonly unknown[], more: Partial<Case> = {}): Case {
  return {
    name,
    run: (circumstances) => settle(async () => whole(await begin(circumstances, argumentsOf(circumstances)), circumstances.kit)),
    ...more,
  };
}

function begin({ fetch }: Circumstances, all: readonly unknown[]): Promise<Response> {
  let promise: Promise<Response>;
  try {
    promise = fetch(...all);
  } catch (error) {
    throw new Error("thrown at once, not rejected", { cause: error });
  }
  if (!(promise instanceof Promise)) throw new TypeError("fetch gave no promise");
  return promise;
}

/** A stream of these strings, one for each pull. */
export function streamOf(...parts: string[]): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let index = 0;
  return new ReadableStream({
    pull: (controller) => {
      const part = parts[index++];
      if (part === undefined) controller.close();
      else controller.enqueue(encoder.encode(part));
    },
  });
}
