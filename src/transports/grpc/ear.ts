// Ear: what grpc-js holds of an attempt. It lets go of the attempt when that is over, since grpc-js does not let go of the ear.
//
// Calls that are over stay reachable from tables of grpc-js and node:http2 that have been promoted and are garbage too, so the young generation cannot be
// rid of them, nor of whatever hangs on them: a fifth of all that is allocated is copied twice for that. What hangs on an ear is not.
import type { InterceptingListener, Metadata, StatusObject } from "./grpc-js.ts";
import type { HeaderFields, Heading } from "./metadata.ts";

/** What an attempt hears. */
export interface Hearer extends InterceptingListener, Heading {
  /** The message that was given has been taken. */
  taken(): void;
}

/** A class, since there is one for every attempt, and grpc-js wants an object with methods. */
export class Ear implements InterceptingListener, Heading {
  hearer: Hearer | undefined;
  /** For the callback of a write, which comes without its object. */
  readonly taken = (): void => this.hearer?.taken();

  constructor(hearer: Hearer) {
    this.hearer = hearer;
  }

  heading(fields: HeaderFields): void {
    this.hearer?.heading(fields);
  }

  onReceiveMetadata(metadata: Metadata): void {
    this.hearer?.onReceiveMetadata(metadata);
  }

  onReceiveMessage(message: unknown): void {
    this.hearer?.onReceiveMessage(message);
  }

  onReceiveStatus(status: StatusObject): void {
    this.hearer?.onReceiveStatus(status);
  }
}
