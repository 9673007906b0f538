// Shim: listener, proxy and upstreams in one process, for tests; what a real shim puts together is in src/sidecar.
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import type { TestContext } from "node:test";
import { type Client, type ClientOptions, createClient } from "../../src/index.ts";
import { doorOf } from "../../src/transports/door.ts";
import type { ProxySettings } from "../../src/transports/proxy/context.ts";
import type { Entry } from "../../src/transports/proxy/entry.ts";
import { newOwnAddresses } from "../../src/transports/proxy/own.ts";
import { newProxy } from "../../src/transports/proxy/proxy.ts";
import { newDial } from "../../src/wire/dial.ts";
import { newHttp2Client } from "../../src/wire/http2/client.ts";
import { newHttp2Server } from "../../src/wire/http2/server.ts";
import type { Upstreams } from "../../src/wire/wire.ts";

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
}

/** A shim under these policies, on loopback; closed when the test is over. It trusts its callers unless told otherwise. */
export async function openShim(
  t: Pick<TestContext, "after">,
  options: Pick<ClientOptions, "policies"> & Partial<ClientOptions>,
  settings: Partial<Omit<ProxySettings, "door" | "onEntry">> = {},
): Promise<Shim> {
  const client = createClient(options);
  const entries: Entry[] = [];
  const waiting: { readonly n: number; readonly resolve: (entries: readonly Entry[]) => void }[] = [];
  const listening: string[] = [];
  const self = newOwnAddresses(() => listening);
  const upstreams = settings.upstreams ?? newHttp2Client({ dial: newDial({ connectMs: 5_000, forbidden: self }), connectMs: 5_000 });
  const proxy = newProxy({
    door: doorOf(client, "openShim"),
    upstreams,
    direction: "outbound",
    allowAny: false,
    trusts: ({ local }) => local,
    via: "shim",
    draining: () => false,
    ...settings,
    onEntry: (entry) => {
      entries.push(entry);
      for (const { n, resolve } of waiting) if (entries.length >= n) resolve(entries);
    },
  });
  const http2 = newHttp2Server(proxy);
  const server = createServer((socket: Socket) => http2.take(socket)).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`; // the cast: a TCP server has such an address
  listening.push(address);
  t.after(() => {
    server.close();
    http2.destroy();
    void upstreams.close();
  });
  return {
    client,
    address,
    url: `http://${address}`,
    entries,
    logged: (n) => (entries.length >= n ? Promise.resolve(entries) : new Promise((resolve) => waiting.push({ n, resolve }))),
    upstreams,
  };
}
