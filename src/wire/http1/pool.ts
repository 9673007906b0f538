// Pool: the connections to one upstream over HTTP/1.1, and the requests that wait for one.
import type { Socket } from "node:net";
import { ForbiddenAddress } from "../dial.ts";
import type { Deadlines } from "../deadlines.ts";
import type { Limits } from "../limits.ts";
import type { Attempt } from "./attempt.ts";
import { newHttp1Client } from "./client.ts";
import type { Http1Client, Http1Owner } from "./member.ts";

/** Makes a connection. What it rejects with says why there is none. */
export type Connect = () => Promise<Socket>;

export interface Http1Pool {
  open(attempt: Attempt): void;
  /** Lets what is under way end. */
  close(): void;
}

/** `emptied`: there is neither a connection nor a request left. */
export function newHttp1Pool(connect: Connect, limits: Limits, deadlines: Deadlines, emptied: () => void): Http1Pool {
  const idle: Http1Client[] = [];
  /** In the order in which they came. */
  const queue = new Set<Attempt>();
  /** Connections that are being made. */
  let coming = 0;
  let open = 0;
  let closing = false;

  const owner: Http1Owner = {
    limits,
    deadlines,
    idle(client) {
      const [next] = queue;
      if (next !== undefined) {
        queue.delete(next);
        client.send(next);
      } else if (closing) client.close();
      else idle.push(client);
    },
    gone(client) {
      open--;
      const at = idle.lastIndexOf(client);
      if (at !== -1) idle.splice(at, 1);
      grow();
      check();
    },
  };

  function check(): void {
    if (open === 0 && coming === 0 && queue.size === 0) emptied();
  }

  /** As many connections are on their way as requests wait, within the bound. */
  function grow(): void {
    while (coming < queue.size && open + coming < limits.upstreamConnections) make();
  }

  function make(): void {
    coming++;
    connect().then(
      (socket) => {
        coming--;
        open++;
        owner.idle(newHttp1Client(socket, owner));
      },
      (cause: unknown) => {
        coming--;
        // The oldest, unless a connection that is still on its way is for it.
        const [next] = queue;
        if (next !== undefined && queue.size > coming) {
          queue.delete(next);
          next.over = true;
          next.receiver.broken({ why: cause instanceof ForbiddenAddress ? "forbidden" : "connect", cause });
        }
        check();
      },
    );
  }

  return {
    open(attempt) {
      const client = idle.pop();
      if (client !== undefined) {
        queueMicrotask(() => {
          if (attempt.over) owner.idle(client);
          else client.send(attempt);
        });
        return;
      }
      queue.add(attempt);
      attempt.leave = () => {
        queue.delete(attempt);
        check();
      };
      grow();
    },
    close() {
      closing = true;
      for (const client of idle.splice(0)) client.close();
      check();
    },
  };
}
