// Listen: a server that takes HTTP/1.1 and HTTP/2 with prior knowledge on one port or socket.
import { createServer, type Server, type Socket } from "node:net";
import { addressOf, clearStale, listenAtPath, parseAddress } from "./address.ts";
import { newDeadlines, type WireClock } from "./deadlines.ts";
import { serveHttp1 } from "./http1/server.ts";
import { serveHttp2 } from "./http2/server.ts";
import { defaultLimits, type Limits } from "./limits.ts";
import type { Counted, Host, Served } from "./serve.ts";
import { NO_FIELDS, type Connection, type Exchange, type Fields, type Listener } from "./wire.ts";

export interface ListenOptions {
  /** Takes each request. It must not throw. */
  readonly exchange: (exchange: Exchange) => void;
  readonly limits?: Partial<Limits> | undefined;
  readonly clock?: WireClock | undefined;
  /** What came was refused, with this status (0: HTTP/2 has none for it), and was no exchange or is none any more. */
  readonly refused?: ((status: number, connection: Connection) => void) | undefined;
  /** Fields of every answer by which the wire itself refuses a request over HTTP/1.1: who says so. Default: none. */
  readonly refusalFields?: Fields | undefined;
  /** A listening socket that another process has handed over: it is used in place of the address. */
  readonly fd?: number | undefined;
  /** Others may listen on the same port. Default: false. */
  readonly reusePort?: boolean | undefined;
  /** The mode of a unix socket's file. Default: 0o600. */
  readonly mode?: number | undefined;
}

/** What a connection of HTTP/2 begins with (RFC 9113 3.4). No method of HTTP/1.1 has this name. */
const PREFACE = Buffer.from("PRI *");

const isLoopback = (address: string): boolean => /^(?:127\.|::1$|::ffff:127\.)/.test(address);

function connectionOf(socket: Socket): Counted {
  const { remoteAddress = "", remotePort = 0, localAddress = "", localPort = 0 } = socket;
  return { remoteAddress, remotePort, localAddress, localPort, local: remoteAddress === "" || isLoopback(remoteAddress), requests: 0 };
}

async function begin(server: Server, text: string, { fd, reusePort = false, mode = 0o600 }: ListenOptions): Promise<void> {
  const address = parseAddress(text);
  if (fd === undefined && "path" in address) await clearStale(address.path);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).once("listening", () => {
      server.removeListener("error", reject);
      resolve();
    });
    if (fd !== undefined) server.listen({ fd });
    else if ("path" in address) listenAtPath(server, address.path, mode);
    else server.listen({ ...address, reusePort });
  });
}

/** Listens. Rejects when it cannot: the address is none, is in use, or is not allowed. */
export async function listen(address: string, options: ListenOptions): Promise<Listener> {
  const limits = { ...defaultLimits, ...options.limits };
  const deadlines = newDeadlines(options.clock);
  const connections = new Map<Socket, Served>();
  const gone = Promise.withResolvers<void>();
  let exchanges = 0;

  const host: Host & { draining: boolean } = {
    limits,
    deadlines,
    draining: false,
    exchange: options.exchange,
    refusalFields: options.refusalFields ?? NO_FIELDS,
    serve: (protocol, pipe, first, connection, authority) =>
      protocol === "http2" ? serveHttp2(pipe, first, host, connection) : serveHttp1(pipe, first, host, connection, authority),
    begun: () => void exchanges++,
    ended: () => void exchanges--,
    refused: (status: number, connection: Connection) => options.refused?.(status, connection),
  };

  /** Finds out by its first bytes what a connection speaks. */
  function sniff(socket: Socket): Served {
    let first: Buffer | undefined;
    const waiting = { dueAt: deadlines.after(limits.headMs), late: () => void socket.destroy() };
    deadlines.add(waiting);
    const read = (chunk: Buffer): void => {
      first = first === undefined ? chunk : Buffer.concat([first, chunk]);
      const isHttp2 = first.subarray(0, PREFACE.length).equals(PREFACE.subarray(0, first.length));
      if (isHttp2 && first.length < PREFACE.length) return;
      unlisten();
      const serve = isHttp2 ? serveHttp2 : serveHttp1;
      connections.set(socket, serve(socket, first, host, connectionOf(socket)));
    };
    const ended = (): void => void socket.destroy();
    const unlisten = (): void => {
      deadlines.remove(waiting);
      socket.removeListener("data", read).removeListener("end", ended);
    };
    socket.on("data", read).on("end", ended).once("close", unlisten);
    return { drain: () => void (waiting.dueAt = Math.min(waiting.dueAt, deadlines.after(limits.leaveMs))) };
  }

  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    if (connections.size >= limits.connections) {
      socket.destroy();
      return;
    }
    socket.on("error", () => undefined); // its close follows
    socket.once("close", () => {
      connections.delete(socket);
      if (host.draining && connections.size === 0) gone.resolve();
    });
    connections.set(socket, sniff(socket));
  });
  await begin(server, address, options);
  server.on("error", () => undefined); // a connection that could not be accepted: the others go on

  function close(): void {
    host.draining = true;
    server.close();
    if (connections.size === 0) gone.resolve();
  }

  return {
    address: addressOf(server),
    count: () => ({ connections: connections.size, exchanges }),
    drain() {
      close();
      for (const served of connections.values()) served.drain();
      return gone.promise;
    },
    destroy() {
      close();
      for (const socket of connections.keys()) socket.destroy();
    },
  };
}
