// Limits over a real Redis: they hold over all who share it, and nothing that happens to it lasts longer than it does.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { suite, test, type TestContext } from "node:test";
import { setTimeout as soon } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Redis } from "ioredis";
import type { SharedLimit, SharedStore, Taken } from "../../../src/index.ts";
import { redisStore, type RedisStoreOptions } from "../../../src/redis.ts";
import { noRedis, openRedis } from "../../harness/redis.ts";
import { openSlowProxy } from "../../harness/slow-proxy.ts";

function open(t: TestContext, url: string, options: RedisStoreOptions = {}): SharedStore {
  const store = redisStore(url, { timeout: "2s", ...options });
  t.after(() => store.close());
  return store;
}

/** Asks until the store answers. */
async function answered(limit: SharedLimit, least = 1, most = least): Promise<Taken> {
  for (;;) {
    try {
      return await limit.take(least, most);
    } catch {
      await soon(10);
    }
  }
}

/** Asks until permits are there. */
async function granted(limit: SharedLimit, permits: number): Promise<void> {
  while ((await answered(limit, permits)).permits === 0) await soon(5);
}

async function asking(t: TestContext, url: string): Promise<Redis> {
  const redis = new Redis(url);
  t.after(() => redis.disconnect());
  await redis.ping();
  return redis;
}

/** So slow that nothing comes back while a test runs. */
const hourly = { intervalMs: 3_600_000, burst: 10 };

