// rateLimit with `shared`: permits leased from a store, spent in the process; and what happens while the store is away.
import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import fc from "fast-check";
import { createClient, definePolicy, PolicyError, rateLimit, type RateLimitOptions } from "../../../src/index.ts";
import type { Call } from "../../../src/call/call.ts";
import { type Bare, bare, failureOf } from "../../harness/bare.ts";
import { memoryStore, type MemoryStore } from "../../harness/store.ts";
import { stoppedTime, type Time, turns, watch } from "../../harness/time.ts";

interface Fleet {
  readonly time: Time;
  readonly store: MemoryStore;
  readonly processes: readonly Bare[];
}

/** Processes that share one limit; time stands still. */
function fleet(t: TestContext, options: Omit<RateLimitOptions, "shared">, count = 1): Fleet {
  const time = stoppedTime(t);
  const store = memoryStore();
  store.seen = count;
  const processes = Array.from({ length: count }, (_, n) =>
    bare([rateLimit({ ...options, shared: true })], { shared: store, random: () => ((n + 1) * 0.37) % 1 }),
  );
  return { time, store, processes };
}

const only = (processes: readonly Bare[]): Bare => processes[0] as Bare; // the cast: a fleet has at least one

const passed = async (calls: readonly Promise<{ readonly ok: boolean }>[]): Promise<number> =>
  (await Promise.all(calls)).filter(({ ok }) => ok).length;

test("processes spend one limit together: the burst once, and then what flows", async (t) => {
  const { time, processes } = fleet(t, { rate: 100, per: "1s", burst: 10 }, 4);
  const tried = async (): Promise<number> => passed(processes.flatMap((one) => Array.from({ length: 10 }, () => one.call())));
  assert.equal(await tried(), 10);
  let later = 0;
  for (let n = 0; n < 100; n++) {
    await time.pass(10);
    later += await tried();
  }
  assert.ok(later >= 95 && later <= 100, `${later} of 100 in a second`);
});

test("a small limit is leased call by call, a busy process leases for what comes in 50 ms", async (t) => {
  const { time, store, processes } = fleet(t, { rate: 10, per: "1h", burst: 3 });
  for (let n = 0; n < 3; n++) assert.equal((await only(processes).call()).ok, true);
  assert.deepEqual(
    store.takes.map(({ permits }) => permits),
    [1, 1, 1],
  );
  await time.pass(1);
  const other = memoryStore();
  const busy = bare([rateLimit({ rate: 1_000, per: "1s", shared: true })], { shared: other });
  for (let n = 0; n < 1_000; n++) {
    await time.pass(1);
    assert.equal((await busy.call()).ok, true);
  }
  const { length } = other.takes;
  assert.ok(length >= 15 && length <= 60, `${length} leases for 1000 calls`);
  assert.ok(Math.max(...other.takes.map(({ most }) => most)) <= 60);
});

test("a call spends a leased permit without waiting, and the next lease is asked for before the last permit is gone", async (t) => {
  const { store, processes } = fleet(t, { rate: 1_000, per: "1s" });
  const process = only(processes);
  await Promise.all(Array.from({ length: 20 }, () => process.call()));
  store.hold();
  for (let n = 0; n < 5; n++) {
    const call = watch(process.call());
    await turns(1);
    assert.equal(call.settled, true);
  }
  store.release();
});

test("what is not spent goes back", async (t) => {
  const { time, store, processes } = fleet(t, { rate: 1_000, per: "1s" });
  await Promise.all(Array.from({ length: 20 }, () => only(processes).call()));
  await turns();
  const available = Number(only(processes).status("rateLimit")["available"]);
  await time.pass(250);
  assert.deepEqual(store.returned, available === 0 ? [] : [available]);
  assert.equal(only(processes).status("rateLimit")["available"], 0);
});

