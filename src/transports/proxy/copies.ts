// Copies of a call, for sends beside it such as those to a mirror.
import { Messages } from "../../call/messages.ts";
import { NO_FIELDS } from "../../wire/wire.ts";
import type { ProxyPayload } from "./payload.ts";
import type { Sink } from "./relay.ts";

/** The payload with the same body, which nobody waits for. */
export function copyOf(payload: ProxyPayload, chunks: readonly Uint8Array[]): ProxyPayload {
  const { context, request, to, trailers } = payload;
  const bodyless = chunks.length === 0;
  const messages = bodyless ? undefined : new Messages<Uint8Array>(context.pool);
  for (const chunk of chunks) messages?.write(chunk, chunk.byteLength, undefined);
  messages?.end();
  return {
    context,
    request,
    to,
    attemptFields: () => payload.attemptFields(),
    bodyless,
    messages,
    trailers: bodyless ? NO_FIELDS : trailers,
    replayable: false,
    alone: true,
    begun: nothing,
    informed: nothing,
  };
}

const nothing = (): void => undefined;

/** Takes an answer to its end, for nobody. */
export const readOn: Sink = { body: () => true, ended: nothing, halfClosed: nothing, cut: nothing };