suite("limits over Redis", { skip: noRedis }, () => {
  test("all who share a prefix and an id take from one bucket", async (t) => {
    const { url } = await openRedis(t);
    const [one, two, apart] = [open(t, url), open(t, url), open(t, url, { prefix: "other" })];
    assert.equal((await one.limit("a", hourly).take(1, 6)).permits, 6);
    assert.equal((await two.limit("a", hourly).take(1, 6)).permits, 4);
    const none = await one.limit("a", hourly).take(1, 6);
    assert.equal(none.permits, 0);
    assert.ok(none.waitMs > 3_500_000 && none.waitMs <= 3_600_000);
    assert.equal((await two.limit("b", hourly).take(1, 6)).permits, 6);
    assert.equal((await apart.limit("a", hourly).take(1, 6)).permits, 6);
  });

  test("takes nothing where not even the least is there", async (t) => {
    const { url } = await openRedis(t);
    const limit = open(t, url).limit("a", hourly);
    await limit.take(1, 7);
    assert.equal((await limit.take(4, 5)).permits, 0);
    assert.equal((await limit.take(3, 5)).permits, 3);
  });

  test("what is given back can be taken again, and never makes the bucket larger", async (t) => {
    const { url } = await openRedis(t);
    const limit = open(t, url).limit("a", hourly);
    await limit.take(1, 10);
    limit.giveBack(4);
    await granted(limit, 4);
    limit.giveBack(1_000);
    await granted(limit, 10);
    assert.equal((await limit.take(1, 1)).permits, 0);
  });

  test("counts the processes that use a limit", async (t) => {
    const { url } = await openRedis(t);
    const limits = [0, 1, 2].map(() => open(t, url).limit("a", hourly));
    for (const limit of limits) await limit.take(1, 1);
    const fresh = open(t, url).limit("a", hourly);
    assert.equal((await fresh.take(1, 1)).processes, 4);
  });

  test("every key has the prefix and expires", async (t) => {
    const { url } = await openRedis(t);
    await open(t, url, { prefix: "shop" }).limit("a", { intervalMs: 2, burst: 50 }).take(1, 1);
    const redis = await asking(t, url);
    const keys = await redis.keys("*");
    assert.ok(keys.length > 0);
    for (const key of keys) {
      assert.match(key, /^shop:/);
      const left = await redis.pttl(key);
      assert.ok(left > 0 && left <= 60_000, `${key}: ${left}`);
    }
  });

  test("a process whose clock is wrong neither fills the bucket nor starves others", async (t) => {
    const { url } = await openRedis(t);
    const rule = { intervalMs: 1_000, burst: 10 };
    const [right, wrong] = [open(t, url).limit("a", rule), open(t, url).limit("a", rule)];
    await right.take(1, 10);
    const real = Date.now;
    t.mock.method(Date, "now", () => real() + 3_600_000);
    assert.equal((await wrong.take(1, 10)).permits, 0);
    t.mock.restoreAll();
    await granted(right, 1);
  });

  test("a server whose clock was set back refills all the same", async (t) => {
    const { url } = await openRedis(t);
    const limit = open(t, url).limit("a", { intervalMs: 5, burst: 10 });
    await limit.take(1, 10);
    const redis = await asking(t, url);
    const [key = ""] = await redis.keys("*_settings");
    await redis.hset(key, "lastReservoirIncrease", Date.now() + 3_600_000);
    await granted(limit, 5);
  });

  test("each process goes by its own rate, and by the burst of whoever came last: the first one's settings do not win", async (t) => {
    const { url } = await openRedis(t);
    const old = open(t, url).limit("a", { intervalMs: 3_600_000, burst: 2 });
    assert.equal((await old.take(1, 2)).permits, 2);
    const fresh = open(t, url).limit("a", { intervalMs: 2, burst: 20 });
    await granted(fresh, 20); // at the old rate it would take a day
    const [slow, fast] = [open(t, url).limit("b", { intervalMs: 100, burst: 10 }), open(t, url).limit("b", { intervalMs: 10, burst: 100 })];
    assert.equal((await slow.take(1, 4)).permits, 4); // 400 ms of the 1 s that the bucket holds
    const rest = await fast.take(1, 100);
    assert.ok(rest.permits >= 60 && rest.permits < 100, `${rest.permits}`);
  });

  test("FLUSHALL in the middle costs at most another burst", async (t) => {
    const { url } = await openRedis(t);
    const limit = open(t, url).limit("a", hourly);
    await limit.take(1, 10);
    await (await asking(t, url)).flushall();
    assert.equal((await limit.take(1, 10)).permits, 10);
    assert.equal((await limit.take(1, 10)).permits, 0);
  });

  test("scripts that Redis has forgotten are loaded again", async (t) => {
    const { url } = await openRedis(t);
    const limit = open(t, url).limit("a", hourly);
    await limit.take(1, 4);
    await (await asking(t, url)).script("FLUSH");
    assert.equal((await limit.take(1, 10)).permits, 6);
  });

  test("kill -9: it is away at once, and back by itself", async (t) => {
    const redis = await openRedis(t);
    const limit = open(t, redis.url).limit("a", hourly);
    await limit.take(1, 1);
    await redis.kill();
    await assert.rejects(limit.take(1, 1), { name: "StoreAway" });
    await assert.rejects(limit.take(1, 1), { name: "StoreAway" });
    await redis.start();
    assert.equal((await answered(limit)).permits, 1);
  });

  test("dead at the start: it is away, and there as soon as it comes", async (t) => {
    const redis = await openRedis(t, { down: true });
    const limit = open(t, redis.url).limit("a", hourly);
    await assert.rejects(limit.take(1, 1), { name: "StoreAway" });
    await redis.start();
    assert.equal((await answered(limit)).permits, 1);
  });

  test("frozen: it is away after its time, no longer waited for, and back when it thaws", async (t) => {
    const redis = await openRedis(t);
    const limit = open(t, redis.url, { timeout: "200ms" }).limit("a", hourly);
    await answered(limit);
    redis.freeze();
    await assert.rejects(limit.take(1, 1), /StoreAway: the store .* gave no answer/);
    await assert.rejects(limit.take(1, 1), /StoreAway: the store .* is away/);
    redis.thaw();
    assert.equal((await answered(limit)).permits, 1);
  });

  test("slow: it waits as long as it was told to, and no longer", async (t) => {
    const redis = await openRedis(t);
    const proxy = await openSlowProxy(t, redis.port, 20);
    const store = open(t, `redis://127.0.0.1:${proxy.port}`, { timeout: "1s" });
    assert.equal((await answered(store.limit("a", hourly), 1, 3)).permits, 3);
    proxy.delayMs = 1_500;
    await assert.rejects(store.limit("a", hourly).take(1, 1), { name: "StoreAway" });
    proxy.delayMs = 0;
    assert.ok((await answered(store.limit("a", hourly))).permits <= 1);
  });

  test("user, password and database come from the URL, and no error shows the password", async (t) => {
    const acl = ["--user", "shop", "on", ">s3cr%t", "~*", "&*", "+@all", "--requirepass", "hunter2"];
    const redis = await openRedis(t, { args: acl });
    const at = `127.0.0.1:${redis.port}`;
    assert.equal((await open(t, `redis://:hunter2@${at}`).limit("a", hourly).take(1, 10)).permits, 10);
    assert.equal((await open(t, `redis://shop:s3cr%25t@${at}`).limit("a", hourly).take(1, 10)).permits, 0);
    assert.equal((await open(t, `redis://:hunter2@${at}/3`).limit("a", hourly).take(1, 10)).permits, 10);
    for (const url of [`redis://:wr0ng@${at}`, `redis://${at}`]) {
      const store = open(t, url);
      const error = await store
        .limit("a", hourly)
        .take(1, 1)
        .then(
          () => undefined,
          (reason: unknown) => reason,
        );
      assert.match(String(error), /StoreAway: the store redis:\/\/127\.0\.0\.1:\d+ is away: (?:NOAUTH|WRONGPASS)/);
      assert.ok(!JSON.stringify([error, Object.entries(error as object), store.address]).includes("wr0ng"));
      assert.equal((error as Error).cause, undefined);
    }
  });

  test("rediss: goes over TLS, and not to a server that it does not know", async (t) => {
    const file = (name: string): string => fileURLToPath(new URL(`../../harness/tls/${name}`, import.meta.url));
    const { port } = await openRedis(t, { down: true });
    await openRedis(t, {
      args: [
        "--tls-port",
        `${port}`,
        "--tls-cert-file",
        file("server.pem"),
        "--tls-key-file",
        file("server.key"),
        "--tls-ca-cert-file",
        file("ca.pem"),
        "--tls-auth-clients",
        "no",
      ],
    });
    const known = open(t, `rediss://localhost:${port}`, { tls: { ca: readFileSync(file("ca.pem")), servername: "payments.internal" } });
    assert.equal((await known.limit("a", hourly).take(1, 1)).permits, 1);
    await assert.rejects(open(t, `rediss://localhost:${port}`).limit("a", hourly).take(1, 1), /StoreAway: .*(?:certificate|self-signed)/);
  });

  test("keeps no process alive, whether Redis is there or not", async (t) => {
    const redis = await openRedis(t);
    const entry = new URL("../../../src/redis.ts", import.meta.url).href;
    for (const url of [redis.url, "redis://127.0.0.1:1"]) {
      const script = `import { redisStore } from ${JSON.stringify(entry)}; const limit = redisStore(${JSON.stringify(url)}).limit("a", { intervalMs: 1, burst: 1 }); await limit.take(1, 1).catch(() => 0); console.log("done");`;
      assert.equal(execFileSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8", timeout: 20_000 }), "done\n");
    }
  });

  test("after close nothing is answered", async (t) => {
    const { url } = await openRedis(t);
    const store = open(t, url);
    const limit = store.limit("a", hourly);
    await limit.take(1, 1);
    await store.close();
    await assert.rejects(limit.take(1, 1), /StoreAway: .* it was closed/);
  });
});
