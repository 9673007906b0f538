// Bounds: what a connection of HTTP/2 may take of us.

export interface Http2Bounds {
  /** How many streams a connection may have open. */
  readonly maxConcurrentStreams: number;
  /** Bytes of a message that a peer may send before they are read. */
  readonly streamWindow: number;
  /** The same for a connection; it is open whenever its streams are. */
  readonly connectionWindow: number;
  /** Bytes of a header list, by RFC 9113's measure (6.5.2). */
  readonly maxHeaderListSize: number;
  /** Fields of a header list, those with a colon included. */
  readonly maxHeaderPairs: number;
  /** Bytes of a header list that we send. */
  readonly maxSendHeaderBytes: number;
  /** How many streams are sent over one connection to an upstream, at most: fewer where it says so. */
  readonly upstreamStreams: number;
  /** How many connections there are to one upstream. */
  readonly upstreamSessions: number;
  /** What Node may hold for a connection, in megabytes: above what the windows let come. */
  readonly sessionMemoryMb: number;
}

export const DEFAULT_BOUNDS: Http2Bounds = {
  maxConcurrentStreams: 512,
  streamWindow: 128 << 10,
  connectionWindow: 16 << 20,
  maxHeaderListSize: 64 << 10,
  maxHeaderPairs: 128,
  maxSendHeaderBytes: 256 << 10,
  upstreamStreams: 512,
  upstreamSessions: 64,
  sessionMemoryMb: 256,
};
