// A client in another language, Debian's ruby-grpc, through the sidecar: it knows nothing of premesh, and its calls are retried.
import assert from "node:assert/strict";
import { execFile, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import test from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { definePolicy, retry } from "../../../src/index.ts";
import { openShim } from "../../harness/shim.ts";

const installed = spawnSync("ruby", ["-e", 'require "grpc"']).status === 0;
const skip = installed ? false : "ruby-grpc is not installed (apt-get install ruby-grpc)";

const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

test("calls of every kind of a ruby client are retried by the shim, which a server of ruby answers", { skip }, async (t) => {
  const server = spawn("ruby", [file("../grpc/peer.rb")], { stdio: ["pipe", "pipe", "inherit"] });
  t.after(async () => {
    const ended = once(server, "exit");
    server.stdin.end();
    await ended;
  });
  const [port] = (await once(server.stdout, "data")) as [Buffer]; // the cast: it prints its port
  const layers = [retry({ attempts: 3, methods: ["*"], backoff: { base: "0ms" } })];
  const shim = await openShim(t, { policies: [definePolicy({ name: "ruby", match: [{ service: "peer.Peer" }], layers })] });
  const { stdout } = await promisify(execFile)("ruby", [file("ruby-client.rb"), shim.address, `127.0.0.1:${port.toString().trim()}`]);
  assert.deepEqual(stdout.trim().split("\n"), [
    "unary 3:x",
    "clientStream 3:a,b,c,d,e",
    "serverStream 3:x1 3:x2 3:x3 3:x4 3:x5",
    "duplex 3:a 3:b 3:c 3:d 3:e",
    "failure 14 induced",
  ]);
  assert.deepEqual(
    (await shim.logged(5)).map(({ attempts }) => attempts),
    [3, 3, 3, 3, 3],
  );
});
