// The payload of an RPC over Connect: what every attempt is made of.
import type { Call, Payload } from "../../call/call.ts";
import type { Pool } from "../../call/messages.ts";
import { create, type DescMethod, fromBinary, type Input, type Request, toBinary } from "./connect-es.ts";
import { type Keeping, type MessageReplay, newMessageReplay } from "./replay.ts";

export interface ConnectPayload extends Payload {
  readonly request: Omit<Request, "signal" | "header">;
  readonly header: Headers;
  /** The message of a unary call. */
  readonly input: Input | undefined;
  /** The messages of a stream. */
  readonly messages: MessageReplay<Input> | undefined;
  /** An attempt begins. */
  begun(call: Call): void;
}

/** A unary message can be sent as often as one likes. */
export function unaryPayload(request: ConnectPayload["request"], header: Headers, input: Input): ConnectPayload {
  return { request, header, input, messages: undefined, replayable: true, begun: () => undefined };
}

export function streamPayload(
  request: ConnectPayload["request"],
  header: Headers,
  input: AsyncIterable<Input>,
  pool: Pool,
): ConnectPayload {
  const { method } = request;
  let current: Call | undefined;
  let told: ((call: Call, bytes: number) => void) | undefined;
  const messages = newMessageReplay(input, method.methodKind === "server_streaming" ? undefined : keepingOf(method), pool, (bytes) => {
    if (current !== undefined) told?.(current, bytes);
  });
  return {
    request,
    header,
    input: undefined,
    messages,
    get replayable() {
      return messages.replayable;
    },
    get unfinished() {
      return messages.unfinished;
    },
    keep: (bytes, overflowed) => {
      messages.keep(bytes);
      told ??= overflowed;
    },
    begun: (call) => (current = call),
  };
}

/** As bytes, which tell its size too. What cannot be written is not kept, and Connect says what is wrong with it. */
function keepingOf({ input }: DescMethod): Keeping<Input> {
  return {
    write: (message) => {
      try {
        return toBinary(input, create(input, message));
      } catch {
        return undefined;
      }
    },
    read: (bytes) => fromBinary(input, bytes),
  };
}
