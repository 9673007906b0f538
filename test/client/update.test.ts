// update and the state of a client: swapped as a whole, kept where nothing changed, plain JSON to look at and to take along.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  breaker,
  bulkhead,
  type Client,
  createClient,
  definePolicy,
  type LayerDefinition,
  type Policy,
  PolicyError,
  rateLimit,
  retry,
  timeout,
} from "../../src/index.ts";

const named = (name: string, ...layers: LayerDefinition[]): Policy => definePolicy({ name, layers });

const trip = breaker({ trip: { consecutive: 2 }, openFor: "10s" });
const limit = rateLimit({ rate: 2, per: "1h" });

const good = (client: Client, policy = "p", target = "t"): Promise<unknown> => client.run(policy, () => "good", { target });
const bad = (client: Client, policy = "p", target = "t"): Promise<unknown> =>
  client.run(policy, () => Promise.reject(new Error("bad")), { target }).catch(() => "bad");
const open = { code: "ERR_PREMESH_BREAKER_OPEN" };

async function opened(client: Client): Promise<void> {
  await bad(client);
  await bad(client);
  await assert.rejects(good(client), open);
}

describe("update", () => {
  test("puts all policies in place at once, or none: a bad set throws with all issues and the old one stays", async () => {
    const client = createClient({ policies: [named("p", trip)] });
    await opened(client);
    const before = client.status();
    assert.throws(
      () => client.update([named("p"), { name: "q", layers: [{ kind: "retri" }] }, { name: "a b", layers: [] }] as never),
      (error) => {
        assert.ok(error instanceof PolicyError && error.code === "ERR_PREMESH_INVALID_POLICY");
        assert.deepEqual(
          error.issues.map(({ path }) => path),
          ["policies[1].layers[0].kind", "policies[2].name"],
        );
        return true;
      },
    );
    assert.throws(() => client.update([named("p"), named("p")]), { code: "ERR_PREMESH_INVALID_POLICY" });
    for (const none of [undefined, null, 5, named("p")])
      assert.throws(() => client.update(none as never), {
        code: "ERR_PREMESH_INVALID_OPTIONS",
        message: "client.update needs a list of policies",
      }); // the cast: that is what is tested
    assert.equal(client.status().policies["p"]?.revision, before.policies["p"]?.revision);
    await assert.rejects(good(client), open);
  });

  test("keeps the state of layers that stay, wherever they stand now", async () => {
    const client = createClient({ policies: [named("p", trip, limit)], now: () => 0 });
    await opened(client);
    client.update([named("p", retry(), timeout("5s"), trip)]);
    await assert.rejects(good(client), open);
    client.reset("p");
    const other = createClient({ policies: [named("p", limit)], now: () => 0 });
    await good(other);
    await good(other);
    other.update([named("p", timeout("1s"), limit)]);
    await assert.rejects(good(other), { code: "ERR_PREMESH_RATE_LIMITED" });
  });

  test("keeps state where only the spelling changed", async () => {
    const client = createClient({ policies: [named("p", trip)] });
    await opened(client);
    client.update([definePolicy({ layers: [{ openFor: "10000ms", trip: { consecutive: 2 }, kind: "breaker" }], name: "p" })]);
    await assert.rejects(good(client), open);
  });

  test("lets a changed layer start anew", async () => {
    const client = createClient({ policies: [named("p", trip)] });
    await opened(client);
    client.update([named("p", breaker({ trip: { consecutive: 3 }, openFor: "10s" }))]);
    assert.equal(await good(client), "good");
  });

  test("harms no call under way: it ends under the layers with which it began", async () => {
    const client = createClient({ policies: [named("p", bulkhead({ limit: 1 }))] });
    const { promise, resolve } = Promise.withResolvers<string>();
    const call = client.run("p", () => promise, { target: "t" });
    client.update([named("p", timeout("5s"), bulkhead({ limit: 1 }))]);
    await assert.rejects(good(client), { code: "ERR_PREMESH_BULKHEAD_FULL" }, "the place is still taken");
    client.update([]);
    await assert.rejects(good(client), { code: "ERR_PREMESH_UNKNOWN_POLICY" });
    resolve("done");
    assert.equal(await call, "done");
  });

  test("forgets a policy that is gone, with its state", async () => {
    const client = createClient({ policies: [named("p", trip), named("q")] });
    await opened(client);
    client.update([named("q")]);
    assert.deepEqual(Object.keys(client.status().policies), ["q"]);
    client.update([named("p", trip)]);
    assert.equal(await good(client), "good");
  });

  test("changes what fetch matches", async () => {
    const client = createClient({ policies: [], fetch: () => Promise.resolve(new Response("ok")) });
    assert.equal(client.explain(await client.fetch("http://a/")), undefined);
    client.update([definePolicy({ name: "p", match: [{ host: "a" }], layers: [] })]);
    assert.equal(client.explain(await client.fetch("http://a/"))?.policy, "p");
  });
});

