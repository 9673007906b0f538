// Member: what a pool of connections to an upstream and each of its connections are to each other.
import type { Deadlines } from "../deadlines.ts";
import type { Limits } from "../limits.ts";
import type { Attempt } from "./attempt.ts";

/** The pool, as a connection sees it. */
export interface Http1Owner {
  readonly limits: Limits;
  readonly deadlines: Deadlines;
  /** It can take another request. */
  idle(client: Http1Client): void;
  /** It takes no more: closed, or about to be, or no longer HTTP. Said once. */
  gone(client: Http1Client): void;
}

/** A connection, as its pool sees it. */
export interface Http1Client {
  /** Sends a request over the connection, which is idle. */
  send(attempt: Attempt): void;
  /** Takes the socket for a tunnel: nothing of HTTP is sent, and its bytes are the attempt's. */
  tunnel(attempt: Attempt): void;
  /** Closes it, when it is idle. */
  close(): void;
}
