// Server: a connection that speaks HTTP/2, as the exchanges that it brings.
import { performServerHandshake, type ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import type { Waiting } from "../deadlines.ts";
import type { Counted, Host, Served } from "../serve.ts";
import { newAllowance } from "./allowance.ts";
import { ENHANCE_YOUR_CALM, PROTOCOL_ERROR, REFUSED_STREAM } from "./codes.ts";
import { type ExchangeBounds, Http2Exchange } from "./exchange.ts";
import { requestHead } from "./fields.ts";
import { nodeOptions, tame } from "./node.ts";

/** Serves a connection. `first`: bytes that were read from it already. */
export function serveHttp2(socket: Socket, first: Buffer, host: Host, connection: Counted): Served {
  const { limits, deadlines } = host;
  socket.pause();
  socket.unshift(first);
  const session = performServerHandshake(
    socket,
    nodeOptions(limits, { maxConcurrentStreams: limits.streams, enableConnectProtocol: true }),
  );
  const streamGone = tame(session);
  session.setLocalWindowSize(limits.connectionWindow);
  const resets = newAllowance(limits.resets, deadlines);
  const pings = newAllowance(limits.pings, deadlines);
  const settings = newAllowance(limits.settings, deadlines);
  const bounds: ExchangeBounds = { limits, deadlines, lost: () => session.destroyed };
  let open = 0;

  /** While no stream is open. */
  const idle: Waiting = { dueAt: deadlines.after(limits.idleMs), late: () => leave() };

  function leave(): void {
    if (session.closed) socket.destroy(); // it was told to go, and does not
    else session.close();
    idle.dueAt = open === 0 ? deadlines.after(limits.lingerMs) : Infinity;
  }

  function calm(what: string): void {
    host.refused(0, connection);
    session.destroy(new Error(`Too many ${what}`), ENHANCE_YOUR_CALM);
  }

  function ended(code: number, hasty: boolean): void {
    const blamed = streamGone(code);
    host.ended();
    open--;
    if (open === 0) idle.dueAt = deadlines.after(session.closed ? limits.lingerMs : limits.idleMs);
    if ((hasty || blamed) && !resets.spend()) calm("resets");
  }

  function refuse(stream: ServerHttp2Stream, status: 0 | 400 | 431): void {
    host.refused(status, connection);
    stream.on("error", () => undefined);
    if (stream.closed || stream.destroyed) return;
    if (status === 431) stream.respond({ ":status": status }, { endStream: true });
    else stream.close(status === 0 ? REFUSED_STREAM : PROTOCOL_ERROR);
  }

  deadlines.add(idle);
  session.on("error", () => undefined); // its end is what counts
  session.on("close", () => deadlines.remove(idle));
  session.on("ping", () => {
    if (!pings.spend()) calm("PINGs");
  });
  session.on("remoteSettings", () => {
    if (!settings.spend()) calm("SETTINGS");
  });
  session.on("stream", (stream, _headers, _flags, list) => {
    if (open >= limits.streams) return refuse(stream, 0); // a client that has not acknowledged our SETTINGS
    const head = requestHead(list, limits.headBytes);
    if (head === "too large") return refuse(stream, 431);
    if (typeof head === "string") return refuse(stream, 400);
    open++;
    idle.dueAt = Infinity;
    connection.requests++;
    host.begun();
    host.exchange(new Http2Exchange(stream, head, connection, bounds, ended));
  });
  socket.on("end", () => socket.destroy()); // half of a connection is none
  if (host.draining) leave();
  return { drain: leave };
}
