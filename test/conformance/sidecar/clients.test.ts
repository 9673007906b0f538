// Clients that take the sidecar for their proxy, and gain its policy without knowing: ky, axios, got, the runtime's fetch, curl and Python.
import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import test, { type TestContext } from "node:test";
import { promisify } from "node:util";
import { definePolicy, retry, timeout } from "../../../src/index.ts";
import { openShim, type Shim } from "../../harness/shim.ts";

const run = promisify(execFile);

const policy = definePolicy({
  name: "proxied",
  match: [{ host: "127.0.0.1" }],
  layers: [timeout("10s"), retry({ attempts: 3, methods: ["*"], backoff: { base: "0ms" } }), timeout("5s")],
});

interface Peer {
  readonly url: string;
  /** How each request came: whether through the shim. */
  readonly ways: readonly boolean[];
}

/** Answers the third attempt at each method and path, and says how it was asked. */
async function openPeer(t: TestContext): Promise<Peer> {
  const ways: boolean[] = [];
  const attempts = new Map<string, number>();
  const server = createServer((request, response) => {
    ways.push(request.headers.via !== undefined);
    let body = "";
    request.setEncoding("utf8").on("data", (part: string) => (body += part));
    request.once("end", () => {
      const { method = "", url = "", headers } = request;
      const nth = (attempts.get(`${method} ${url}`) ?? 0) + 1;
      attempts.set(`${method} ${url}`, nth);
      if (nth < 3) return void response.writeHead(503).end();
      response.writeHead(200, { "content-type": "application/json" });
      return void response.end(JSON.stringify({ method, body, attempt: headers["x-envoy-attempt-count"] }));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, ways }; // the cast: a TCP server has such an address
}

const environment = ({ url }: Shim): NodeJS.ProcessEnv => ({
  PATH: process.env["PATH"],
  NODE_USE_ENV_PROXY: "1",
  HTTP_PROXY: url,
  http_proxy: url,
});

test("fetch, ky, axios and got by HTTP_PROXY", async (t) => {
  const peer = await openPeer(t);
  const shim = await openShim(t, { policies: [policy] });
  const program = fileURLToPath(new URL("proxied-program.ts", import.meta.url));
  const { stdout } = await run(process.execPath, [program, peer.url], { env: environment(shim) });
  assert.deepEqual(
    stdout.trim().split("\n"),
    ["fetch", "ky", "axios", "got"].map((name) => `${name}: GET at attempt 3, POST paid at attempt 3`),
  );
  assert.deepEqual(
    peer.ways,
    Array.from({ length: 24 }, () => true),
  );
});

const has = (command: string): boolean => spawnSync(command, ["--version"], { stdio: "ignore" }).status === 0;

test(
  "curl by HTTP_PROXY, and through a tunnel",
  { skip: has("curl") ? false : "curl is not installed (apt-get install curl)" },
  async (t) => {
    const peer = await openPeer(t);
    const shim = await openShim(t, { policies: [policy] });
    const [plain, tunnel] = [
      await run("curl", ["-s", `${peer.url}/plain`], { env: environment(shim) }),
      await run("curl", ["-s", "--proxytunnel", "-d", "paid", `${peer.url}/tunnel`], { env: environment(shim) }),
    ];
    assert.equal(plain.stdout, '{"method":"GET","body":"","attempt":"3"}');
    assert.equal(tunnel.stdout, '{"method":"POST","body":"paid","attempt":"3"}');
    assert.ok(peer.ways.every(Boolean));
  },
);

test("Python's urllib", { skip: has("python3") ? false : "python3 is not installed (apt-get install python3)" }, async (t) => {
  const peer = await openPeer(t);
  const shim = await openShim(t, { policies: [policy] });
  const script = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], data=b'paid').read().decode())";
  const { stdout } = await run("python3", ["-c", script, `${peer.url}/python`], { env: environment(shim) });
  assert.equal(stdout.trim(), '{"method":"POST","body":"paid","attempt":"3"}');
});
