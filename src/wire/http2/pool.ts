// Pool: the HTTP/2 connections to one origin, and the requests that wait for one.
import type { Deadlines } from "../deadlines.ts";
import { type Dial, type Dialling, ForbiddenAddress } from "../dial.ts";
import type { Limits } from "../limits.ts";
import type { Break } from "../wire.ts";
import type { Http2Request, Waiters } from "./request.ts";
import { type LinkEvents, openLink, type UpstreamLink } from "./upstream-link.ts";

export interface Pool extends Waiters {
  /** Sends it over a connection that has room, or when one has. */
  send(request: Http2Request): void;
  /** Takes no more connections; those that are there go when their requests are over. */
  close(): void;
}

/** `emptied`: nothing is open, and nothing waits. */
export function newPool(dial: Dial, to: Dialling, limits: Limits, deadlines: Deadlines, emptied: () => void): Pool {
  /** Those that take requests. */
  const open = new Set<UpstreamLink>();
  const waiting = new Set<Http2Request>();
  /** Connections that are there, those included that take no more. */
  let alive = 0;
  let dialling = false;
  let closing = false;

  function free(): UpstreamLink | undefined {
    for (const link of open) if (link.room() > 0) return link;
    return undefined;
  }

  const isEmpty = (): boolean => alive === 0 && waiting.size === 0 && !dialling;

  /** Those who wait go where there is room, in the order in which they came. */
  function serve(): void {
    for (const request of waiting) {
      const link = free();
      if (link === undefined) return connect();
      waiting.delete(request);
      request.begin(link);
    }
    check();
  }

  function check(): void {
    if (closing && waiting.size === 0) for (const link of open) link.leaveOff();
    if (!isEmpty()) return;
    // later, as what was begun on a connection that has gone at this moment comes back
    queueMicrotask(() => {
      if (isEmpty()) emptied();
    });
  }

  function connect(): void {
    if (dialling || alive >= limits.upstreamSessions) return;
    dialling = true;
    dial(to).then(
      ({ socket }) => {
        alive++;
        openLink(socket, limits, deadlines, on);
      },
      (error: unknown) => failed({ why: error instanceof ForbiddenAddress ? "forbidden" : "connect", cause: error }),
    );
  }

  /** There is no connection. */
  function failed(why: Break): void {
    dialling = false;
    const all = [...waiting];
    waiting.clear();
    for (const request of all) request.fail(why);
    check();
  }

  const on: LinkEvents = {
    stands: (link) => {
      dialling = false;
      open.add(link);
      serve();
    },
    free: serve,
    going: (link) => open.delete(link),
    gone: (link, { cause }) => {
      alive--;
      if (!link.stood) failed({ why: "connect", cause: cause ?? new Error("the connection was closed before it spoke HTTP/2") });
      else if (waiting.size > 0) connect();
      else check();
    },
  };

  function send(request: Http2Request): void {
    const link = waiting.size === 0 ? free() : undefined;
    if (link !== undefined) return request.begin(link);
    waiting.add(request);
    connect();
  }

  return {
    send,
    again: send,
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
