// Law: a call with a key is done at most once for each lease, and all who come with the key get one answer, whoever crashes and however long it takes.
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { AnswerStore } from "../../src/call/answers.ts";
import { memoryStore } from "../../src/layers/idempotency/memory.ts";
import { redisStore } from "../../src/redis.ts";
import { noRedis, openRedis } from "../harness/redis.ts";
import { KEEP, LEASE, play, type Step, steps } from "./idempotency-model.ts";

/** A clock of its own for a store in the process. */
function memory(bounds = { records: 1_000, bytes: 1e6 }): { readonly store: AnswerStore; readonly pass: (ms: number) => void } {
  let now = 0;
  return {
    store: memoryStore(
      () => now,
      bounds,
      () => undefined,
    ),
    pass: (ms) => void (now += ms),
  };
}

for (const repeat of [false, true]) {
  test(`in the process, ${repeat ? "where what is lost is repeated" : "where what is lost is refused"}`, async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (list) => {
        const { store, pass } = memory();
        await play(store, list, { repeat, pass });
      }),
      { numRuns: 500 },
    );
  });
}

test("bounds let go of what is done, the one used longest ago first, and never of what is taken", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.record({ key: fc.nat(7), finish: fc.boolean(), size: fc.nat(60) }), { maxLength: 60 }), async (list) => {
      const said: string[] = [];
      const store = memoryStore(
        () => 0,
        { records: 4, bytes: 100 },
        (what) => said.push(what),
      );
      const taken = new Set<string>();
      for (const { key, finish, size } of list) {
        const id = `k${key}`;
        const begun = await store.begin(id, "asked", { leaseMs: LEASE, keepMs: KEEP, repeat: false });
        assert.equal(begun.state === "running", taken.has(id));
        if (begun.state === "full") assert.equal(taken.size, 4);
        if (begun.state === "begun") {
          taken.add(id);
          const answer = { status: 200, fields: [], body: new Uint8Array(size), trailers: [] };
          if (finish && (await store.finish(id, begun.token, answer, KEEP))) taken.delete(id);
        }
        const count = store.count();
        assert.equal(count.taken, taken.size);
        assert.ok(count.taken + count.done <= 4 && count.bytes <= 100, JSON.stringify(count));
      }
    }),
  );
});

describe("over a Redis", { skip: noRedis }, () => {
  for (const repeat of [false, true]) {
    test(`the same, by steps that do not wait, ${repeat ? "repeated" : "refused"}`, async (t) => {
      const redis = await openRedis(t);
      const [one, other] = [redisStore(redis.url, { timeout: "10s" }), redisStore(redis.url, { timeout: "10s" })];
      t.after(() => Promise.all([one.close(), other.close()]));
      let run = 0;
      // each call by either of two processes' connections
      const both: AnswerStore = {
        begin: (...args) => (run++ % 2 === 0 ? one : other).answers.begin(...args),
        renew: (...args) => (run++ % 2 === 0 ? one : other).answers.renew(...args),
        finish: (...args) => (run++ % 2 === 0 ? one : other).answers.finish(...args),
        giveUp: (...args) => (run++ % 2 === 0 ? one : other).answers.giveUp(...args),
      };
      const still = steps.map((list) => list.filter((step: Step) => step.do !== "pass"));
      let nth = 0;
      await fc.assert(
        fc.asyncProperty(still, async (list) => play(both, list, { repeat, pass: () => undefined, prefix: `${++nth}-` })),
        { numRuns: 100 },
      );
    });
  }

  test("a lease runs out by the server's clock; whoever was slower changes nothing", async (t) => {
    const redis = await openRedis(t);
    const shared = redisStore(redis.url, { timeout: "10s" });
    t.after(() => shared.close());
    const { answers } = shared;
    const terms = { leaseMs: 30, keepMs: 60_000, repeat: false };
    const first = await answers.begin("k", "a", terms);
    assert.ok(first.state === "begun");
    await until(async () => (await answers.begin("k", "a", terms)).state === "lost");
    assert.deepEqual(await answers.begin("k", "b", { ...terms, repeat: true }), { state: "lost", asked: "a" });
    const second = await answers.begin("k", "a", { ...terms, leaseMs: 60_000, repeat: true });
    assert.ok(second.state === "begun" && second.again);
    const answer = { status: 200, fields: [["a", "b"]] as const, body: Buffer.from([0, 255, 10]), trailers: [] };
    assert.equal(await answers.finish("k", first.token, answer, 60_000), false);
    assert.equal(await answers.renew("k", first.token, 60_000), false);
    await answers.giveUp("k", first.token);
    assert.deepEqual(await answers.begin("k", "a", terms), { state: "running", asked: "a" });
    assert.equal(await answers.finish("k", second.token, answer, 60_000), true);
    const kept = await answers.begin("k", "a", terms);
    assert.ok(kept.state === "done" && kept.answer !== undefined);
    assert.deepEqual([...kept.answer.body], [0, 255, 10]);
  });

  test("an answer is forgotten when its time is over", async (t) => {
    const redis = await openRedis(t);
    const shared = redisStore(redis.url, { timeout: "10s" });
    t.after(() => shared.close());
    const terms = { leaseMs: 20, keepMs: 40, repeat: false };
    const first = await shared.answers.begin("k", "a", terms);
    assert.ok(first.state === "begun");
    await shared.answers.finish("k", first.token, undefined, 40);
    await until(async () => (await shared.answers.begin("k", "b", terms)).state === "begun");
  });

  test("a Redis that is away says so, and nothing is taken", async (t) => {
    const redis = await openRedis(t);
    const shared = redisStore(redis.url, { timeout: "10s" });
    t.after(() => shared.close());
    const terms = { leaseMs: 1_000, keepMs: 10_000, repeat: false };
    assert.equal((await shared.answers.begin("k", "a", terms)).state, "begun");
    await redis.kill();
    await assert.rejects(shared.answers.begin("other", "a", terms), { name: "StoreAway" });
    await redis.start();
    await until(async () => {
      const begun = await shared.answers.begin("other", "a", terms).catch(() => undefined);
      return begun?.state === "begun";
    });
  });
});

/** Asks again until it holds: what is waited for is another process's clock, which no test can set. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await sleep(5);
}
