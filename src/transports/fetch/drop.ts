// Drops a response that nobody will read, in the way that costs least: what is nearly there is drained, so that the socket can be used again.

import type { Timers } from "../../call/clock.ts";
import { nodeBody } from "./foreign.ts";

/** Draining more than this costs more than a new connection. */
const MOST_BYTES = 65_536;

/** A body that trickles is not worth waiting for. */
const LONGEST_MS = 1_000;

/** Lets go of a response; never throws. */
export type Drop = (response: Response) => void;

export const newDrop =
  (timers: Timers): Drop =>
  (response) => {
    const stream = nodeBody(response);
    if (stream !== undefined) {
      stream.destroy();
      return;
    }
    const { body } = response;
    if (body === null || body.locked) return;
    const reader: ReadableStreamDefaultReader<Uint8Array> = body.getReader();
    const cancel = (): void => void reader.cancel().catch(() => undefined);
    const timer = timers.setTimer(cancel, LONGEST_MS);
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
      .finally(() => timers.clearTimer(timer));
  };
