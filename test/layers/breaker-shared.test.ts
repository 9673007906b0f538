// breaker with `shared`: an opening is told to other processes, which try the peer with care.
import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { breaker, type BreakerOptions, createClient, definePolicy, route } from "../../src/index.ts";
import { type Bare, bare, heldAnswer, ok, reset } from "../harness/bare.ts";
import { memoryStore, type MemoryStore } from "../harness/store.ts";
import { stoppedTime, type Time, turns } from "../harness/time.ts";

interface Two {
  readonly time: Time;
  readonly store: MemoryStore;
  readonly first: Bare;
  readonly second: Bare;
}

function two(t: TestContext, options: BreakerOptions = {}): Two {
  const time = stoppedTime(t);
  const store = memoryStore();
  const layers = [breaker({ trip: { consecutive: 1 }, openFor: "5s", shared: true, ...options })];
  return { time, store, first: bare(layers, { shared: store }), second: bare(layers, { shared: store }) };
}

const phase = (one: Bare, target?: string): unknown => one.status("breaker", target)["phase"];

/** Its state for the target is there. */
const used = async (one: Bare, target = "peer"): Promise<void> => void (await one.call({ target }));

async function fail(one: Bare, target = "peer"): Promise<void> {
  one.answers(reset);
  await one.call({ target });
  one.answers(ok);
}

test("another process goes half-open, and its probe decides", async (t) => {
  const { first, second } = two(t);
  await used(second);
  await fail(first);
  assert.deepEqual([phase(first), phase(second)], ["open", "half-open"]);
  assert.deepEqual(second.whats(), ["hinted"]);
  assert.equal((await second.call()).ok, true);
  assert.deepEqual([phase(second), second.whats()], ["closed", ["hinted", "closed"]]);
});

test("a failed probe opens it, at once and for all others", async (t) => {
  const { first, second } = two(t, { trip: { consecutive: 20 } });
  await used(second);
  for (let n = 0; n < 20; n++) await fail(first);
  await fail(second);
  assert.deepEqual([phase(first), phase(second)], ["open", "open"]);
});

test("while the probe is under way others are refused, and a hung one does not lock it", async (t) => {
  const { time, first, second } = two(t);
  await used(second);
  await fail(first);
  const held = heldAnswer();
  second.answers(held.answer, ok);
  const probe = second.call();
  await turns();
  assert.equal((await second.call()).ok, false);
  await time.pass(5_000);
  assert.equal((await second.call()).ok, false);
  await time.pass(5_000);
  assert.equal((await second.call()).ok, true);
  held.release();
  await probe;
});

test("other targets, other breakers and those without shared hear nothing", async (t) => {
  const { store, first, second } = two(t);
  const alone = bare([breaker({ trip: { consecutive: 1 } })], { shared: store });
  await used(second, "elsewhere");
  await used(alone);
  await fail(first);
  assert.deepEqual([phase(second, "elsewhere"), phase(alone)], ["closed", "closed"]);
});

test("a hint is heeded once in openFor, and nonsense never", async (t) => {
  const { time, store, first, second } = two(t);
  await used(second);
  await fail(first);
  await second.call();
  const { id = "" } = store.told[0] ?? {};
  store.hints.tell(id, "opened");
  assert.equal(phase(second), "closed");
  await time.pass(5_000);
  for (const nonsense of ["", "closed", "{}", "opened!", "x".repeat(10_000)]) store.hints.tell(id, nonsense);
  assert.equal(phase(second), "closed");
  store.hints.tell(id, "opened");
  assert.equal(phase(second), "half-open");
});

test("one that is open, half-open or isolated stays as it is", async (t) => {
  const { store, second } = two(t);
  await used(second);
  await fail(second);
  const { id = "" } = store.told[0] ?? {};
  const before = second.status("breaker");
  store.hints.tell(id, "opened");
  assert.deepEqual(second.status("breaker"), before);
  second.state("breaker").isolate?.();
  store.hints.tell(id, "opened");
  assert.equal(phase(second), "isolated");
});

test("in shadow it neither tells nor hears, and without a store it works alone", async (t) => {
  const { store, second } = two(t, { shadow: true });
  await used(second);
  await fail(second);
  assert.deepEqual(store.told, []);
  const without = bare([breaker({ trip: { consecutive: 1 }, shared: true })]);
  await fail(without);
  assert.equal(phase(without), "open");
});

test("whoever has gone hears no more: a target whose policy has changed, an endpoint that has left, a client that was closed", async () => {
  const store = memoryStore(() => 0);
  let hearing = 0;
  const counting = {
    ...store,
    hints: {
      ...store.hints,
      hear: (id: string, heard: (hint: string) => void) => {
        hearing++;
        const end = store.hints.hear(id, heard);
        return () => {
          hearing--;
          end();
        };
      },
    },
  };
  const policy = (openFor: "5s" | "6s", endpoints: readonly string[]): ReturnType<typeof definePolicy> =>
    definePolicy({
      name: "api",
      match: [{ host: "*" }],
      layers: [breaker({ openFor, shared: true }), route({ to: [{ endpoints }] }), breaker({ openFor, shared: true })],
    });
  const fetch = (): Promise<Response> => Promise.resolve(new Response("ok"));
  const [a, b] = ["http://10.0.0.1", "http://10.0.0.2"];
  const client = createClient({ policies: [policy("5s", [a, b])], shared: counting, fetch, now: () => 0 });
  for (let n = 0; n < 4; n++) await client.fetch("http://api.internal/");
  assert.equal(hearing, 3);
  client.update([policy("6s", [a, b])]);
  for (let n = 0; n < 4; n++) await client.fetch("http://api.internal/");
  assert.equal(hearing, 3);
  client.update([policy("6s", [a])]);
  await client.fetch("http://api.internal/");
  assert.equal(hearing, 2);
  await client.close();
  assert.equal(hearing, 0);
});
