// Serve: what a listener and its connections are to each other.
import type { Deadlines } from "./deadlines.ts";
import type { Limits } from "./limits.ts";
import type { Duplex } from "node:stream";
import type { TunnelProtocol } from "./tunnel.ts";
import type { Connection, Exchange, Fields } from "./wire.ts";

/** What a connection is served on: a socket, or what comes through a tunnel. */
export interface Pipe extends Duplex {
  /** Breaks it, so that the peer does not take it for an end. */
  resetAndDestroy(): unknown;
}

/** Whom a connection belongs to. */
export interface Host {
  readonly limits: Limits;
  readonly deadlines: Deadlines;
  /** No more requests are taken than those under way. */
  readonly draining: boolean;
  /** Serves what has come through a CONNECT to this authority. `first`: what was read of it. */
  serve(protocol: Exclude<TunnelProtocol, "opaque" | "more">, pipe: Pipe, first: Buffer, connection: Counted, authority: string): Served;
  /** Takes a request. */
  exchange(exchange: Exchange): void;
  /** Fields of every refusal that is a response of HTTP/1.1. */
  readonly refusalFields: Fields;
  /** Counts the exchanges under way: each is begun and ended once. */
  begun(): void;
  ended(): void;
  /** What came was refused with this status; 0: HTTP/2 has none for it. */
  refused(status: number, connection: Connection): void;
}

/** The connection as it is known to exchanges; `requests` is counted on by whoever serves it. */
export interface Counted extends Connection {
  requests: number;
}

/** A connection that is served. */
export interface Served {
  /** No more requests: closes it when it is idle. */
  drain(): void;
}