test("an aborted waiter leaves at once, and its permit goes to the next or back", async (t) => {
  const { time, store, processes } = fleet(t, { rate: 1, per: "1m", burst: 1 });
  store.hold();
  const controller = new AbortController();
  const aborted = watch(only(processes).call({ signal: controller.signal }));
  await turns();
  controller.abort();
  await turns();
  assert.equal(aborted.settled, true);
  store.release();
  await turns();
  only(processes).idle();
  await time.pass(250);
  assert.deepEqual(store.returned, [1]);
  assert.equal((await only(processes).call()).ok, true);
});

test("a refusal knows what the store said, and asks nobody until then", async (t) => {
  const { time, store, processes } = fleet(t, { rate: 1, per: "10s", burst: 1 });
  assert.equal((await only(processes).call()).ok, true);
  const refused = failureOf(await only(processes).call());
  assert.deepEqual([refused.retryAfterMs, refused.limit], [10_000, { burst: 1, rate: 1, perMs: 10_000, remaining: 0, resetMs: 10_000 }]);
  const asked = store.takes.length;
  await time.pass(5_000);
  assert.equal(failureOf(await only(processes).call()).retryAfterMs, 5_000);
  assert.equal(store.takes.length, asked);
  await time.pass(5_000);
  assert.equal((await only(processes).call()).ok, true);
});

test("a queue waits for permits of the store, first come, first served", async (t) => {
  const { time, processes } = fleet(t, { rate: 10, per: "1s", burst: 1, queue: { size: 3, timeout: "1s" } });
  const order: number[] = [];
  const all = [0, 1, 2].map(async (n) => {
    const outcome = await only(processes).call();
    if (outcome.ok) order.push(n);
  });
  for (let n = 0; n < 40; n++) await time.pass(10);
  await Promise.all(all);
  assert.deepEqual(order, [0, 1, 2]);
  only(processes).idle();
});

test("calls that count for several take so many permits", async (t) => {
  const { store, processes } = fleet(t, { rate: 10, per: "1h", burst: 10, cost: { header: "X-Cost" } });
  const call = (cost: string): Promise<{ readonly ok: boolean }> =>
    only(processes).call({ metadata: { get: (name) => (name === "x-cost" ? cost : undefined) } });
  assert.deepEqual([(await call("6")).ok, (await call("5")).ok, (await call("4")).ok, (await call("1")).ok], [true, false, true, false]);
  assert.equal(
    store.takes.reduce((sum, { permits }) => sum + permits, 0),
    10,
  );
});

for (const [onStoreLoss, expected] of [
  ["local", 100 / 4],
  ["open", 1_000],
  ["closed", 0],
] as const) {
  test(`while the store is away: ${onStoreLoss}; it is said once, and once when it is back`, async (t) => {
    const { time, store, processes } = fleet(t, { rate: 100, per: "1s", burst: 4, onStoreLoss });
    const process = only(processes);
    store.seen = 4;
    assert.equal((await process.call()).ok, true);
    store.away = true;
    await time.pass(300); // a leased permit would go back
    await process.call();
    let through = 0;
    for (let n = 0; n < 1_000; n++) {
      if ((await process.call()).ok) through++;
      await time.pass(1);
    }
    assert.ok(Math.abs(through - expected) <= 2, `${through}, expected ${expected}`);
    assert.deepEqual(
      process.whats().filter((what) => what.startsWith("store-")),
      ["store-lost"],
    );
    assert.equal(process.status("rateLimit")["store"], "away");
    store.away = false;
    await time.pass(3_000);
    await process.call(); // asks again, beside the call
    await turns();
    assert.equal(process.status("rateLimit")["store"], "up");
    assert.deepEqual(
      process.whats().filter((what) => what.startsWith("store-")),
      ["store-lost", "store-back"],
    );
    assert.equal((await process.call()).ok, true);
  });
}

test("no call waits for a store that is known to be away, and those that wait when it goes are let go", async (t) => {
  const { store, processes } = fleet(t, { rate: 100, per: "1s", burst: 4 });
  store.hold();
  const waiting = [0, 1, 2].map(() => watch(only(processes).call()));
  await turns();
  store.away = true;
  store.release();
  await turns();
  assert.deepEqual(
    waiting.map(({ settled }) => settled),
    [true, true, true],
  );
  store.hold();
  const next = watch(only(processes).call());
  await turns(1);
  assert.equal(next.settled, true);
});

