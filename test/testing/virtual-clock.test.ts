// virtualClock: time passes when it is told to, in the same order in every run, and never without an end.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { virtualClock } from "../../src/testing/index.ts";
import { newTimeline } from "../../src/testing/timeline.ts";

test("timers fall due in the order of their time, and of their age where that is equal", async () => {
  const clock = virtualClock();
  const fallen: [name: string, at: number][] = [];
  const set = (name: string, ms: number): unknown => clock.setTimer(() => void fallen.push([name, clock.now()]), ms);
  set("b", 20);
  set("a", 10);
  set("c", 20);
  const gone = set("gone", 15);
  set("later", 21);
  set("at once", -5);
  clock.clearTimer(gone);
  assert.equal(clock.pending(), 5);
  await clock.advance(20);
  assert.deepEqual(fallen, [
    ["at once", 0],
    ["a", 10],
    ["b", 20],
    ["c", 20],
  ]);
  assert.equal(clock.now(), 20);
  assert.equal(clock.pending(), 1);
  clock.clearTimer(gone); // harmless
  await clock.runAll();
  assert.equal(clock.now(), 21);
  assert.equal(clock.pending(), 0);
});

test("what follows from a timer without waiting happens before the next, however many promises it takes", async () => {
  const clock = virtualClock();
  const order: string[] = [];
  const chain = async (): Promise<void> => {
    for (let link = 0; link < 500; link++) await Promise.resolve();
    order.push(await new Response("the chain").text());
  };
  clock.setTimer(() => void chain(), 10);
  clock.setTimer(() => order.push("the next timer"), 10);
  await clock.advance(10);
  assert.deepEqual(order, ["the chain", "the next timer"]);
});

test("timers that are set meanwhile fall due in the same step, if they are due", async () => {
  const clock = virtualClock();
  const fallen: number[] = [];
  const again = (): void => {
    fallen.push(clock.now());
    if (fallen.length < 10) clock.setTimer(again, 100);
  };
  clock.setTimer(again, 100);
  await clock.advance(350);
  assert.deepEqual(fallen, [100, 200, 300]);
  assert.equal(clock.now(), 350);
});

test("one step begins when the one before is over, awaited or not", async () => {
  const clock = virtualClock();
  const first = clock.advance(10);
  const second = clock.advance(10);
  await second;
  await first;
  assert.equal(clock.now(), 20);
});

test("a loop without an end is an error, and says what to do", async () => {
  const clock = virtualClock({ limit: 100 });
  const poll = (): unknown => clock.setTimer(poll, 1_000);
  poll();
  await assert.rejects(clock.runAll(), /100 timers fell due and 1 wait: .* use advance\(ms\)/);
  await clock.advance(500_000); // 500 timers, but never 100 at one moment
  const spin = (): unknown => clock.setTimer(spin, 0);
  spin();
  await assert.rejects(clock.advance(1), /100 timers fell due at \d+ ms/);
});

test("what a timer throws is thrown to who let the time pass, and the others still fall due", async () => {
  const clock = virtualClock();
  let fallen = 0;
  clock.setTimer(() => {
    throw new Error("out of order");
  }, 10);
  clock.setTimer(() => fallen++, 20);
  await assert.rejects(clock.advance(100), /out of order/);
  await clock.advance(100);
  assert.equal(fallen, 1);
});

test("it says what it cannot do", async () => {
  const clock = virtualClock();
  for (const ms of [-1, Number.NaN, Number.POSITIVE_INFINITY]) await assert.rejects(clock.advance(ms), RangeError);
  assert.throws(() => clock.setTimer(() => undefined, Number.POSITIVE_INFINITY), RangeError);
});

test("settles under fake timers of a test runner too", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "setImmediate", "Date"] });
  const clock = virtualClock();
  let fallen = false;
  clock.setTimer(() => (fallen = true), 1_000);
  await clock.advance(1_000);
  assert.ok(fallen);
});

test("a timeline is a sorted list of what was not taken back, whatever is set and taken back", () => {
  const acts = fc.array(fc.oneof(fc.integer({ min: 0, max: 50 }), fc.constant("clear" as const), fc.constant("step" as const)), {
    maxLength: 300,
  });
  fc.assert(
    fc.property(acts, fc.infiniteStream(fc.nat()), (list, dice) => {
      const timeline = newTimeline();
      const handles: unknown[] = [];
      let model: { readonly id: number; readonly at: number }[] = [];
      const fallen: number[] = [];
      for (const act of list) {
        if (typeof act === "number") {
          const id = handles.length;
          model.push({ id, at: timeline.now() + act });
          handles.push(timeline.setTimer(() => void fallen.push(id), act));
        } else if (act === "clear") {
          if (handles.length === 0) continue;
          const id = Number(dice.next().value) % handles.length;
          timeline.clearTimer(handles[id]);
          model = model.filter((one) => one.id !== id);
        } else {
          const [first] = model.toSorted((a, b) => a.at - b.at || a.id - b.id);
          assert.equal(timeline.next(), first?.at);
          if (first === undefined) continue;
          timeline.step();
          assert.equal(fallen.at(-1), first.id);
          assert.equal(timeline.now(), first.at);
          model = model.filter(({ id }) => id !== first.id);
        }
        assert.equal(timeline.pending(), model.length);
      }
    }),
  );
});

test("timers that were taken back do not pile up", () => {
  const timeline = newTimeline();
  const kept = timeline.setTimer(() => undefined, 5_000);
  for (let timer = 0; timer < 100_000; timer++) timeline.clearTimer(timeline.setTimer(() => undefined, 10_000 + (timer % 7)));
  assert.equal(timeline.pending(), 1);
  assert.equal(timeline.next(), 5_000);
  timeline.clearTimer(kept);
  assert.equal(timeline.next(), undefined);
});
