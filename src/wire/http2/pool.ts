// Pool: the HTTP/2 connections to one origin, and the requests that wait for one.
import type { Deadlines } from "../deadlines.ts";
import { type Dial, type Dialling, ForbiddenAddress } from "../dial.ts";
import type { Limits } from "../limits.ts";

import type { Http2Request } from "./request.ts";
import { openSession, type UpstreamSession } from "./session.ts";

export interface Pool {
  /** Sends it over a connection that has room, or when one has. */
  send(request: Http2Request): void;
  /** A request waits no more. */
  readonly leave: (request: Http2Request) => void;
  /** Takes no more connections; those that are there go when their requests are over. */
  close(): void;
}

/** `emptied`: nothing is open, and nothing waits. */
export function newPool(dial: Dial, to: Dialling, limits: Limits, deadlines: Deadlines, emptied: () => void): Pool {
  /** Those that take requests. */
  const open = new Set<UpstreamSession>();
  const waiting = new Set<Http2Request>();
  /** Connections that are there, those included that take no more. */
  let alive = 0;
  let dialling = false;
  let closing = false;

  function free(): UpstreamSession | undefined {
    for (const session of open) if (session.room() > 0) return session;
    return undefined;
  }

  /** Those who wait go where there is room, in the order in which they came. */
  function serve(): void {
    for (const request of waiting) {
      const session = free();
      if (session === undefined) return connect();
      waiting.delete(request);
      request.begin(session);
    }
    check();
  }

  function check(): void {
    if (closing && waiting.size === 0) for (const session of open) session.close();
    if (alive === 0 && waiting.size === 0 && !dialling) emptied();
  }

  function connect(): void {
    if (dialling || alive >= limits.upstreamSessions) return;
    dialling = true;
    dial(to)
      .then(({ socket }) => {
        alive++;
        return openSession(socket, to.origin, limits, deadlines, { free: serve, going: (it) => open.delete(it), gone });
      })
      .then(
        (session) => {
          dialling = false;
          open.add(session);
          serve();
        },
        (error: unknown) => {
          dialling = false;
          const all = [...waiting];
          waiting.clear();
          for (const request of all) request.fail({ why: error instanceof ForbiddenAddress ? "forbidden" : "connect", cause: error });
          check();
        },
      );
  }

  function gone(): void {
    alive--;
    if (waiting.size > 0) connect();
    else check();
  }

  return {
    send: (request) => {
      const session = waiting.size === 0 ? free() : undefined;
      if (session !== undefined) return request.begin(session);
      waiting.add(request);
      connect();
    },
    leave: (request) => {
      waiting.delete(request);
      check();
    },
    close: () => {
      closing = true;
      check();
    },
  };
}