test("in shadow no call waits, and what it would have spent is spent", async (t) => {
  const time = stoppedTime(t);
  const store = memoryStore();
  const process = bare([rateLimit({ rate: 10, per: "1s", burst: 2, shared: true, shadow: true })], { shared: store });
  store.hold();
  for (let n = 0; n < 3; n++) {
    const call = watch(process.call());
    await turns(1);
    assert.equal(call.settled, true);
  }
  store.release();
  await turns();
  for (let n = 0; n < 3; n++) {
    await time.pass(1);
    assert.equal((await process.call()).ok, true);
  }
  assert.ok(process.whats().includes("would-be-refused"));
});

test("which limit it is does not depend on other layers or on settings: policy, target and key, or the name", () => {
  const ids = (layers: Parameters<typeof bare>[0], calls: readonly Partial<Call>[]): readonly string[] => {
    const store = memoryStore(() => 0);
    const one = bare(layers, { shared: store, now: () => 0 });
    for (const call of calls) void one.call(call);
    return store.takes.map(({ id }) => id);
  };
  const shared = rateLimit({ rate: 1, per: "1s", shared: true });
  assert.deepEqual(ids([shared], [{}]), ids([rateLimit({ rate: 7, per: "1h", burst: 9, shared: true })], [{}]));
  assert.notDeepEqual(ids([shared], [{ target: "a" }]), ids([shared], [{ target: "b" }]));
  const named = rateLimit({ name: "ours", rate: 1, per: "1s", shared: true });
  assert.deepEqual(ids([named], [{ target: "a" }]), ids([named], [{ target: "b" }]));
  const keyed = rateLimit({ rate: 1, per: "1s", shared: true, key: { header: "x-tenant" } });
  const tenant = (name: string): Partial<Call> => ({ metadata: { get: () => name } });
  assert.notDeepEqual(ids([keyed], [tenant("a")]), ids([keyed], [tenant("b")]));
});

test("never more than the burst and the rate allow, over all processes, whenever they crash and whatever they ask", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 5, max: 500 }),
      fc.integer({ min: 1, max: 30 }),
      fc.array(
        fc.tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 60 }), fc.constantFrom("call", "call", "call", "crash")),
        { maxLength: 80 },
      ),
      async (rate, burst, script) => {
        let now = 0;
        const store = memoryStore(() => now);
        const layer = rateLimit({ rate, per: "1s", burst, shared: true });
        const idle = { setTimer: () => undefined, clearTimer: () => undefined };
        const start = (): Bare => bare([layer], { shared: store, now: () => now, timers: idle });
        const processes = Array.from({ length: 4 }, start);
        let through = 0;
        for (const [who, gap, what] of script) {
          now += gap;
          if (what === "crash") processes[who] = start();
          else if ((await processes[who]?.call())?.ok === true) through++;
          assert.ok(through <= burst + (now * rate) / 1_000 + 1e-6, `${through} by ${now} ms`);
        }
      },
    ),
    { numRuns: 150 },
  );
});

test("without a store it counts in this process, and says so once", async (t) => {
  const warnings: Error[] = [];
  const warned = (warning: Error): void => void warnings.push(warning);
  process.on("warning", warned);
  t.after(() => process.off("warning", warned));
  const client = createClient({
    policies: [definePolicy({ name: "api", layers: [rateLimit({ rate: 1, per: "1h", shared: true })] })],
    now: () => 0,
  });
  assert.equal(await client.run("api", () => "done"), "done");
  await assert.rejects(
    client.run("api", () => "done"),
    (error) => error instanceof PolicyError && error.code === "ERR_PREMESH_RATE_LIMITED",
  );
  await turns();
  assert.deepEqual(
    warnings.map((warning) => (warning as Error & { code?: string }).code),
    ["PREMESH_NO_SHARED_STORE"],
  );
});
