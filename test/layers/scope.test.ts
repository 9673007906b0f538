// Scope: state is one per target by position, and one in all where a name is shared.
import assert from "node:assert/strict";
import test from "node:test";
import { breaker, bulkhead, createClient, definePolicy, type LayerDefinition, rateLimit, retry } from "../../src/index.ts";
import { gate, turns } from "../harness/time.ts";
import { openUpstream } from "../harness/upstream.ts";

const trip = { consecutive: 1 } as const;
const codeOf = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => "ok",
    (error: unknown) => (error as { code?: unknown }).code, // the cast: any error can be asked
  );
const down = (): never => {
  throw new Error("down");
};

test("two hosts have separate state", async (t) => {
  const [bad, good] = [await openUpstream(t, [{ status: 500 }]), await openUpstream(t, [{}])];
  const client = createClient({ policies: [definePolicy({ name: "p", match: [{ host: "*" }], layers: [breaker({ trip })] })] });
  await (await client.fetch(bad.url)).text();
  assert.equal(await codeOf(client.fetch(bad.url)), "ERR_PREMESH_BREAKER_OPEN");
  assert.equal((await client.fetch(good.url)).status, 200);
});

test("two targets of run have separate state, for every kind that keeps some", async () => {
  const layers: readonly LayerDefinition[] = [rateLimit({ rate: 1, per: "1h" }), bulkhead({ limit: 1 })];
  for (const layer of layers) {
    const client = createClient({ policies: [definePolicy({ name: "p", layers: [layer] })] });
    const held = gate();
    const first = client.run("p", () => held.promise, { target: "a" });
    assert.match(String(await codeOf(client.run("p", () => 1, { target: "a" }))), /RATE_LIMITED|BULKHEAD_FULL/);
    assert.equal(await codeOf(client.run("p", () => 1, { target: "b" })), "ok");
    held.open();
    await first;
  }
});

test("two layers of one policy without a name have separate state, even if they are equal", async () => {
  const twice = [bulkhead({ limit: 1 }), bulkhead({ limit: 1 })];
  const client = createClient({ policies: [definePolicy({ name: "p", layers: twice })] });
  assert.equal(await codeOf(client.run("p", () => 1)), "ok", "shared, the second would refuse what the first lets pass");
});

test("layers with one name share one state, over policies and targets", async () => {
  const shared = breaker({ name: "database", trip });
  const client = createClient({
    policies: [
      definePolicy({ name: "reads", layers: [shared] }),
      definePolicy({ name: "writes", layers: [retry({ attempts: 1 }), shared] }),
    ],
  });
  await codeOf(client.run("reads", down, { target: "a" }));
  assert.equal(await codeOf(client.run("writes", () => 1, { target: "b" })), "ERR_PREMESH_BREAKER_OPEN");
  client.reset("writes");
  assert.equal(await codeOf(client.run("reads", () => 1, { target: "c" })), "ok");
});

test("a shared bulkhead is one line: who waits in one policy gets the place that another gives back", async () => {
  const shared = bulkhead({ name: "pool", limit: 1, queue: { size: 1 } });
  const client = createClient({ policies: ["a", "b"].map((name) => definePolicy({ name, layers: [shared] })) });
  const held = gate();
  const first = client.run("a", () => held.promise);
  const second = client.run("b", () => "second");
  await turns();
  assert.equal(await codeOf(client.run("a", () => 1)), "ERR_PREMESH_BULKHEAD_FULL");
  held.open();
  await first;
  assert.equal(await second, "second");
});

test("the same name in two clients is two states", async () => {
  const policy = definePolicy({ name: "p", layers: [breaker({ name: "database", trip })] });
  const [one, two] = [createClient({ policies: [policy] }), createClient({ policies: [policy] })];
  await codeOf(one.run("p", down));
  assert.equal(await codeOf(two.run("p", () => 1)), "ok");
});
