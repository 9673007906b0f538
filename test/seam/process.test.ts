// A real shim that is killed, stopped, drained and put back under load: no call that may be repeated is lost, none that may not be is done twice.
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test, type TestContext } from "node:test";
import { type Client, createClient, definePolicy, type LayerDefinition, type Policy, retry, sidecar, timeout } from "../../src/index.ts";
import { type SidecarProcess, startSidecarProcess } from "../harness/sidecar-process.ts";
import { until } from "../transports/fetch/upstream.ts";

interface Scene {
  readonly client: Client;
  readonly policy: Policy;
  readonly file: string;
  readonly url: string;
  /** How often the upstream has seen each path. */
  readonly seen: ReadonlyMap<string, number>;
  /** How many of them came through a shim. */
  readonly crossed: () => number;
  shim(port?: string): Promise<SidecarProcess>;
}

/** An upstream that takes a while for each answer, a policy in a file, and a client whose shim is yet to come. */
async function scene(t: TestContext, layers: readonly LayerDefinition[]): Promise<Scene> {
  const folder = mkdtempSync(join(tmpdir(), "premesh-seam-"));
  const seen = new Map<string, number>();
  let crossed = 0;
  const server = createServer((request, response) => {
    const path = request.url ?? "";
    seen.set(path, (seen.get(path) ?? 0) + 1);
    if (request.headers["x-envoy-attempt-count"] !== undefined) crossed++;
    request.resume();
    setTimeout(() => response.end("done"), 15);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const policy = definePolicy({ name: "shop", match: [{ host: "127.0.0.1" }], layers });
  const file = join(folder, "policies.json");
  writeFileSync(file, JSON.stringify({ policies: [policy] }));
  const first = await startSidecarProcess(t, [file]); // for a port that is free
  const port = first.outbound;
  first.child.kill("SIGKILL");
  await first.ended;
  const client = createClient({ policies: [policy], sidecar: `http://${port}` });
  t.after(async () => {
    await client.close();
    server.closeAllConnections();
    server.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const { port: at } = server.address() as AddressInfo; // the cast: it listens on TCP
  return {
    client,
    policy,
    file,
    url: `http://127.0.0.1:${at}`,
    seen,
    crossed: () => crossed,
    shim: () => startSidecarProcess(t, [file, "--outbound", port]),
  };
}

const phaseOf = ({ client }: Scene): unknown =>
  Object.values(client.status().policies["shop"]?.targets ?? {})[0]?.find(({ kind }) => kind === "sidecar")?.state["phase"];

interface Load {
  /** Paths of calls that came out well, and of those that did not. */
  readonly well: readonly string[];
  readonly failed: readonly string[];
  /** Resolves when so many more have come out. */
  more(calls: number): Promise<void>;
  stop(): Promise<void>;
}

/** Eight callers that send one call after the other, a GET and a POST by turns: about 500 a second. */
function load({ client, url }: Scene): Load {
  const well: string[] = [];
  const failed: string[] = [];
  const waiting = new Set<() => void>();
  let next = 0;
  let stopped = false;
  const caller = async (): Promise<void> => {
    while (!stopped) {
      const n = next++;
      const path = n % 2 === 0 ? `/get/${n}` : `/post/${n}`;
      try {
        const response = await client.fetch(`${url}${path}`, n % 2 === 0 ? {} : { method: "POST", body: "x" });
        await response.text();
        (response.status === 200 ? well : failed).push(path);
      } catch {
        failed.push(path);
      }
      for (const look of waiting) look();
    }
  };
  const all = Promise.all(Array.from({ length: 8 }, caller));
  return {
    well,
    failed,
    more: (calls) => {
      const enough = well.length + failed.length + calls;
      return new Promise((resolve) => {
        const look = (): void => {
          if (well.length + failed.length < enough) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
      });
    },
    stop: async () => {
      stopped = true;
      await all;
    },
  };
}

const again = retry({ attempts: 3, backoff: { base: "1ms" }, budget: false });

suite("a shim as a process", { timeout: 120_000 }, () => {
  for (const [name, layers] of [
    ["before the seam", [timeout("30s"), again, sidecar(), timeout("10s")]],
    ["behind the seam", [timeout("30s"), sidecar(), again, timeout("10s")]],
  ] as const) {
    test(`kill -9 under load and back again, with a retry ${name}`, async (t) => {
      const it = await scene(t, layers);
      let shim = await it.shim();
      const calls = load(it);
      await calls.more(200);
      assert.ok(it.crossed() > 100, "calls cross");
      for (let round = 0; round < 2; round++) {
        shim.child.kill("SIGKILL");
        await shim.ended;
        await calls.more(200);
        shim = await it.shim();
        await until(() => phaseOf(it) === "up", "the shim is found");
        const before = it.crossed();
        await calls.more(200);
        assert.ok(it.crossed() > before, "calls cross again");
      }
      await calls.stop();
      assert.deepEqual(
        calls.failed.filter((path) => path.startsWith("/get/")),
        [],
        "no call is lost that may be repeated",
      );
      const twice = [...it.seen].filter(([path, times]) => path.startsWith("/post/") && times > 1);
      assert.deepEqual(twice, [], "no call is done twice that may not be");
      assert.ok(calls.failed.length <= 16, `${calls.failed.length} calls were under way when it was killed`);
      for (const path of calls.well) assert.ok(it.seen.has(path), path);
    });
  }

  test("one that hangs is found out, and is back when it goes on", async (t) => {
    const it = await scene(t, [again, sidecar(), timeout("60s")]);
    const shim = await it.shim();
    assert.equal((await it.client.fetch(`${it.url}/first`)).status, 200);
    assert.equal(it.crossed(), 1);
    shim.child.kill("SIGSTOP");
    const [got, posted] = await Promise.allSettled([
      it.client.fetch(`${it.url}/get`),
      it.client.fetch(`${it.url}/post`, { method: "POST", body: "x" }),
    ]);
    assert.equal(got.status === "fulfilled" && got.value.status, 200);
    assert.ok(posted.status === "rejected" && posted.reason instanceof TypeError);
    assert.equal(phaseOf(it), "down");
    shim.child.kill("SIGCONT");
    await until(() => phaseOf(it) === "up", "the shim is found");
    const before = it.crossed();
    assert.equal((await it.client.fetch(`${it.url}/last`)).status, 200);
    assert.equal(it.crossed(), before + 1);
  });

  test("one that drains loses no call, whatever its method", async (t) => {
    const it = await scene(t, [timeout("30s"), sidecar(), timeout("10s")]);
    let shim = await it.shim();
    const calls = load(it);
    for (let round = 0; round < 2; round++) {
      await calls.more(100);
      shim.child.kill("SIGTERM");
      assert.equal(await shim.ended, 0);
      await calls.more(100);
      shim = await it.shim();
      await until(() => phaseOf(it) === "up", "the shim is found");
    }
    await calls.more(100);
    await calls.stop();
    assert.deepEqual(calls.failed, []);
    assert.deepEqual(
      [...it.seen].filter(([, times]) => times > 1),
      [],
    );
    assert.ok(it.crossed() > 100);
  });

  test("one that has another revision of the policy gets no calls until it has ours", async (t) => {
    const it = await scene(t, [sidecar(), timeout("10s")]);
    const text = JSON.stringify({ policies: [it.policy] });
    writeFileSync(it.file, text.replace("10s", "9s"));
    const shim = await it.shim();
    assert.equal((await it.client.fetch(`${it.url}/one`, { method: "POST", body: "x" })).status, 200);
    assert.equal((await it.client.fetch(`${it.url}/two`)).status, 200);
    assert.equal(it.crossed(), 0);
    assert.deepEqual([...it.seen.values()], [1, 1]);
    writeFileSync(it.file, text);
    shim.child.kill("SIGHUP");
    let n = 0;
    while (it.crossed() === 0) assert.equal((await it.client.fetch(`${it.url}/more/${n++}`)).status, 200);
    assert.equal(it.client.decisions().filter(({ what }) => what === "unknown-revision").length, 1);
  });
});
