// A redis-server of the test's own: on a free port of loopback, with nothing on disk, and gone after the test.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { createServer, connect } from "node:net";
import type { AddressInfo } from "node:net";
import { setTimeout as soon } from "node:timers/promises";
import type { TestContext } from "node:test";

/** Why tests with a Redis are not run; `false` where they are. */
export const noRedis: string | false =
  spawnSync("redis-server", ["--version"]).status === 0
    ? false
    : "SKIP redis-server is not installed, so nothing was tested over a Redis (apt-get install redis-server)";

export interface RedisServer {
  readonly port: number;
  readonly url: string;
  /** Ends it at once, as a crash would. */
  kill(): Promise<void>;
  /** Starts it again on its port, empty. */
  start(): Promise<void>;
  /** It stops answering, and keeps its connections. */
  freeze(): void;
  thaw(): void;
}

/** Starts one; `down`: only by `start`. */
export async function openRedis(
  t: Pick<TestContext, "after">,
  { args = [], down = false }: { readonly args?: readonly string[]; readonly down?: boolean } = {},
): Promise<RedisServer> {
  const port = await freePort();
  let child: ChildProcess | undefined;
  const kill = async (): Promise<void> => {
    const killed = child;
    child = undefined;
    if (killed === undefined || killed.exitCode !== null) return;
    const exit = once(killed, "exit");
    killed.kill("SIGKILL");
    await exit;
  };
  t.after(kill);
  const server: RedisServer = {
    port,
    url: `redis://127.0.0.1:${port}`,
    kill,
    start: async () => {
      child = spawn("redis-server", ["--port", `${port}`, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", ...args], {
        stdio: "ignore",
      });
      const ended = once(child, "exit").then(() => Promise.reject(new Error("redis-server ended by itself")));
      ended.catch(() => undefined); // it is killed in the end
      await Promise.race([answering(port), ended]);
    },
    freeze: () => void child?.kill("SIGSTOP"),
    thaw: () => void child?.kill("SIGCONT"),
  };
  if (!down) await server.start();
  return server;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // the cast: it listens on TCP
  server.close();
  await once(server, "close");
  return port;
}

/** Until it takes connections: there is nothing to wait for but the attempt. */
async function answering(port: number): Promise<void> {
  for (;;) {
    const socket = connect(port, "127.0.0.1");
    const up = await Promise.race([once(socket, "connect").then(() => true), once(socket, "error").then(() => false)]).catch(() => false);
    socket.destroy();
    if (up) return;
    await soon(10);
  }
}
