// Client: sends requests over HTTP/2, over connections that are shared by all that go to the same origin.
import type { Deadlines } from "../deadlines.ts";
import type { Dial } from "../dial.ts";
import type { Limits } from "../limits.ts";
import type { Upstreams } from "../wire.ts";
import { newPool, type Pool } from "./pool.ts";
import { Http2Request } from "./request.ts";

export function newHttp2Client(dial: Dial, limits: Limits, deadlines: Deadlines): Upstreams {
  const pools = new Map<string, Pool>();
  let closed: (() => void) | undefined;

  function emptied(key: string, pool: Pool | undefined): void {
    if (pool === pools.get(key)) pools.delete(key);
    if (pools.size === 0) closed?.();
  }

  return {
    open: ({ origin, socketPath }, head, ended, receiver) => {
      const name = origin.protocol === "https:" ? head.authority : "";
      const key = `${origin.protocol}//${socketPath ?? origin.host} ${name}`;
      let pool = pools.get(key);
      if (pool === undefined) {
        const made = newPool(dial, { origin, socketPath, name, protocols: ["h2"] }, limits, deadlines, () => emptied(key, made));
        pools.set(key, (pool = made));
      }
      const request = new Http2Request(head, ended, receiver, pool);
      if (closed === undefined) pool.send(request);
      else queueMicrotask(() => request.fail({ why: "connect", cause: new Error("the upstreams are closed") }));
      return request;
    },
    close: () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      closed = resolve;
      if (pools.size === 0) resolve();
      for (const pool of pools.values()) pool.close();
      return promise;
    },
  };
}
