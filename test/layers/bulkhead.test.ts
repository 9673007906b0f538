// bulkhead: how many calls may be under way at the same time.
import assert from "node:assert/strict";
import test from "node:test";
import { bulkhead, createClient, definePolicy, PolicyError } from "../../src/index.ts";
import { endNow } from "../../src/call/end.ts";
import { answer, bare, failureOf, heldAnswer, hung, ok, reset, streaming } from "../harness/bare.ts";
import { gate, stoppedTime, turns, watch } from "../harness/time.ts";
import { overTransports } from "../harness/trial.ts";
import { openUpstream, type Step } from "../harness/upstream.ts";

overTransports("refuses what is more than the limit, and takes the next when a place is free", async (open) => {
  const held = gate();
  const trial = await open([bulkhead({ limit: 1 })], [{ until: held.promise }]);
  const first = trial.call();
  await trial.arrived(1);
  const { error, refusal } = await trial.call();
  assert.equal(refusal, "ERR_PREMESH_BULKHEAD_FULL");
  assert.ok(error instanceof PolicyError && error.attempts === 0 && error.layer === "bulkhead");
  held.open();
  assert.equal((await first).ok, true);
  assert.equal((await trial.call()).ok, true);
  assert.equal(trial.attempts(), 2);
});

overTransports("sequential calls at limit 1 are never refused", async (open) => {
  const trial = await open([bulkhead({ limit: 1 })], [{}, { status: 500 }, "reset", {}]);
  for (let n = 0; n < 20; n++) assert.equal((await trial.call()).refusal, undefined);
});

overTransports("a call that is queued is sent when the one before has ended", async (open) => {
  const held = gate();
  const trial = await open([bulkhead({ limit: 1, queue: { size: 1, timeout: "1s" } })], [{ until: held.promise }, {}]);
  const first = trial.call();
  const second = watch(trial.call());
  await trial.arrived(1);
  await turns();
  assert.equal(trial.attempts(), 1);
  held.open();
  assert.equal((await first).ok, true);
  while (!second.settled) await turns(1);
  assert.equal(second.value?.ok, true);
});

test("the queue is first come, first served, and a newcomer does not overtake it", async (t) => {
  stoppedTime(t);
  const stack = bare([bulkhead({ limit: 1, queue: { size: 5 } })]);
  const held = Array.from({ length: 5 }, () => heldAnswer());
  stack.answers(...held.map((one) => one.answer));
  const order: number[] = [];
  const queue = async (n: number): Promise<void> => {
    await stack.call();
    order.push(n);
    if (n === 0) all.push(queue(3)); // at the very moment at which a place is free
  };
  const all = [0, 1, 2].map(queue);
  for (const { release } of held) {
    await turns();
    release();
  }
  await turns();
  await Promise.all(all);
  assert.deepEqual(order, [0, 1, 2, 3]);
});

test("whoever has waited for the timeout is refused; a full queue refuses at once", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([bulkhead({ limit: 1, queue: { size: 1, timeout: "100ms" } })]);
  stack.answers(hung);
  const caller = new AbortController();
  void stack.call({ signal: caller.signal });
  const waiting = watch(stack.call());
  await turns();
  const third = failureOf(await stack.call());
  assert.deepEqual([third.by, third.sent], ["bulkhead", false]);
  await time.pass(99);
  assert.equal(waiting.settled, false);
  await time.pass(1);
  assert.ok(waiting.value !== undefined && failureOf(waiting.value).by === "bulkhead");
  assert.deepEqual(stack.whats(), ["queued", "refused", "waited-too-long"]);
  assert.deepEqual(stack.status("bulkhead"), { active: 1, limit: 1, waiting: 0 });
  caller.abort();
  await turns();
  stack.idle();
});

test("without a timeout a queued call waits for a second", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([bulkhead({ limit: 1, queue: { size: 1 } })]);
  stack.answers(hung);
  const caller = new AbortController();
  void stack.call({ signal: caller.signal });
  const waiting = watch(stack.call());
  await time.pass(999);
  assert.equal(waiting.settled, false);
  await time.pass(1);
  assert.ok(waiting.settled);
  caller.abort();
});

