// Session: one HTTP/2 connection to an upstream, and how much it takes.
import { type ClientHttp2Stream, type ClientSessionRequestOptions, connect } from "node:http2";
import type { Socket } from "node:net";
import type { Deadlines, Waiting } from "../deadlines.ts";
import type { Limits } from "../limits.ts";
import type { Break } from "../wire.ts";
import { newAllowance } from "./allowance.ts";
import { isGarbage, NO_ERROR } from "./codes.ts";
import { nodeOptions, tame } from "./node.ts";

export interface UpstreamSession {
  /** How many more streams it takes now. */
  room(): number;
  /** Takes a stream; only where there is room. Throws what node:http2 throws. */
  request(list: readonly string[], how: ClientSessionRequestOptions): ClientHttp2Stream;
  /** Gives a stream up. False: the peer is not told, since it has been told too often. */
  reset(stream: ClientHttp2Stream, code: number): boolean;
  /** A stream is gone. */
  left(stream: ClientHttp2Stream): void;
  /** Why a stream is gone that the connection took along; `cause`: what the stream was told. */
  lost(id: number, cause: unknown): Break | undefined;
  /** Takes no more, and goes when its streams are over. */
  close(): void;
}

export interface SessionEvents {
  /** There is room again. */
  free(): void;
  /** It takes no more. */
  going(session: UpstreamSession): void;
  gone(): void;
}

/** How often the peer is told of some of what was given up. */
const RETELL_MS = 1_000;

/** Begins HTTP/2 on a connection. Settles when the peer has sent its SETTINGS: before, nobody knows that it speaks HTTP/2, nor how much it takes. */
export function openSession(
  socket: Socket,
  origin: URL,
  limits: Limits,
  deadlines: Deadlines,
  on: SessionEvents,
): Promise<UpstreamSession> {
  const { promise, resolve, reject } = Promise.withResolvers<UpstreamSession>();
  const session = connect(origin, { ...nodeOptions(limits, {}), createConnection: () => socket });
  const streamGone = tame(session);
  session.setLocalWindowSize(limits.connectionWindow);
  const resets = newAllowance(limits.upstreamResets, deadlines);
  let active = 0;
  /** Streams among them that were given up without the peer being told, and the code that it is told when it can be. */
  const parted = new Map<ClientHttp2Stream, number>();
  let limit = 0;
  let going = false;
  let stands = false;
  let unanswered = false;
  let lastId = Number.POSITIVE_INFINITY;
  let goawayCode: number | undefined;
  let failure: Error | undefined;

  /** For SETTINGS; later for work, to tell the peer what was given up, or for it to close. */
  const waiting: Waiting = { dueAt: deadlines.after(limits.connectMs), late };

  function late(): void {
    if (!stands) {
      failure = new Error(`no SETTINGS in ${limits.connectMs} ms`);
      session.destroy();
    } else if (parted.size > 0) {
      for (const [stream, code] of parted) {
        if (!resets.spend()) break;
        parted.delete(stream);
        stream.close(code);
      }
      wait();
    } else if (active > 0) probe();
    else if (session.closed) socket.destroy();
    else it.close();
  }

  /** After a GOAWAY node:http2 may hear nothing more of its peer, its end neither: a PING that is not answered tells. */
  function probe(): void {
    if (session.destroyed) return;
    if (unanswered) {
      failure = new Error("The peer is going, and answers no PING");
      session.destroy();
      return;
    }
    unanswered = true;
    session.ping((error) => {
      if (error === null) unanswered = false;
    });
    wait();
  }

  function wait(): void {
    const ms = parted.size > 0 ? RETELL_MS : active > 0 ? (going ? limits.connectMs : Infinity) : going ? limits.lingerMs : limits.idleMs;
    waiting.dueAt = ms === Infinity ? ms : deadlines.after(ms);
  }

  function go(): void {
    if (going) return;
    going = true;
    on.going(it);
    if (stands) wait();
  }

  /**
   * Ends it when nobody waits for anything on it any more. Not before: node:http2's `close` would send its GOAWAY ahead of requests that were made in the same
   * turn, and the peer would refuse them.
   */
  function end(): void {
    if (active === 0) session.close();
    else if (active === parted.size) session.destroy(undefined, NO_ERROR);
    wait();
  }

  deadlines.add(waiting);
  session.on("error", (error) => (failure ??= error));
  session.on("goaway", (code, id) => {
    lastId = Math.min(lastId, id);
    if (code !== NO_ERROR) goawayCode = code;
    go();
  });
  session.on("remoteSettings", ({ maxConcurrentStreams = limits.upstreamStreams }) => {
    limit = Math.min(maxConcurrentStreams, limits.upstreamStreams);
    if (stands) return on.free();
    stands = true;
    wait();
    resolve(it);
  });
  session.on("close", () => {
    deadlines.remove(waiting);
    go();
    on.gone();
    reject(failure ?? new Error("the connection was closed before it spoke HTTP/2")); // nothing, where it stood
  });
  socket.on("end", () => socket.destroy()); // half of a connection is none

  const it: UpstreamSession = {
    room: () => (going || session.closed || session.destroyed ? 0 : limit - active),
    request: (list, how) => {
      const stream = session.request(list, how);
      active++;
      wait();
      return stream;
    },
    reset: (stream, code) => {
      if (resets.spend()) {
        stream.close(code);
        return true;
      }
      parted.set(stream, code);
      it.close();
      return false;
    },
    left: (stream) => {
      streamGone(stream.rstCode);
      active--;
      parted.delete(stream);
      wait();
      if (going) end();
      else on.free();
    },
    lost: (id, cause) => {
      if (id > lastId) return { why: "refused", code: goawayCode, cause: failure ?? cause };
      if (!session.destroyed) return undefined;
      return { why: isGarbage(failure ?? cause) ? "protocol" : "reset", code: goawayCode, cause: failure ?? cause };
    },
    close: () => {
      go();
      end();
    },
  };
  return promise;
}
