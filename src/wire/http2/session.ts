// Session: one HTTP/2 connection to an upstream, and how much it takes.
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type ClientSessionRequestOptions,
  connect,
  type OutgoingHttpHeaders,
} from "node:http2";
import type { Socket } from "node:net";
import type { Break } from "../wire.ts";
import type { Http2Bounds } from "./bounds.ts";
import { NO_ERROR } from "./codes.ts";

export interface UpstreamSession {
  /** How many more streams it takes now. */
  room(): number;
  /** Takes a stream; only where there is room. Throws what node:http2 throws. */
  request(fields: OutgoingHttpHeaders, options: ClientSessionRequestOptions): ClientHttp2Stream;
  reset(stream: ClientHttp2Stream, code: number): void;
  /** A stream is gone. */
  left(): void;
  /** Why a stream is gone that the connection took along. */
  lost(id: number): Break | undefined;
  /** Takes no more, and goes when its streams are over. */
  close(): void;
  destroy(): void;
}

export interface SessionEvents {
  /** There is room again. */
  free(): void;
  /** It takes no more. */
  going(session: UpstreamSession): void;
  gone(): void;
}

/** Begins HTTP/2 on a connection. Settles when the peer has sent its SETTINGS: before, nobody knows that it speaks HTTP/2, nor how much it takes. */
export function openSession(
  socket: Socket,
  origin: URL,
  bounds: Http2Bounds,
  connectMs: number,
  on: SessionEvents,
): Promise<UpstreamSession> {
  const { promise, resolve, reject } = Promise.withResolvers<UpstreamSession>();
  const options = {
    createConnection: () => socket,
    maxSessionMemory: bounds.sessionMemoryMb,
    maxHeaderListPairs: bounds.maxHeaderPairs,
    maxSendHeaderBlockLength: bounds.maxSendHeaderBytes,
    strictSingleValueFields: false, // what it thinks single is passed on as it came; the types do not know it
    settings: { enablePush: false, initialWindowSize: bounds.streamWindow, maxHeaderListSize: bounds.maxHeaderListSize },
  };
  const session: ClientHttp2Session = connect(origin, options);
  session.setLocalWindowSize(bounds.connectionWindow);
  let active = 0;
  let limit = 0;
  let going = false;
  let stands = false;
  let lastId = Number.POSITIVE_INFINITY;
  let goawayCode: number | undefined;
  let failure: Error | undefined;

  const late = setTimeout(() => {
    failure = new Error(`no SETTINGS in ${connectMs} ms`);
    session.destroy();
  }, connectMs);

  function go(): void {
    if (going) return;
    going = true;
    on.going(it);
  }

  session.on("error", (error) => (failure ??= error));
  session.on("goaway", (code, id) => {
    lastId = Math.min(lastId, id);
    if (code !== NO_ERROR) goawayCode = code;
    go();
  });
  session.on("remoteSettings", ({ maxConcurrentStreams = bounds.upstreamStreams }) => {
    limit = Math.min(maxConcurrentStreams, bounds.upstreamStreams);
    if (stands) return on.free();
    stands = true;
    clearTimeout(late);
    resolve(it);
  });
  session.on("close", () => {
    clearTimeout(late);
    go();
    on.gone();
    reject(failure ?? new Error("the connection was closed before it spoke HTTP/2")); // nothing, where it stood
  });

  const it: UpstreamSession = {
    room: () => (going || session.closed || session.destroyed ? 0 : limit - active),
    request: (fields, how) => {
      const stream = session.request(fields, how);
      active++;
      return stream;
    },
    reset: (stream, code) => stream.close(code),
    left: () => {
      active--;
      if (!going) on.free();
    },
    lost: (id) => {
      if (id > lastId) return { why: "refused", code: goawayCode, cause: failure };
      return session.destroyed ? { why: "reset", code: goawayCode, cause: failure } : undefined;
    },
    close: () => {
      go();
      session.close();
    },
    destroy: () => {
      go();
      session.destroy();
    },
  };
  return promise;
}
