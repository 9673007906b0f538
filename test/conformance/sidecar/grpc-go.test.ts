// grpc-go's own interop client through the sidecar: as its server, and as the proxy to which it says CONNECT.
import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { hostname } from "node:os";
import { suite, test } from "node:test";
import { promisify } from "node:util";
import { definePolicy, route } from "../../../src/index.ts";
import { openShim } from "../../harness/shim.ts";
import { openInteropServer } from "../grpc/server.ts";
import { healthy } from "../healthy.ts";

const COMMAND = "grpc-go-interop-client";
const installed = spawnSync(COMMAND, ["-h"]).error === undefined;
const skip = installed ? false : `${COMMAND} is not installed (go install google.golang.org/grpc/interop/client@latest, under that name)`;

const cases = [
  "empty_unary",
  "large_unary",
  "client_streaming",
  "server_streaming",
  "ping_pong",
  "empty_stream",
  "timeout_on_sleeping_server",
  "cancel_after_begin",
  "cancel_after_first_response",
  "status_code_and_message",
  "special_status_message",
  "custom_metadata",
  "unimplemented_method",
  "unimplemented_service",
] as const;

const run = promisify(execFile);

/** The policy's own route leads to the server, whatever the client calls it. */
const policyFor = (server: string) =>
  definePolicy({
    name: "interop",
    match: [{ host: "*" }, { service: "*" }],
    layers: [...healthy.layers, route({ to: [{ endpoints: [`http://${server}`] }] })],
  });

suite("grpc-go's interop client through the sidecar", { skip }, () => {
  for (const name of cases) {
    test(`${name}, as its server`, async (t) => {
      const server = await openInteropServer(t);
      const shim = await openShim(t, { policies: [policyFor(server.address)] });
      const [host = "", port = ""] = shim.address.split(":");
      await run(COMMAND, ["-server_host", host, "-server_port", port, "-test_case", name], { timeout: 20_000 });
    });
  }

  test("through a tunnel, in which HTTP/2 is found", async (t) => {
    const server = await openInteropServer(t);
    const shim = await openShim(t, { policies: [policyFor(server.address)] });
    // it goes by a proxy to any host but loopback
    const where = ["-server_host", hostname(), "-server_port", "80"];
    await run(COMMAND, [...where, "-test_case", "large_unary"], { env: { ...process.env, HTTPS_PROXY: shim.url }, timeout: 20_000 });
    const entries = await shim.logged(1);
    assert.match(JSON.stringify(entries), /UnaryCall/);
  });
});
