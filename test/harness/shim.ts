// Shim: listener, proxy and upstreams in one process, for tests; what a real shim puts together is in src/sidecar.
import type { TestContext } from "node:test";
import { type Client, type ClientOptions, createClient } from "../../src/index.ts";
import type { CallRecord } from "../../src/call/call.ts";
import type { Pool } from "../../src/call/messages.ts";
import { thrown } from "../../src/call/refusal.ts";
import { type Door, doorOf } from "../../src/transports/door.ts";
import { poolOf } from "../../src/transports/pool.ts";
import { ProxyCall } from "../../src/transports/proxy/call.ts";
import type { ProxySettings } from "../../src/transports/proxy/context.ts";
import { type Entry, entryOf } from "../../src/transports/proxy/entry.ts";
import { newOwnAddresses } from "../../src/transports/proxy/own.ts";
import { newProxy } from "../../src/transports/proxy/proxy.ts";
import { listen, type ListenOptions } from "../../src/wire/listen.ts";
import { createUpstreams } from "../../src/wire/upstreams.ts";
import type { Listener, Upstreams } from "../../src/wire/wire.ts";

/** A call, seen inside. */
export interface Seen {
  readonly record: CallRecord;
  /** What a caller in the process would have been thrown. */
  error: unknown;
}

export interface Shim {
  readonly client: Client;
  /** `127.0.0.1:41234` */
  readonly address: string;
  /** `http://127.0.0.1:41234` */
  readonly url: string;
  /** What the access log would say, oldest first. */
  readonly entries: readonly Entry[];
  /** Settles when there are so many entries. */
  logged(n: number): Promise<readonly Entry[]>;
  readonly upstreams: Upstreams;
  readonly listener: Listener;
  /** What its calls keep. */
  readonly pool: Pool;
  /** The call of that `x-request-id`, as it was in the process of the shim. */
  callOf(requestId: string): Seen | undefined;
}

/** A shim under these policies, on loopback; closed when the test is over. It trusts its callers unless told otherwise. */
export async function openShim(
  t: Pick<TestContext, "after">,
  options: Pick<ClientOptions, "policies"> & Partial<ClientOptions>,
  settings: Partial<Omit<ProxySettings, "door" | "onOver">> = {},
  wire: Pick<ListenOptions, "limits"> = {},
): Promise<Shim> {
  const client = createClient({ sidecar: false, ...options });
  const entries: Entry[] = [];
  const waiting: { readonly n: number; readonly resolve: (entries: readonly Entry[]) => void }[] = [];
  const listening: string[] = [];
  const self = newOwnAddresses(() => listening);
  const upstreams = settings.upstreams ?? createUpstreams({ forbidden: self, ...wire });
  const calls = new Map<string, Seen>();
  const door = doorOf(client, "openShim");
  const watched: Door = {
    ...door,
    through: (ruled, call, conclude) => {
      if (!(call.payload instanceof ProxyCall)) return door.through(ruled, call, conclude);
      const seen: Seen = { record: call.record, error: undefined };
      calls.set(call.payload.requestId, seen);
      return door.through(ruled, call, (outcome, one) => {
        if (!outcome.ok && outcome.reply === undefined && outcome.response === undefined) seen.error = thrown(outcome, call.record);
        return conclude(outcome, one);
      });
    },
  };
  const proxy = newProxy({
    door: watched,
    upstreams,
    direction: "outbound",
    allowAny: false,
    trusts: ({ local }) => local,
    via: "shim",
    draining: () => false,
    ...settings,
    onOver: (logged, ended) => {
      entries.push(entryOf(logged, ended));
      for (const { n, resolve } of waiting) if (entries.length >= n) resolve(entries);
    },
  });
  const listener = await listen("127.0.0.1:0", { ...wire, exchange: proxy });
  const { address } = listener;
  listening.push(address);
  t.after(() => {
    listener.destroy();
    void upstreams.close();
  });
  return {
    client,
    address,
    url: `http://${address}`,
    entries,
    logged: (n) => (entries.length >= n ? Promise.resolve(entries) : new Promise((resolve) => waiting.push({ n, resolve }))),
    upstreams,
    listener,
    pool: poolOf(watched),
    callOf: (requestId) => calls.get(requestId),
  };
}
