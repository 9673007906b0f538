// Drops a response that nobody will read, in the way that costs least: what is nearly there is drained, so that the socket can be used again.

import { nodeBody } from "./foreign.ts";

/** Draining more than this costs more than a new connection. */
const MOST_BYTES = 65_536;

/** A body that trickles is not worth waiting for. */
const LONGEST_MS = 1_000;

/** Lets go of a response; never throws. */
export function drop(response: Response): void {
  const stream = nodeBody(response);
  if (stream !== undefined) return void stream.destroy();
  const { body } = response;
  if (body === null || body.locked) return;
  const reader: ReadableStreamDefaultReader<Uint8Array> = body.getReader();
  const cancel = (): void => void reader.cancel().catch(() => undefined);
  const timer = setTimeout(cancel, LONGEST_MS);
  let bytes = 0;
  const drain = ({ done, value }: { done: boolean; value?: Uint8Array | undefined }): unknown => {
    if (done) return undefined;
    bytes += value?.byteLength ?? 0;
    return bytes > MOST_BYTES ? cancel() : reader.read().then(drain);
  };
  void reader
    .read()
    .then(drain)
    .catch(() => undefined) // it broke off: gone all the same
    .finally(() => clearTimeout(timer));
}
