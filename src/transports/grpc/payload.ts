// The payload of an RPC: what its attempts send, and what they tell their call.
import type { Payload } from "../../call/call.ts";
import type { Messages } from "../../call/messages.ts";
import type { CallCredentials, Deadline, StatusObject, WireCall } from "./grpc-js.ts";
import type { Line } from "./line.ts";
import type { CallMetadata } from "./metadata.ts";

/** A message of the caller's, serialised. */
export interface Outgoing {
  readonly message: Buffer;
  readonly flags: number | undefined;
}

export interface RpcPayload extends Payload {
  readonly line: Line;
  /** `/payments.v1.Payments/Charge` */
  readonly path: string;
  /** The caller's word on the authority. */
  readonly host: string | null | undefined;
  /** What the server is called, by the caller or the channel. */
  readonly authority: string;
  /** The caller's own. */
  readonly deadline: Deadline;
  /** The same, on the clock of `Env.now`. */
  readonly endsAt: number;
  readonly messages: Messages<Outgoing>;
  readonly metadata: CallMetadata;
  readonly credentials: CallCredentials | undefined;
  /** The caller waits for a message. */
  readonly reading: boolean;
  /** The server answers with a stream. */
  readonly responseStream: boolean;
  /** What the caller gets if it was ended from outside. */
  readonly cancelled: StatusObject | undefined;
  /** Nobody waits for its answer, which is read to the end all the same. */
  readonly alone?: boolean | undefined;
  /** An attempt begins. */
  begun(real: WireCall): void;
  /** An attempt has failed; `last`: so has the call, whatever layers make of it. */
  failed(last: boolean): void;
}
