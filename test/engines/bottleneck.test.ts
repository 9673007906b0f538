// Traps of Bottleneck over Redis: each is closed in premesh/redis (test/stores/redis/limits.test.ts); a pin here notices when the engine mends it.
import assert from "node:assert/strict";
import { suite, test, type TestContext } from "node:test";
import Bottleneck from "bottleneck";
import { Redis } from "ioredis";
import { noRedis, openRedis } from "../harness/redis.ts";

async function clustered(t: TestContext, url: string, options: Bottleneck.ConstructorOptions): Promise<Bottleneck> {
  const limiter = new Bottleneck({ id: "one", datastore: "ioredis", clientOptions: { port: Number(new URL(url).port) }, ...options });
  limiter.on("error", () => undefined);
  t.after(() => limiter.disconnect(false));
  await limiter.ready();
  return limiter;
}

test("what is used of its store is there", () => {
  const limiter = new Bottleneck() as unknown as { readonly _store: Record<string, unknown> }; // the cast: it is private
  for (const name of ["__register__", "__currentReservoir__", "__incrementReservoir__"])
    assert.equal(typeof limiter._store[name], "function", name);
  assert.equal((Bottleneck as unknown as { readonly version: string }).version, "2.19.5"); // the cast: its types leave it out
});

suite("Bottleneck over Redis", { skip: noRedis }, () => {
  test("pin: a client whose clock runs ahead fills the reservoir", async (t) => {
    const { url } = await openRedis(t);
    const options = { reservoir: 5, reservoirIncreaseInterval: 60_000, reservoirIncreaseAmount: 5, reservoirIncreaseMaximum: 5 };
    const [right, wrong] = [await clustered(t, url, options), await clustered(t, url, options)];
    for (let n = 0; n < 5; n++) await right.schedule(() => Promise.resolve());
    assert.equal(await right.currentReservoir(), 0);
    const real = Date.now;
    t.mock.method(Date, "now", () => real() + 3_600_000);
    assert.equal(await wrong.currentReservoir(), 5);
  });

  test("pin: the first client's settings win", async (t) => {
    const { url } = await openRedis(t);
    await clustered(t, url, { reservoir: 1 });
    assert.equal(await (await clustered(t, url, { reservoir: 100 })).currentReservoir(), 1);
  });

  test("pin: it does not know its own error of a Redis 7 that was flushed", async (t) => {
    const { url } = await openRedis(t);
    const limiter = await clustered(t, url, { reservoir: 5 });
    const redis = new Redis(url);
    t.after(() => redis.disconnect());
    await redis.flushall();
    await assert.rejects(
      limiter.schedule(() => Promise.resolve()),
      /^ReplyError: ERR SETTINGS_KEY_NOT_FOUND/,
    );
  });
});
