// Keys that several processes share over a real Redis: one of them dies in the middle, and Redis does.
import assert from "node:assert/strict";
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { describe, test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { noRedis, openRedis } from "../../harness/redis.ts";
import { post, problemOf } from "./service.ts";

interface Process {
  readonly port: number;
  readonly child: ChildProcess;
}

async function start(t: TestContext, ...args: readonly string[]): Promise<Process> {
  const child = fork(new URL("shared-service.ts", import.meta.url), args, { execArgv: [] });
  t.after(() => child.kill("SIGKILL"));
  const [{ port }] = (await once(child, "message")) as [AddressInfo]; // the cast: what the service sends
  return { port, child };
}

describe("keys that processes share", { skip: noRedis }, () => {
  test("what one process has answered, another gives again", async (t) => {
    const redis = await openRedis(t);
    const [one, other] = [await start(t, redis.url), await start(t, redis.url)];
    const first = await post(one, "k");
    const again = await post(other, "k");
    assert.deepEqual([first.status, again.status, again.body.toString()], [200, 200, "done"]);
    assert.equal(again.headers["x-by"], first.headers["x-by"]);
    assert.equal(again.headers["idempotency-replayed"], "true");
    assert.equal((await post(other, "k", { body: "other" })).status, 422);
  });

  test("a process that is killed in the middle leaves a key that nobody works on again", async (t) => {
    const redis = await openRedis(t);
    const [one, other] = [await start(t, redis.url, "300ms"), await start(t, redis.url, "300ms")];
    const lost = post(one, "k", { path: "/hang" });
    await once(one.child, "message");
    const running = await post(other, "k", { path: "/hang" });
    assert.equal(running.status, 409);
    assert.match(problemOf(running).detail, /under way/);
    one.child.kill("SIGKILL");
    await assert.rejects(lost);
    let answer = await post(other, "k", { path: "/hang" });
    while (/under way/.test(problemOf(answer).detail)) {
      await sleep(20); // until the lease is over, by the clock of Redis
      answer = await post(other, "k", { path: "/hang" });
    }
    assert.equal(answer.status, 409);
    assert.match(problemOf(answer).detail, /not known/);
  });

  test("while Redis is away a call with a key is not done, and one without is", async (t) => {
    const redis = await openRedis(t);
    const one = await start(t, redis.url);
    assert.equal((await post(one, "k")).status, 200);
    await redis.kill();
    const refused = await post(one, "k");
    assert.deepEqual([refused.status, refused.headers["retry-after"]], [503, "1"]);
    assert.match(problemOf(refused).detail, /nothing was done/);
    assert.equal((await post(one, undefined)).status, 200);
    await redis.start();
    let back = await post(one, "new");
    while (back.status === 503) {
      await sleep(20); // until it is connected again
      back = await post(one, "new");
    }
    assert.equal(back.status, 200);
  });
});
