// Copies of a body, for sends beside the call, such as those to a mirror.
import { Messages } from "../../call/messages.ts";
import { NO_FIELDS } from "../../wire/wire.ts";
import type { ProxyPayload } from "./payload.ts";

export interface Copy {
  readonly most: number;
  readonly given: (copy: ProxyPayload | undefined) => void;
  readonly chunks: Uint8Array[];
  bytes: number;
}

/** The copies that still want all of the body, with a chunk more of it. */
export function copied(copies: readonly Copy[], chunk: Uint8Array): readonly Copy[] {
  return copies.filter((copy) => {
    copy.bytes += chunk.byteLength;
    if (copy.bytes <= copy.most) {
      copy.chunks.push(chunk);
      return true;
    }
    copy.given(undefined);
    return false;
  });
}

/** The payload with the same body, which nobody waits for. */
export function copyOf(payload: ProxyPayload, chunks: readonly Uint8Array[]): ProxyPayload {
  const { context, request, to, fields, trailers } = payload;
  const bodyless = chunks.length === 0;
  const messages = bodyless ? undefined : new Messages<Uint8Array>(context.pool);
  messages?.keep(chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0));
  for (const chunk of chunks) messages?.write(chunk, chunk.byteLength, undefined);
  messages?.end();
  return {
    context,
    request,
    to,
    fields,
    bodyless,
    messages,
    trailers: bodyless ? NO_FIELDS : trailers,
    replayable: false,
    begun: nothing,
    informed: nothing,
  };
}

const nothing = (): void => undefined;
