// Server: connections that speak HTTP/2, as the exchanges that they bring.
import { performServerHandshake, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import type { Connection, Exchange } from "../wire.ts";
import { PROTOCOL_ERROR } from "./codes.ts";
import { Http2Exchange } from "./exchange.ts";
import { requestHead } from "./fields.ts";
import { DEFAULT_BOUNDS, type Http2Bounds } from "./bounds.ts";

export interface Http2Server {
  /** A connection that begins with HTTP/2's preface; what was read of it is put back into the socket. */
  take(socket: Socket): void;
  count(): { readonly connections: number; readonly exchanges: number };
  /** GOAWAY to every connection; resolves when the last of them is gone. */
  drain(): Promise<void>;
  destroy(): void;
}

export function newHttp2Server(received: (exchange: Exchange) => void, bounds: Http2Bounds = DEFAULT_BOUNDS): Http2Server {
  const sessions = new Set<ServerHttp2Session>();
  let exchanges = 0;
  let draining = false;
  let drained: (() => void) | undefined;
  const ended = (): void => {
    exchanges--;
  };

  function take(socket: Socket): void {
    const session = performServerHandshake(socket, {
      maxSessionMemory: bounds.sessionMemoryMb,
      streamResetBurst: NEVER,
      streamResetRate: NEVER,
      strictSingleValueFields: false,
      settings: {
        enablePush: false,
        enableConnectProtocol: true,
        initialWindowSize: bounds.streamWindow,
        maxConcurrentStreams: bounds.maxConcurrentStreams,
        maxHeaderListSize: bounds.maxHeaderListSize,
      },
    });
    sessions.add(session);
    session.setLocalWindowSize(bounds.connectionWindow);
    const known = connectionOf(socket);
    let requests = 0;
    session.on("error", () => undefined); // its end is what counts
    session.on("close", () => {
      sessions.delete(session);
      if (sessions.size === 0) drained?.();
    });
    session.on("stream", (stream, _headers, _flags, list) => {
      const head = requestHead(list);
      if (typeof head === "string") return refuse(stream);
      exchanges++;
      received(new Http2Exchange(stream, head, { ...known, requests: ++requests }, ended));
    });
    if (draining) session.close();
  }

  return {
    take,
    count: () => ({ connections: sessions.size, exchanges }),
    drain: () => {
      draining = true;
      const { promise, resolve } = Promise.withResolvers<void>();
      drained = resolve;
      for (const session of sessions) session.close();
      if (sessions.size === 0) resolve();
      return promise;
    },
    destroy: () => {
      for (const session of sessions) session.destroy();
    },
  };
}

/** Node's own limit ends a connection with INTERNAL_ERROR; ours is in its place. */
const NEVER = 1_000_000;

function refuse(stream: ServerHttp2Stream): void {
  stream.on("error", () => undefined);
  stream.close(PROTOCOL_ERROR);
}

function connectionOf({ remoteAddress = "", remotePort = 0, localAddress = "", localPort = 0 }: Socket): Omit<Connection, "requests"> {
  const local = remoteAddress === "" || remoteAddress === "::1" || /^(?:::ffff:)?127\./.test(remoteAddress);
  return { remoteAddress, remotePort, localAddress, localPort, local };
}
