// Wire: the one shape that a request and its response have between the proxy and the sockets, for HTTP/1.1 and HTTP/2, in both directions.
//
// Nothing of Node's objects comes through here, and nothing here knows a policy: a head is names and values as they were received, a body is chunks that
// are pushed until they are paused, and a message that breaks off says in one word why. Codecs can be replaced behind it.

/** Header or trailer fields, names and values by turns, in the order and spelling in which they were received. HTTP/2's pseudo-fields and Host are not among them. */
export type Fields = readonly string[];

export const NO_FIELDS: Fields = [];

export interface RequestHead {
  readonly method: string;
  readonly scheme: "http" | "https";
  /** Host or `:authority`, as received; empty where there is none. */
  readonly authority: string;
  /** The path with its query, `*` for `OPTIONS *`; empty for CONNECT. */
  readonly path: string;
  readonly fields: Fields;
  /** The protocol that the request asks to go over to (`websocket`); `undefined`: none. On the wire: Upgrade, or HTTP/2's `:protocol`. */
  readonly upgrade: string | undefined;
}

/** A final response, or with a status below 200 an interim one. The reason phrase is not kept. */
export interface ResponseHead {
  readonly status: number;
  readonly fields: Fields;
}

/** Why a message breaks off. */
export type BreakReason =
  /** No connection was made: nothing was sent. */
  | "connect"
  /** Its address is one that must not be called, by the word of whoever made the {@link Upstreams}: nothing was sent. */
  | "forbidden"
  /** The peer had not begun to work on it, by its own word (REFUSED_STREAM, GOAWAY below its id). */
  | "refused"
  /** The connection is gone, or the peer reset the stream. */
  | "reset"
  /** What came is not HTTP, or HTTP that is not allowed. */
  | "protocol"
  /** It is larger than the bound for it. */
  | "too-large"
  /** The wire's own time for it is over: a head or a body that trickles. */
  | "slow"
  /** Whoever asked for it wants it no more. */
  | "cancelled";

export interface Break {
  readonly why: BreakReason;
  /** What is known beyond the word, for logs: an error of a socket. */
  readonly cause?: unknown;
  /** The code of HTTP/2 that the peer gave (RST_STREAM, GOAWAY). */
  readonly code?: number | undefined;
}

/**
 * Who receives a message. Each of them is told `end` or `broken` once, and no `data` after it. Whoever is told `end` while the message that goes the other way
 * is under way may be told `broken` still: a client that has sent all of its request leaves. They must not throw.
 */
export interface Receiver {
  /** The chunk is the receiver's from now on. After a switch of protocols (101, or 2xx to CONNECT) it is the bytes of the other protocol. */
  data(chunk: Uint8Array): void;
  /** The message is complete. Without trailers the list is empty. */
  end(trailers: Fields): void;
  broken(why: Break): void;
  /** What is sent the other way may go on, after a `write` that gave false. */
  drained(): void;
}

/** One exchange over one connection or stream, seen from one end: a message goes out while another comes in. No method throws, and after the end each does nothing. */
export interface Stream {
  /** Sends a chunk. False: it was taken, and no more should come until `drained`. */
  write(chunk: Uint8Array): boolean;
  /** The message that goes out is complete. */
  end(trailers?: Fields): void;
  /** Breaks off both messages. The receiver is told nothing more. */
  reset(why: BreakReason): void;
  /** No more `data` until `resume`; the peer is slowed down by its window or its socket. */
  pause(): void;
  resume(): void;
}

/** What is known of the connection that a request came over. */
export interface Connection {
  /** `127.0.0.1`, `::1`; empty for a unix socket. */
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  /** It comes from this machine: loopback or a unix socket. */
  readonly local: boolean;
  /** How many requests it has brought, this one included. */
  readonly requests: number;
}

/** A request as it came in, and the way to answer it. */
export interface Exchange extends Stream {
  readonly version: "1.0" | "1.1" | "2";
  readonly head: RequestHead;
  /** Its target was a whole URL: the client takes us for its proxy. */
  readonly absolute: boolean;
  /** No body will come, so the receiver is told no more than a break. */
  readonly bodyless: boolean;
  readonly connection: Connection;
  /** Begins to give the body. Before it, nothing of it is read from the socket beyond what came with the head. Said once. */
  receive(receiver: Receiver): void;
  /** An interim response (100 to 199, not 101). */
  inform(head: ResponseHead): void;
  /**
   * The head of the response. `ended`: there is no body, and the response is complete. With 101, or 2xx to CONNECT, what follows in both directions are bytes
   * of the other protocol.
   */
  respond(head: ResponseHead, ended: boolean): void;
  /**
   * CONNECT only, and before `respond`: answers it with 200, and looks at the first bytes that come. HTTP in plaintext is served as further exchanges of this
   * connection, to the authority of this one unless their target is a whole URL; this exchange is over then, and its receiver is told nothing. Of anything
   * else, TLS above all, `opaque` is told, at once or later: then `respond` with 2xx lets the bytes through and sends no head, and with another status breaks
   * the connection, since its client has been told 200.
   */
  accept(fields: Fields, opaque: () => void): void;
}

/** Who receives the response to a request that was sent. */
export interface ResponseReceiver extends Receiver {
  /** A connection has taken the request: from now on a byte of it may have left. */
  connected(): void;
  inform(head: ResponseHead): void;
  /** The final head. `ended`: there is no body; `end` is not told. */
  head(head: ResponseHead, ended: boolean): void;
}

/** Where a request is sent. */
export interface Destination {
  /** Its origin: `http://10.0.0.1:8080`. */
  readonly origin: URL;
  /** In place of the origin's host and port: the path of a unix socket. */
  readonly socketPath?: string | undefined;
  /** What it is to be over plaintext; over TLS the two ends agree (ALPN). */
  readonly version: "1.1" | "2";
  /** For CONNECT: it is itself the other end. A plain connection to it is made, nothing of HTTP is said on it, and `head` tells 200 when it stands. */
  readonly tunnel?: boolean | undefined;
}

/** Whether an address must not be called: asked with what a name was resolved to, `127.0.0.1` or `::1`, or the path of a unix socket and port 0, before it is connected to. */
export type Forbidden = (address: string, port: number) => boolean;

/** Sends requests. */
export interface Upstreams {
  /**
   * Sends a request, over a connection that is there or is made. `ended`: it has no body. What goes wrong is told to the receiver, never at once and never by
   * throwing. The name of the peer, in TLS too, is the head's authority.
   */
  open(to: Destination, head: RequestHead, ended: boolean, receiver: ResponseReceiver): Stream;
  /** Lets requests under way end, what came of a switch of protocols too, and closes every connection. */
  close(): Promise<void>;
}

/** A server that brings requests. */
export interface Listener {
  /** `127.0.0.1:15001`, or `unix:/run/premesh.sock`. */
  readonly address: string;
  /** How many connections are open, and how many exchanges are under way. */
  count(): { readonly connections: number; readonly exchanges: number };
  /** Takes no more connections, and tells those that are there to go (GOAWAY, `Connection: close`). Resolves when the last of them is gone. */
  drain(): Promise<void>;
  /** Breaks every connection. */
  destroy(): void;
}