describe("status and snapshot", () => {
  test("are plain JSON, with every layer that keeps state, by policy and target", async () => {
    const client = createClient({ policies: [named("p", limit, retry(), trip, bulkhead({ limit: 5, name: "db" }))] });
    await bad(client);
    await good(client, "p", "u");
    for (const data of [client.status(), client.snapshot()]) assert.deepEqual(JSON.parse(JSON.stringify(data)), data);
    const { targets } = client.status().policies["p"] ?? {};
    assert.deepEqual(Object.keys(targets ?? {}), ["t", "u"]);
    assert.deepEqual(
      targets?.["t"]?.map(({ kind, layer, index }) => [kind, layer, index]),
      [
        ["rateLimit", "rateLimit", 0],
        ["retry", "retry", 1],
        ["breaker", "breaker", 2],
        ["bulkhead", "db", 3],
      ],
    );
  });

  test("lead through a restart: an open breaker stays open for the time that remained", async () => {
    let now = 0;
    const first = createClient({ policies: [named("p", trip)], now: () => now });
    await opened(first);
    now = 4_000;
    const saved = JSON.stringify(first.snapshot());
    let then = 1_000_000;
    const second = createClient({ policies: [named("p", trip)], now: () => then, snapshot: JSON.parse(saved) });
    await assert.rejects(good(second), { ...open, retryAfterMs: 6_000 });
    then += 6_000;
    assert.equal(await good(second), "good");
  });

  for (const snapshot of [
    null,
    5,
    "text",
    [],
    { p: null },
    { p: 5 },
    { p: { t: null } },
    { p: { t: { "0": null } } },
    { p: { t: { "0": 5, "7": {} } } },
    { p: { t: { "0": { phase: 5, openings: "x", remainingMs: -1 } } } },
    { other: { t: { "0": {} } } },
  ]) {
    test(`takes a snapshot that is none as nothing: ${JSON.stringify(snapshot)}`, async () => {
      const client = createClient({ policies: [named("p", trip)], snapshot: snapshot as never }); // the cast: that is what is tested
      assert.equal(await good(client), "good");
    });
  }
});

describe("isolate and reset", () => {
  test("shut every target of a policy, those to come too, and open them again", async () => {
    const client = createClient({ policies: [named("p", trip), named("q", trip)] });
    await good(client, "p", "seen");
    client.isolate("p");
    await assert.rejects(good(client, "p", "seen"), open);
    await assert.rejects(good(client, "p", "unseen"), open);
    assert.equal(await good(client, "q"), "good");
    client.reset("p");
    assert.equal(await good(client, "p", "seen"), "good");
    assert.equal(await good(client, "p", "unseen"), "good");
  });

  test("put limits back to full", async () => {
    const client = createClient({ policies: [named("p", limit)] });
    await good(client);
    await good(client);
    await assert.rejects(good(client), { code: "ERR_PREMESH_RATE_LIMITED" });
    client.reset("p");
    assert.equal(await good(client), "good");
  });

  test("need a breaker to isolate with", () => {
    const client = createClient({ policies: [named("p", retry())] });
    assert.throws(() => client.isolate("p"), { code: "ERR_PREMESH_INVALID_OPTIONS", message: /add breaker\(\)/ });
  });
});

describe("close", () => {
  test("waits for calls under way, refuses new ones, and lets what nothing matches pass", async () => {
    const client = createClient({
      policies: [named("p", trip), definePolicy({ name: "q", match: [{ host: "a" }], layers: [] })],
      fetch: () => Promise.resolve(new Response("ok")),
    });
    const { promise, resolve } = Promise.withResolvers<string>();
    const call = client.run("p", () => promise);
    let closed = false;
    const closing = Promise.all([client.close().then(() => (closed = true)), client.close()]);
    const refused = { name: "PolicyError", code: "ERR_PREMESH_CLIENT_CLOSED" };
    await assert.rejects(good(client), refused);
    await assert.rejects(client.fetch("http://a/"), refused);
    assert.equal(await (await client.fetch("http://b/")).text(), "ok");
    assert.equal(closed, false);
    resolve("done");
    assert.equal(await call, "done");
    await closing;
    await client.close();
  });

  test("counts calls that fail", async () => {
    const client = createClient({ policies: [named("p")] });
    const call = client.run("p", () => Promise.reject(new Error("x")));
    const closing = client.close();
    await assert.rejects(call, { message: "x" });
    await closing;
  });
});

test("a policy keeps state for a bounded number of targets, and forgets those that were not used of late", async () => {
  const client = createClient({ policies: [named("p", trip)] });
  const most = 16_384;
  await opened(client);
  const { promise, resolve } = Promise.withResolvers<string>();
  const underWay = client.run("p", () => promise, { target: "first" });
  for (let target = 0; target < most + 1_000; target++) {
    await good(client, "p", `t${target}`);
    if (target % 1_000 === 0) await assert.rejects(good(client), open, "a target in use is not forgotten");
  }
  assert.equal(Object.keys(client.status().policies["p"]?.targets ?? {}).length, most);
  resolve("done");
  assert.equal(await underWay, "done", "a call to a target that was forgotten goes on");
});
