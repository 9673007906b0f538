// Nothing of a call over Connect stays behind: listeners, permits, kept messages, streams that nobody reads.
import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { test } from "node:test";
import { Code } from "@connectrpc/connect";
import { bulkhead, retry, timeout } from "../../../src/index.ts";
import { doorOf } from "../../../src/transports/door.ts";
import { poolOf } from "../../../src/transports/pool.ts";
import { turns } from "../../harness/time.ts";
import { all, failure, texts } from "./service.ts";
import { openTrial } from "./trial.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void; // the cast: the flag has made it

const again = retry({ attempts: 2, methods: ["*"], backoff: { base: "0ms" } });

test("a signal that outlives many calls gathers no listeners", async (t) => {
  const { kinds } = await openTrial(t, [timeout("1m"), again, timeout("1m")]);
  const { signal } = new AbortController();
  for (let round = 0; round < 20; round++) {
    await kinds.say({ value: "a" }, { signal, timeoutMs: 60_000 });
    await kinds.collect(texts("a", "b"), { signal });
    await all(kinds.count({ value: "a" }, { signal }));
    await all(kinds.talk(texts("a"), { signal, timeoutMs: 60_000 }));
  }
  await turns();
  assert.equal(getEventListeners(signal, "abort").length, 0);
});

test("messages that were kept count for their client only while they are", async (t) => {
  const { client, kinds, server } = await openTrial(t, [again], [{ reads: 2, fail: Code.Unavailable }, {}, { fail: Code.Unavailable }]);
  const pool = poolOf(doorOf(client, "test"));
  const large = "x".repeat(10_000);
  let during = 0;
  async function* watching(): AsyncGenerator<{ value: string }> {
    for (let nth = 0; nth < 5; nth++) {
      yield { value: large };
      during = Math.max(during, pool.bytes);
    }
  }
  await kinds.collect(watching());
  assert.ok(during > 20_000, String(during));
  assert.equal(pool.bytes, 0);
  await failure(kinds.collect(watching()));
  assert.equal(server.seen.length, 4);
  assert.equal(pool.bytes, 0);
});

test("what all calls keep together is bounded: beyond, a call is sent once", async (t) => {
  const { client, kinds } = await openTrial(t, [again], [{ reads: 1, fail: Code.Unavailable }, {}]);
  const pool = poolOf(doorOf(client, "test"));
  pool.bytes = pool.limit;
  const error = await failure(kinds.collect(texts("a", "b")));
  assert.deepEqual(
    client.explain(error)?.decisions.map(({ what }) => what),
    ["committed-by-overflow", "body-not-replayable"],
  );
  assert.equal(pool.bytes, pool.limit);
});

test("a stream that nobody reads is cancelled once it is collected, and its permit comes back", async (t) => {
  const { client, kinds, server } = await openTrial(t, [timeout("10m"), bulkhead({ limit: 1 })], [{ sends: 1, hang: true }, {}]);
  let replies: AsyncIterator<unknown> | undefined = kinds.count({ value: "n" })[Symbol.asyncIterator]();
  await replies.next();
  replies = undefined;
  const active = (): unknown => Object.values(client.status().policies["kinds"]?.targets ?? {})[0]?.[0]?.state["active"];
  assert.equal(active(), 1);
  for (let round = 0; active() !== 0; round++) {
    assert.ok(round < 200, "it was not collected");
    collect();
    await turns(2);
  }
  await server.seen[0]?.over;
  assert.equal((await kinds.say({ value: "a" })).value, "a!");
});

test("a client that is closed has let every call come to its outcome", async (t) => {
  const { client, kinds } = await openTrial(t, [again], [{ fail: Code.Unavailable }, {}]);
  const calls = [kinds.say({ value: "a" }), kinds.collect(texts("a", "b"))];
  await client.close();
  assert.deepEqual((await Promise.all(calls)).map(({ value }) => value).length, 2);
});
