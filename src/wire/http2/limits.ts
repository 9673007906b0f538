// Limits: the bounds that only HTTP/2 has, each with its default.

export interface Http2Limits {
  /** Streams that a client may have open on one connection. Default: 512. */
  readonly streams: number;
  /**
   * Bytes that a peer may send on a stream before any of them is read; times `streams` is what a connection can make us hold. Default:
   * 128 KiB and some: servers of Node's reset a stream whose last byte uses the window up (NO_ERROR, without END_STREAM), and bodies of round sizes would.
   */
  readonly streamWindow: number;
  /** The same for a connection. It is given back as bytes come, so that no stream waits for another. Default: 16 MiB. */
  readonly connectionWindow: number;
  /** Streams on one connection to an upstream, where the upstream allows as many. Default: 512. */
  readonly upstreamStreams: number;
  /** Connections to one upstream; further requests wait. Default: 64. */
  readonly upstreamSessions: number;
  /** Streams that a client may reset before it has an answer and at once, as an attack does: so many, and so many more each second. Default: 200 and 100. */
  readonly resets: Rate;
  /** PINGs of a client. Default: 500 and 500: clients that measure their bandwidth send one for each round trip. */
  readonly pings: Rate;
  /** SETTINGS of a client. Default: 50 and 1. */
  readonly settings: Rate;
  /** Frames of a peer that bring nothing: DATA without data, PRIORITY, unknown ones, those of streams that are over. Default: 1,000 and 200. */
  readonly idleFrames: Rate;
  /** CONTINUATIONs of one head. Default: 64. */
  readonly continuations: number;
  /** Bytes that wait for a peer which takes nothing, before nothing more is read from it. Default: 1 MiB. */
  readonly waitingBytes: number;
  /**
   * Streams that are reset on one connection to an upstream. Beyond it new requests go over another one, and what is given up on the old one is only read no
   * more: many servers end a connection with too many resets, and with it the calls of others. Default: 100 and 3, below what Netty (200 in 30 s) and Node (1,000, and
   * 33 each second) bear.
   */
  readonly upstreamResets: Rate;
}

/** So many at once, and so many more each second. */
export interface Rate {
  readonly burst: number;
  readonly perSecond: number;
}

export const defaultHttp2Limits: Http2Limits = {
  streams: 512,
  streamWindow: 128 * 1024 + 357,
  connectionWindow: 16 * 1024 * 1024,
  upstreamStreams: 512,
  upstreamSessions: 64,
  resets: { burst: 200, perSecond: 100 },
  pings: { burst: 500, perSecond: 500 },
  settings: { burst: 50, perSecond: 1 },
  idleFrames: { burst: 1_000, perSecond: 200 },
  continuations: 64,
  waitingBytes: 1024 * 1024,
  upstreamResets: { burst: 100, perSecond: 3 },
};
