// A relay on loopback that resets its first connection as soon as a request comes over it, and lets all others through.
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import type { TestContext } from "node:test";

/** What a client sends before its first frame (RFC 9113, 3.4). */
const PREFACE_BYTES = 24;
const FRAME_HEADER_BYTES = 9;
const HEADERS = 1;

export interface Resetting {
  readonly address: string;
  /** How many connections it has reset. */
  resets(): number;
}

export async function openResetting(t: TestContext, address: string): Promise<Resetting> {
  const [host = "", port = ""] = address.split(":");
  const sockets = new Set<Socket>();
  let connections = 0;
  let resets = 0;
  const keep = (socket: Socket): Socket => {
    sockets.add(socket.setNoDelay(true).on("error", () => undefined));
    return socket.once("close", () => sockets.delete(socket));
  };
  const server = createServer((client) => {
    keep(client);
    const upstream = keep(connect(Number(port), host));
    client.once("close", () => upstream.destroy());
    upstream.once("close", () => client.destroy());
    upstream.pipe(client);
    if (++connections > 1) return void client.pipe(upstream);
    const seen = newRequestWatch();
    return void client.on("data", (bytes: Buffer) => {
      if (!seen(bytes)) return void upstream.write(bytes);
      resets++;
      return void client.resetAndDestroy();
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, resets: () => resets }; // the cast: a TCP server has such an address
}

/** Tells, from the bytes of a client as they come, when the first request is among them. */
function newRequestWatch(): (bytes: Buffer) => boolean {
  let held = Buffer.alloc(0);
  let at = PREFACE_BYTES;
  return (bytes) => {
    held = Buffer.concat([held, bytes]);
    while (held.length >= at + FRAME_HEADER_BYTES) {
      if (held[at + 3] === HEADERS) return true;
      at += FRAME_HEADER_BYTES + held.readUIntBE(at, 3);
    }
    return false;
  };
}
