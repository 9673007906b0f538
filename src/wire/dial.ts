// Dial: makes a connection to an upstream, with TLS where its origin says so.
import { lookup } from "node:dns";
import { connect as connectTcp, isIP, type LookupFunction, type Socket } from "node:net";
import { checkServerIdentity, type ConnectionOptions, connect as connectTls } from "node:tls";
import type { Forbidden } from "./wire.ts";

/** What the certificates of upstreams are checked with, and what is shown to them, by Node's names. `ca` stands in place of Node's own list. */
export type UpstreamTls = Pick<
  ConnectionOptions,
  "ca" | "cert" | "key" | "passphrase" | "minVersion" | "maxVersion" | "ciphers" | "rejectUnauthorized"
>;

export interface Dialling {
  readonly origin: URL;
  /** In place of the origin's host and port. */
  readonly socketPath?: string | undefined;
  /** What its certificate must be for, with or without a port: the authority of what is asked. */
  readonly name: string;
  /** What is offered over TLS (ALPN), best first. */
  readonly protocols: readonly ("h2" | "http/1.1")[];
  /** Our side stays open when the peer has ended its own: tunnels. Default: false. */
  readonly halfOpen?: boolean | undefined;
}

export interface Dialled {
  readonly socket: Socket;
  /** What was agreed on over TLS; `undefined`: nothing, or there is no TLS. */
  readonly protocol: string | undefined;
}

export interface DialOptions {
  readonly tls?: UpstreamTls | undefined;
  readonly forbidden?: Forbidden | undefined;
  /** Until the connection stands, TLS included, in milliseconds. */
  readonly connectMs: number;
}

/** Makes a connection. The socket is the caller's, who listens to its errors; one that does not come to stand is destroyed, and what is thrown says why. */
export type Dial = (to: Dialling) => Promise<Dialled>;

/** The address is one that must not be called. A class, so that it can be told from what a socket says. */
export class ForbiddenAddress extends Error {}

export function newDial({ tls, forbidden = () => false, connectMs }: DialOptions): Dial {
  return ({ origin, socketPath, name, protocols, halfOpen = false }) => {
    const secure = origin.protocol === "https:";
    const port = Number(origin.port === "" ? (secure ? 443 : 80) : origin.port);
    const host = bare(origin.hostname);
    const literal = socketPath ?? (isIP(host) === 0 ? undefined : host);
    if (literal !== undefined && forbidden(literal, socketPath === undefined ? port : 0))
      return Promise.reject(new ForbiddenAddress(`${literal} must not be called`));
    const { promise, resolve, reject } = Promise.withResolvers<Dialled>();
    const at = {
      ...(socketPath === undefined ? { host, port, lookup: allowed(forbidden, port) } : { path: socketPath }),
      allowHalfOpen: halfOpen,
    };
    const called = bare(name.replace(/:\d*$/, ""));
    const socket = secure
      ? connectTls({
          ...tls,
          ...at,
          ALPNProtocols: [...protocols],
          ...(isIP(called) === 0 && { servername: called }),
          checkServerIdentity: (_host, certificate) => checkServerIdentity(called, certificate),
        })
      : connectTcp(at);
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    const failed = (error: Error): void => {
      over();
      socket.on("error", () => undefined);
      socket.destroy();
      reject(error);
    };
    const closed = (): void => failed(new Error("the connection was closed before it stood"));
    const late = setTimeout(() => failed(new Error(`no connection in ${connectMs} ms`)), connectMs);
    const stands = (): void => {
      over();
      const agreed = "alpnProtocol" in socket ? socket.alpnProtocol : undefined;
      resolve({ socket, protocol: typeof agreed === "string" ? agreed : undefined });
    };
    const event = secure ? "secureConnect" : "connect";
    function over(): void {
      clearTimeout(late);
      socket.off("error", failed).off("close", closed).off(event, stands);
    }
    socket.once("error", failed).once("close", closed).once(event, stands);
    return promise;
  };
}

/** Finds a peer that is gone without a word. */
const KEEP_ALIVE_MS = 30_000;

const bare = (host: string): string => host.replace(/^\[|\]$/g, "");

/** Node's own look-up, without the addresses that must not be called. */
function allowed(forbidden: Forbidden, port: number): LookupFunction {
  return (host, options, done) => {
    lookup(host, { ...options, all: true }, (error, found) => {
      if (error !== null) return done(error, []);
      const open = found.filter(({ address }) => !forbidden(address, port));
      const [first] = open;
      if (first === undefined) return done(new ForbiddenAddress(`${host} is at an address that must not be called`), []);
      if (options.all === true) done(null, open);
      else done(null, first.address, first.family);
    });
  };
}