test("an aborted waiter leaves at once, its place is used, and its turn goes to the next", async (t) => {
  stoppedTime(t);
  const stack = bare([bulkhead({ limit: 1, queue: { size: 2 } })]);
  const held = heldAnswer();
  stack.answers(held.answer, ok);
  const caller = new AbortController();
  const first = stack.call();
  const [second, third] = [watch(stack.call({ signal: caller.signal })), watch(stack.call())];
  await turns();
  caller.abort();
  await turns();
  assert.ok(second.value !== undefined && failureOf(second.value).by === "caller");
  const fourth = watch(stack.call());
  await turns();
  assert.equal(fourth.settled, false);
  held.release();
  await first;
  await turns();
  assert.deepEqual([third.value?.ok, fourth.value?.ok, stack.sent.length], [true, true, 3]);
  stack.idle();
});

test("a waiter that is aborted in the moment in which its turn comes gives the place back", async (t) => {
  stoppedTime(t);
  const stack = bare([bulkhead({ limit: 1, queue: { size: 1 } })]);
  const stream = streaming();
  stack.answers(stream.answer, hung);
  await stack.call();
  const caller = new AbortController();
  const second = watch(stack.call({ signal: caller.signal }));
  await turns();
  endNow(stream.end);
  caller.abort();
  await turns();
  assert.ok(second.settled);
  stack.idle();
});

test("a place is held until the response has ended, however it ends", async () => {
  for (const error of [undefined, new Error("reset")]) {
    const stack = bare([bulkhead({ limit: 1 })]);
    const stream = streaming();
    stack.answers(stream.answer);
    await stack.call();
    assert.equal(failureOf(await stack.call()).by, "bulkhead");
    endNow(stream.end, error);
    stack.answers(reset, ok);
    assert.equal(failureOf(await stack.call()).by, "peer");
    assert.equal((await stack.call()).ok, true);
  }
});

/** What the client shows of its one bulkhead. */
function activeOf(client: ReturnType<typeof createClient>): unknown {
  const [targets] = Object.values(client.status().policies).map((policy) => Object.values(policy.targets));
  return targets?.[0]?.[0]?.state["active"];
}

for (const [how, step, finish] of [
  ["read", { after: "hang" }, (response: Response) => response.text()],
  ["cancelled", { after: "hang" }, (response: Response) => response.body?.cancel()],
  ["broken off by the peer", { after: "reset" }, (response: Response) => response.text().catch(() => undefined)],
] as const satisfies readonly (readonly [string, Step, (response: Response) => unknown])[]) {
  test(`a place comes back when a real body is ${how}`, async (t) => {
    const upstream = await openUpstream(t, [step]);
    const client = createClient({ policies: [definePolicy({ name: "p", match: [{ host: "*" }], layers: [bulkhead({ limit: 1 })] })] });
    const response = await client.fetch(upstream.url);
    if (how !== "broken off by the peer") {
      await turns();
      assert.equal(activeOf(client), 1);
      await assert.rejects(client.fetch(upstream.url), { code: "ERR_PREMESH_BULKHEAD_FULL" });
    }
    const finishing = finish(response);
    if (how === "read") upstream.finish();
    await finishing;
    while (activeOf(client) !== 0) await turns(1);
    assert.equal(activeOf(client), 0);
  });
}

test("a place comes back when a caller aborts in the middle of a body", async (t) => {
  const upstream = await openUpstream(t, [{ after: "hang" }]);
  const client = createClient({ policies: [definePolicy({ name: "p", match: [{ host: "*" }], layers: [bulkhead({ limit: 1 })] })] });
  const caller = new AbortController();
  const response = await client.fetch(upstream.url, { signal: caller.signal });
  const body = response.text();
  caller.abort();
  await assert.rejects(body, { name: "AbortError" });
  while (activeOf(client) !== 0) await turns(1);
  assert.equal(await (await upstream.arrived(1)).over, false);
});

