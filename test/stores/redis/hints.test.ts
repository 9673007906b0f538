// Hints over a real Redis: heard by others, and nothing that is old, odd or too much.
import assert from "node:assert/strict";
import { suite, test, type TestContext } from "node:test";
import { setTimeout as soon } from "node:timers/promises";
import { Redis } from "ioredis";
import type { SharedStore } from "../../../src/index.ts";
import { redisStore } from "../../../src/redis.ts";
import { noRedis, openRedis } from "../../harness/redis.ts";

function open(t: TestContext, url: string): SharedStore {
  const store = redisStore(url, { timeout: "2s" });
  t.after(() => store.close());
  return store;
}

/** Tells until it is heard: nobody can know when the other has subscribed. */
async function toldUntil(store: SharedStore, heard: readonly string[], hint: string): Promise<void> {
  while (!heard.includes(hint)) {
    store.hints.tell("a", hint);
    await soon(60); // no more than 20 are sent in a second
  }
}

suite("hints over Redis", { skip: noRedis }, () => {
  test("what one tells the others hear, and itself not; and again when Redis was away", async (t) => {
    const redis = await openRedis(t);
    const [one, two] = [open(t, redis.url), open(t, redis.url)];
    const [own, heard, elsewhere]: [string[], string[], string[]] = [[], [], []];
    one.hints.hear("a", (hint) => own.push(hint));
    two.hints.hear("a", (hint) => heard.push(hint));
    two.hints.hear("b", (hint) => elsewhere.push(hint));
    await toldUntil(one, heard, "first");
    assert.deepEqual([own, elsewhere], [[], []]);
    await redis.kill();
    one.hints.tell("a", "lost");
    await redis.start();
    await toldUntil(one, heard, "second");
    assert.ok(!heard.includes("lost"));
  });

  test("old, odd and too many are dropped", async (t) => {
    const { url } = await openRedis(t);
    const [one, two] = [open(t, url), open(t, url)];
    const heard: string[] = [];
    two.hints.hear("a", (hint) => heard.push(hint));
    await toldUntil(one, heard, "first");
    const redis = new Redis(url);
    t.after(() => redis.disconnect());
    const now = Date.now();
    const odd = [
      "",
      "{",
      "[]",
      "{}",
      "null",
      '["x",1,"a"]',
      '["x","1","a","odd"]',
      JSON.stringify(["x", now - 10_000, "a", "old"]),
      JSON.stringify(["x", now + 60_000, "a", "early"]),
      JSON.stringify(["x", now, "a", "long".repeat(200)]),
      JSON.stringify(["x", now, "a", { odd: 1 }]),
    ];
    for (const message of odd) assert.equal(await redis.publish("premesh:hints", message), 1);
    heard.length = 0;
    for (let n = 0; n < 200; n++) one.hints.tell("a", "many");
    await redis.publish("premesh:hints", JSON.stringify(["x", Date.now(), "a", "last"]));
    while (!heard.includes("last")) await soon(5);
    assert.ok(heard.length <= 41, `${heard.length}`); // 20 in a second, and a second may have turned
    assert.ok(heard.every((hint) => hint === "many" || hint === "last"));
  });

  test("whoever ended it hears no more", async (t) => {
    const { url } = await openRedis(t);
    const [one, two] = [open(t, url), open(t, url)];
    const [first, second]: [string[], string[]] = [[], []];
    const end = two.hints.hear("a", (hint) => first.push(hint));
    two.hints.hear("a", (hint) => second.push(hint));
    await toldUntil(one, first, "one");
    end();
    end();
    await toldUntil(one, second, "two");
    assert.ok(!first.includes("two"));
  });
});
