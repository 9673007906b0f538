// The shim as one file and as a binary: each runs where no package is installed, modules of policies included.
import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { bundle } from "../tools/bundle.ts";
import { licencesOf } from "../tools/licences.ts";
import { ask } from "../harness/http-get.ts";
import { startSidecarProcess } from "../harness/sidecar-process.ts";
import { openUpstream } from "../harness/upstream.ts";

// Far from any node_modules.
const folder = mkdtempSync(join(tmpdir(), "premesh-one-file-"));
after(() => rmSync(folder, { recursive: true, force: true }));

test("of each part of OpenTelemetry one version is installed, so that the shim has none twice", () => {
  const { packages } = JSON.parse(readFileSync(new URL("../../package-lock.json", import.meta.url), "utf8")) as { packages: object }; // the cast: npm's own file
  const parts = Object.keys(packages).flatMap((path) => /@opentelemetry\/(?:core|resources|otlp-[\w-]+|sdk-[\w-]+)$/.exec(path)?.[0] ?? []);
  assert.deepEqual(parts, [...new Set(parts)]);
  assert.ok(parts.length > 5);
});

/** A module of policies that imports premesh, which is installed nowhere around it. */
function policiesFor(endpoint: string): string {
  const file = join(folder, "policies.ts");
  writeFileSync(
    file,
    `import { definePolicy, retry, route, timeout, type Policy } from "premesh";
     const layers: Policy["layers"] = [timeout("5s"), retry({ backoff: { base: "1ms" } }), route({ to: [{ endpoints: ["${endpoint}"] }] })];
     export const shop: Policy = definePolicy({ name: "shop", match: [{ host: "shop.internal" }], layers });\n`,
  );
  return file;
}

async function serves(t: TestContext, command: readonly string[]): Promise<void> {
  const upstream = await openUpstream(t, [{ status: 503 }, { body: "hello" }]);
  const words = [policiesFor(upstream.url), "--shared", "redis://127.0.0.1:1"]; // where no Redis is: its client is in the file, too
  const shim = await startSidecarProcess(t, words, { command });
  const { status, body } = await ask(shim.outbound, "http://shop.internal/a", { headers: { host: "shop.internal" } });
  assert.deepEqual([status, body], [200, "hello"], shim.log.map(({ message }) => message).join("\n"));
  assert.match((await ask(shim.admin, "/metrics")).body, /^premesh_call_attempts_sum\{.*\} 2$/m);
  shim.child.kill("SIGHUP");
  writeFileSync(join(folder, "policies.ts"), "export const shop = 1 1;\n");
  assert.match((await shim.said("reload-failed")).message, /has a syntax error/);
  shim.child.kill("SIGTERM");
  assert.equal(await shim.ended, 0);
}

/** Where zod and yaml are needed, which are packed within. */
function tellsMistakes(command: string, ...words: readonly string[]): void {
  const file = join(folder, "wrong.yaml");
  writeFileSync(file, "name: shop\nlayers:\n  - kind: retri\n");
  const { status, stderr } = spawnSync(command, [...words, file], { encoding: "utf8" });
  assert.match(
    stderr,
    /wrong\.yaml:3:11: error PM0208 \[shop\] layers\[0\]\.kind: "retri" is not a kind of layer \(did you mean "retry"\?\)/,
  );
  assert.equal(status, 1);
}

suite("the shim", { timeout: 120_000 }, () => {
  test("is one file", async (t) => {
    const file = join(folder, "premesh-sidecar.mjs");
    const within = await bundle("src/cli/one-file/main.ts", file, "esm");
    const licences = licencesOf(within, fileURLToPath(new URL("../..", import.meta.url)));
    for (const name of ["zod", "yaml", "cockatiel", "@opentelemetry/api", "ioredis", "bottleneck"])
      assert.match(licences, new RegExp(`^${name} [\\d.]+ \\(`, "m"));
    await serves(t, [process.execPath, file]);
    tellsMistakes(process.execPath, file);
  });

  test("is a binary", async (t) => {
    const file = join(folder, "premesh-sidecar");
    const tool = fileURLToPath(new URL("../tools/binary.ts", import.meta.url));
    await new Promise<void>((resolve, reject) => {
      execFile(process.execPath, [tool, file], (error, out, err) => (error === null ? resolve() : reject(new Error(out + err))));
    });
    await serves(t, [file]);
    tellsMistakes(file);
  });
});