test("work that throws at once, gives no promise, or gives something odd, gives its place back", async () => {
  const client = createClient({ policies: [definePolicy({ name: "p", layers: [bulkhead({ limit: 1 })] })] });
  const boom = new Error("boom");
  const evil: object = new Proxy({}, { get: () => assert.fail("a getter that throws") });
  const odd: readonly (() => unknown)[] = [
    () => {
      throw boom;
    },
    () => 5,
    () => Promise.reject(boom),
    () =>
      // oxlint-disable-next-line unicorn/no-thenable -- the odd thing is the point
      Object.defineProperty({}, "then", {
        get: () => {
          throw boom;
        },
      }),
    // oxlint-disable-next-line typescript/prefer-promise-reject-errors -- the odd thing is the point
    () => Promise.reject(evil),
    () => null,
  ];
  for (const work of odd) {
    await client.run("p", work).catch((error: unknown) => assert.ok(error === boom || error === evil));
    assert.equal(activeOf(client), 0);
  }
});

test("in shadow it says what would have waited, and what would have been refused", async () => {
  for (const [queue, what] of [
    [undefined, "would-be-refused"],
    [{ size: 1 }, "would-be-queued"],
  ] as const) {
    const stack = bare([bulkhead({ limit: 1, shadow: true, ...(queue === undefined ? {} : { queue }) })]);
    const first = heldAnswer();
    stack.answers(first.answer, ok);
    const held = stack.call();
    assert.deepEqual([(await stack.call()).ok, stack.whats()], [true, [what]]);
    first.release();
    await held;
    stack.idle();
  }
});

test("an adaptive limit that rises lets those in who wait, in their order; one that falls ends nobody", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([
    bulkhead({ limit: 40, queue: { size: 50, timeout: "1h" }, adaptive: { min: 1, initial: 4, window: "10ms", minRtt: { requests: 5 } } }),
  ]);
  let slow = 10;
  stack.answers(async () => {
    await new Promise<void>((resolve) => void setTimeout(resolve, slow));
    return answer();
  });
  let over = 0;
  const more = (count: number): void => {
    for (let n = 0; n < count; n++) void stack.call().then(() => over++);
  };
  more(40);
  assert.deepEqual(stack.status("bulkhead"), {
    active: 4,
    limit: 4,
    waiting: 36,
    ceiling: 40,
    measuring: false,
    minRttMs: null,
    rttMs: null,
    gradient: null,
  });
  for (let n = 0; n < 12; n++) {
    await time.pass(10);
    more(40 - Number(stack.status("bulkhead")["active"]) - Number(stack.status("bulkhead")["waiting"]));
  }
  const high = Number(stack.status("bulkhead")["limit"]);
  assert.ok(high > 8, `${high}`);
  assert.ok(Number(stack.status("bulkhead")["active"]) >= high);
  slow = 500;
  for (let n = 0; n < 6; n++) await time.pass(500);
  assert.ok(Number(stack.status("bulkhead")["limit"]) < high);
  while (over < 40) await time.pass(500);
  for (let n = 0; n < 100 && stack.status("bulkhead")["active"] !== 0; n++) await time.pass(500);
  stack.idle();
});

test("an adaptive limit is one per target", async () => {
  const stack = bare([bulkhead({ limit: 2, adaptive: { min: 1, initial: 1 } })]);
  stack.answers(hung);
  const caller = new AbortController();
  void stack.call({ target: "a", signal: caller.signal });
  assert.equal(failureOf(await stack.call({ target: "a" })).by, "bulkhead");
  void stack.call({ target: "b", signal: caller.signal });
  await turns();
  assert.deepEqual([stack.status("bulkhead", "a")["active"], stack.status("bulkhead", "b")["active"]], [1, 1]);
  caller.abort();
});

test("the lowest limit is not above the highest", () => {
  assert.throws(
    () => definePolicy({ name: "p", layers: [bulkhead({ limit: 4, adaptive: { min: 5 } })] }),
    (error: { issues?: readonly { code: string; path: string }[] }) =>
      error.issues?.[0]?.code === "PM0313" && error.issues[0].path === "layers[0].adaptive.min",
  );
  definePolicy({ name: "p", layers: [bulkhead({ limit: 2, adaptive: {} })] }); // the default of min gives way
});
