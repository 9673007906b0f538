// A file of endpoints, followed through everything that happens to files: written in place, replaced, swapped with its directory, half written, gone.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { type Client, createClient, definePolicy, PolicyError, route, type RouteTargetInit } from "../../../src/index.ts";
import { endpointsOf } from "../../harness/endpoints.ts";
import { until } from "../../transports/fetch/upstream.ts";

const [A, B] = ["http://10.0.0.1:8080", "http://10.0.0.2:8080"] as const;

interface Trial {
  readonly client: Client;
  readonly told: string[];
  readonly call: () => Promise<string>;
  /** The endpoints that the route has. */
  readonly endpoints: () => readonly string[];
}

function trial(t: TestContext, to: RouteTargetInit): Trial {
  const client = createClient({ policies: [definePolicy({ name: "p", layers: [route({ to: [to] })] })] });
  t.after(() => client.close());
  const told: string[] = [];
  client.on((event) => event.type === "decision" && told.push(event.what));
  return {
    client,
    told,
    call: () => client.run("p", ({ endpoint = "" }) => endpoint),
    endpoints: () => endpointsOf(client, "run"),
  };
}

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "premesh-endpoints-"));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

test("a change of the file acts, whether it is written in place or replaced", async (t) => {
  const path = join(folder(t), "endpoints.json");
  writeFileSync(path, JSON.stringify([A]));
  const { call, endpoints, told } = trial(t, { file: path });
  assert.equal(await call(), A);
  writeFileSync(path, JSON.stringify([A, B]));
  await until(() => endpoints().length === 2, "the second endpoint is there");
  writeFileSync(`${path}.new`, JSON.stringify({ endpoints: [B] }));
  renameSync(`${path}.new`, path);
  await until(() => endpoints().length === 1, "the first has left");
  assert.equal(await call(), B);
  assert.ok(told.every((what) => what === "endpoints-changed"));
});

test("a ConfigMap, whose files are links into a directory that is swapped", async (t) => {
  const mount = folder(t);
  const version = (name: string, list: readonly string[]): void => {
    mkdirSync(join(mount, name));
    writeFileSync(join(mount, name, "endpoints.yaml"), list.map((one) => `- ${one}`).join("\n"));
  };
  version("..2026_01", [A]);
  symlinkSync("..2026_01", join(mount, "..data"));
  symlinkSync(join("..data", "endpoints.yaml"), join(mount, "endpoints.yaml"));
  const { call, endpoints } = trial(t, { file: join(mount, "endpoints.yaml") });
  assert.equal(await call(), A);
  version("..2026_02", [B]);
  symlinkSync("..2026_02", join(mount, "..data_tmp"));
  renameSync(join(mount, "..data_tmp"), join(mount, "..data"));
  await until(() => endpoints().includes(B), "the new version is read");
  assert.equal(await call(), B);
});

test("what is half written, empty, no list or gone keeps the last good endpoints, is told once, and mends", async (t) => {
  const path = join(folder(t), "endpoints.json");
  writeFileSync(path, JSON.stringify([A]));
  const { call, endpoints, told } = trial(t, { file: path, refresh: "20ms" });
  assert.equal(await call(), A);
  const failures = (): number => told.filter((what) => what === "discovery-failed").length;
  let before = 0;
  for (const [what, spoil] of Object.entries({
    "half written": () => writeFileSync(path, '["http://10.0.0.1:80'),
    empty: () => writeFileSync(path, ""),
    "no endpoint": () => writeFileSync(path, '["10.0.0.1"]'),
    "no list": () => writeFileSync(path, '{"a":1}'),
    gone: () => rmSync(path),
  })) {
    spoil();
    await until(() => failures() > before, `${what} is told`);
    before = failures();
    assert.equal(await call(), A, what);
  }
  writeFileSync(path, JSON.stringify([B]));
  await until(() => endpoints().includes(B), "it is read again");
  assert.equal(await call(), B);
});

test("a file whose directory comes later is found", async (t) => {
  const path = join(folder(t), "later", "endpoints.json");
  const { call, endpoints } = trial(t, { file: { path }, refresh: "10ms" });
  const error: unknown = await call().catch((one: unknown) => one);
  assert.ok(error instanceof PolicyError && error.code === "ERR_PREMESH_NO_ENDPOINT");
  assert.match(error.message, /ENOENT/);
  mkdirSync(join(path, ".."));
  writeFileSync(path, JSON.stringify([A]));
  await until(() => endpoints().length === 1, "it is found");
  assert.equal(await call(), A);
});

test("a process with a watched file ends by itself", async (t) => {
  const path = join(folder(t), "endpoints.json");
  writeFileSync(path, JSON.stringify([A]));
  const { execFileSync } = await import("node:child_process");
  const source = `
    import { createClient, definePolicy, route } from ${JSON.stringify(new URL("../../../src/index.ts", import.meta.url).href)};
    const layers = [route({ to: [{ file: ${JSON.stringify(path)} }, { endpoints: () => [] }, { dns: "http://localhost:80" }] })];
    const client = createClient({ policies: [definePolicy({ name: "p", layers })] });
    console.log(await client.run("p", ({ endpoint }) => typeof endpoint));
  `;
  assert.equal(
    execFileSync(process.execPath, ["--input-type=module", "-e", source], { encoding: "utf8", timeout: 30_000 }).trim(),
    "string",
  );
});
