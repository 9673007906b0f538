// Upstreams over HTTP/1.1: a pool of connections for each of them.
import type { Deadlines } from "../deadlines.ts";
import type { Dial } from "../dial.ts";
import type { Limits } from "../limits.ts";
import type { Destination, RequestHead, Upstreams } from "../wire.ts";
import { Attempt } from "./attempt.ts";
import { newHttp1Pool, type Http1Pool } from "./pool.ts";
import { newStanding } from "./standing.ts";
import { newTunnels } from "./tunnels.ts";

export function newHttp1Upstreams(dial: Dial, limits: Limits, deadlines: Deadlines): Upstreams {
  const pools = new Map<string, Http1Pool>();
  const standing = newStanding(dial);
  const closed = Promise.withResolvers<void>();
  let closing = false;

  function poolOf({ origin, socketPath }: Destination, { authority }: RequestHead): Http1Pool {
    // Over TLS a connection is for one name.
    const name = origin.protocol === "https:" ? authority : "";
    const key = socketPath === undefined && name === "" ? origin.href : `${socketPath ?? ""} ${name} ${origin.href}`;
    const known = pools.get(key);
    if (known !== undefined) return known;
    const to = { origin, socketPath, name, protocols: ["http/1.1"], halfOpen: true } as const;
    const pool = newHttp1Pool(
      async () => (await standing.dial(to)).socket,
      limits,
      deadlines,
      () => {
        if (pools.get(key) === pool) pools.delete(key);
        if (closing && pools.size === 0) closed.resolve();
      },
    );
    pools.set(key, pool);
    return pool;
  }

  const tunnels = newTunnels(standing.dial, limits, deadlines);

  return {
    open(to, head, ended, receiver) {
      const attempt = new Attempt(head, ended, receiver);
      if (!closing && to.tunnel === true) tunnels.open(to, attempt);
      else if (!closing) poolOf(to, head).open(attempt);
      else {
        queueMicrotask(() => {
          if (!attempt.over) receiver.broken({ why: "connect", cause: new Error("No more requests are sent: it is closing") });
          attempt.over = true;
        });
      }
      return attempt;
    },
    async close() {
      closing = true;
      for (const pool of pools.values()) pool.close();
      if (pools.size === 0) closed.resolve();
      await closed.promise;
      await standing.gone();
    },
  };
}
