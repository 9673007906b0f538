// Copies of an RPC, for sends beside it such as those to a mirror.
import { Messages } from "../../call/messages.ts";
import type { InterceptingListener, WireCall } from "./grpc-js.ts";
import { CallMetadata } from "./metadata.ts";
import type { Outgoing, RpcPayload } from "./payload.ts";

/** The payload with the same messages, which nobody waits for; how long it may take is not the caller's to say. */
export function copyOf(payload: RpcPayload, all: readonly Outgoing[]): RpcPayload {
  const { line, path, host, authority, credentials, responseStream } = payload;
  const messages = new Messages<Outgoing>(line.pool);
  for (const one of all) messages.write(one, one.message.length, undefined);
  messages.end();
  return {
    line,
    path,
    host,
    authority,
    credentials,
    responseStream,
    messages,
    metadata: CallMetadata.of(payload.metadata),
    deadline: Number.POSITIVE_INFINITY,
    endsAt: Number.POSITIVE_INFINITY,
    reading: true,
    cancelled: undefined,
    replayable: false,
    alone: true,
    begun: nothing,
    failed: nothing,
  };
}

/** Reads an answer to its end, for nobody. */
export const readOn = (answer: Pick<WireCall, "startRead">): InterceptingListener => ({
  onReceiveMetadata: nothing,
  onReceiveMessage: () => answer.startRead(),
  onReceiveStatus: nothing,
});

const nothing = (): void => undefined;
