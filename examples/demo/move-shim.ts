// The shim of the scene `move`: the real command in a process of its own, which can be killed and started again.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Policy } from "../../src/index.ts";

const COMMAND = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

export interface Shim {
  readonly address: string;
  /** Runs this policy from now on, in a new process. */
  start(policy: Policy): Promise<void>;
  /** Ends it as a crash would: at once, in the middle of its calls. */
  kill(): Promise<void>;
  close(): Promise<void>;
}

export async function newShim(): Promise<Shim> {
  const folder = mkdtempSync(join(tmpdir(), "premesh-demo-"));
  const file = join(folder, "policies.json");
  const port = await freePort();
  let child: ChildProcess | undefined;

  async function kill(): Promise<void> {
    const running = child;
    child = undefined;
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return;
    const exit = once(running, "exit");
    running.kill("SIGKILL");
    await exit;
  }

  return {
    address: `http://127.0.0.1:${port}`,
    start: async (policy) => {
      await kill();
      writeFileSync(file, JSON.stringify(policy));
      const args = [COMMAND, "sidecar", file, "--outbound", `127.0.0.1:${port}`, "--admin", "off", "--access-log", "off"];
      const started = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "pipe"], detached: true }); // Ctrl-C is for the demo, which ends it
      child = started;
      let said = "";
      started.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
      while (!(await answers(port))) {
        if (started.exitCode !== null) throw new Error(`the shim has ended with ${started.exitCode}: ${said}`);
        await wait(20);
      }
    },
    kill,
    close: async () => {
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (typeof address !== "object" || address === null) throw new Error("no port is free");
  return address.port;
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
