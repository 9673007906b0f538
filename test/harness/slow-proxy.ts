// A TCP proxy of the test's own that holds back what goes through it.
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import type { TestContext } from "node:test";

export interface SlowProxy {
  readonly port: number;
  /** How long everything is held back, each way. */
  delayMs: number;
}

export async function openSlowProxy(t: TestContext, to: number, delayMs: number): Promise<SlowProxy> {
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(to, "127.0.0.1");
    for (const [from, into] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on("data", (data) => setTimeout(() => into.write(data), proxy.delayMs));
      from.on("error", () => into.destroy());
      from.on("close", () => into.destroy());
    }
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // the cast: it listens on TCP
  const proxy = { port, delayMs };
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return proxy;
}
