// The metadata of attempts: a copy of the caller's that says when it goes out on the wire, and lets the attempt add its own fields then.
import type { Head } from "../../call/outcome.ts";
import { Metadata } from "./grpc-js.ts";

/** Header fields as they go to node:http2. */
export type HeaderFields = ReturnType<Metadata["toHttp2Headers"]>;

/** How often an RPC was sent before (gRFC A6). */
export const PREVIOUS_ATTEMPTS = "grpc-previous-rpc-attempts";

/** What a response says, for layers that ask. */
export const headOf = (metadata: Metadata): Head => ({
  get: (name) => {
    const [value] = metadata.get(name);
    return typeof value === "string" ? value : undefined;
  },
});

/** Who is told. */
export interface Heading {
  /** A connection has been found, and the head is about to be written to it. */
  heading(fields: HeaderFields): void;
}

/**
 * grpc-js says neither when a call has got its connection nor whether it got one, but it asks its metadata for HTTP/2 headers at that very moment. It works
 * on copies, so a copy knows its attempt too.
 */
export class CallMetadata extends Metadata {
  attempt: Heading | undefined = undefined;

  /** A copy of the caller's metadata, which it may change for its next call. */
  static of(metadata: Metadata): CallMetadata {
    const copy = new CallMetadata(metadata.getOptions());
    copy.merge(metadata);
    return copy;
  }

  override clone(): CallMetadata {
    const copy = CallMetadata.of(this);
    copy.attempt = this.attempt;
    return copy;
  }

  override toHttp2Headers(): HeaderFields {
    const fields = super.toHttp2Headers();
    this.attempt?.heading(fields);
    return fields;
  }
}
