// The payload of a proxied call: what its attempts send.
import type { Payload } from "../../call/call.ts";
import type { Messages } from "../../call/messages.ts";
import type { Destination, Fields, ResponseHead } from "../../wire/wire.ts";
import type { Context } from "./context.ts";
import type { Request } from "./request.ts";

export interface ProxyPayload extends Payload {
  readonly context: Context;
  readonly request: Request;
  /** Where it goes unless a layer says otherwise. */
  readonly to: Destination;
  /** The fields that all attempts send, as a list of its own for each of them to add to. */
  attemptFields(): string[];
  /** There is no body, so the head is all. */
  readonly bodyless: boolean;
  /** Its body, or what comes after a switch of protocols; `undefined`: neither will come. */
  readonly messages: Messages<Uint8Array> | undefined;
  /** The trailers of the request, once it has ended. */
  readonly trailers: Fields;
  /** Nobody waits for its answer, which is read to the end all the same. */
  readonly alone?: boolean | undefined;
  /** An interim response has come. */
  informed(head: ResponseHead): void;
  /** An attempt begins, so the body may come. */
  begun(): void;
}
