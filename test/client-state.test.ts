// Tests of the state that a client keeps: over a restart, over an update, while isolated, and when it closes.
import assert from "node:assert/strict";
import { test } from "node:test";
import { breaker, createClient, definePolicy, fallback, type Client, type LayerDefinition, type Policy } from "../src/index.ts";

const policy = (...layers: readonly LayerDefinition[]): Policy => definePolicy({ name: "p", layers });
const tripping = (name?: string): LayerDefinition =>
  breaker({ trip: { consecutive: 1 }, openFor: "10s", ...(name === undefined ? {} : { name }) });
const open = { code: "ERR_PREMESH_BREAKER_OPEN" };

const fail = (client: Client, target = "a"): Promise<void> =>
  assert.rejects(
    client.run("p", () => Promise.reject(new Error("down")), { target }),
    /down/,
  );
const call = (client: Client, target = "a"): Promise<string> => client.run("p", () => "ok", { target });

test("a restored breaker stays open for the time that remained, counted from the new client's start", async () => {
  let now = 0;
  const first = createClient({ policies: [policy(tripping())], now: () => now });
  await fail(first);
  now = 4_000;
  const snapshot: unknown = JSON.parse(JSON.stringify(first.snapshot()));

  now = 100;
  const second = createClient({ policies: [policy(tripping())], now: () => now, snapshot: snapshot as ReturnType<Client["snapshot"]> }); // the cast: JSON is untyped
  now = 6_000;
  await assert.rejects(call(second), { ...open, retryAfterMs: 100 });
  now = 6_100;
  assert.equal(await call(second), "ok");
});

test("a snapshot holds restored targets that were not called yet", async () => {
  let now = 0;
  const first = createClient({ policies: [policy(tripping())], now: () => now });
  await fail(first);
  const second = createClient({ policies: [policy(tripping())], now: () => now, snapshot: first.snapshot() });
  now = 3_000;
  assert.deepEqual(second.snapshot(), { p: { a: { 0: { phase: "open", openings: 1, remainingMs: 7_000 } } } });
});

test("a target that is first called later does not open a shared breaker again", async () => {
  let now = 0;
  const policies = [policy(tripping("shared"))];
  const first = createClient({ policies, now: () => now });
  await fail(first, "a");
  await assert.rejects(call(first, "b"), open);
  const second = createClient({ policies, now: () => now, snapshot: first.snapshot() });
  now = 10_000;
  assert.equal(await call(second, "a"), "ok");
  assert.equal(await call(second, "b"), "ok");
});

test("an isolated policy stays isolated when an update changes its breaker", async () => {
  const client = createClient({ policies: [policy(tripping())] });
  await call(client);
  client.isolate("p");
  client.update([policy(breaker())]);
  await assert.rejects(call(client), open);
  client.reset("p");
  assert.equal(await call(client), "ok");
});

test("an isolated policy is isolated for the target of its fallback too", async () => {
  const client = createClient({ policies: [policy(fallback({ response: { target: "http://backup.internal" } }), breaker())] });
  client.isolate("p");
  await assert.rejects(call(client), open);
});

test("every close waits for the calls under way, and ends", async () => {
  const client = createClient({ policies: [policy()] });
  const { promise, resolve } = Promise.withResolvers<string>();
  const running = client.run("p", () => promise);
  let closed = 0;
  const closes = [client.close(), client.close()].map((close) => close.then(() => closed++));
  await Promise.resolve();
  assert.equal(closed, 0);
  resolve("done");
  assert.equal(await running, "done");
  await Promise.all(closes);
});
