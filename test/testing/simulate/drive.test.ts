// drive: timers one after the other at full speed, with all that follows from one before the next.
import assert from "node:assert/strict";
import { test } from "node:test";
import { drive } from "../../../src/testing/simulate/drive.ts";
import { newTimeline } from "../../../src/testing/timeline.ts";

const never = (): boolean => false;

test("all that follows from a timer happens before the next, however many promises it takes", async () => {
  const timeline = newTimeline();
  const order: string[] = [];
  const chain = async (name: string): Promise<void> => {
    for (let link = 0; link < 1_000; link++) await Promise.resolve();
    order.push(`${name} at ${timeline.now()}`);
  };
  for (const name of ["a", "b", "c"]) timeline.setTimer(() => void chain(name), 5);
  timeline.setTimer(() => void chain("d"), 5.5);
  await drive(timeline, never, undefined);
  assert.deepEqual(order, ["a at 5", "b at 5", "c at 5", "d at 5.5"]);
});

test("ends when no timer waits, or when it is over though one does", async () => {
  const timeline = newTimeline();
  let ticks = 0;
  const again = (): void => {
    ticks++;
    timeline.setTimer(again, 1_000);
  };
  again();
  await drive(timeline, () => ticks === 50, undefined);
  assert.equal(ticks, 50);
  assert.equal(timeline.pending(), 1);
  await drive(newTimeline(), never, undefined);
});

test("lets the event loop have its turn now and then, so that the process stays alive and a signal is heard", async () => {
  const timeline = newTimeline();
  const again = (): void => void timeline.setTimer(again, 1);
  again();
  const controller = new AbortController();
  let turns = 0;
  const turn = (): void => {
    if (++turns === 3) controller.abort(new Error("enough"));
    else setImmediate(turn);
  };
  setImmediate(turn);
  await assert.rejects(drive(timeline, never, controller.signal), /enough/);
});

test("rejects with what a timer throws", async () => {
  const timeline = newTimeline();
  timeline.setTimer(() => {
    throw new Error("out of order");
  }, 1);
  await assert.rejects(drive(timeline, never, undefined), /out of order/);
});

test("goes on under fake timers of a test runner", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "setImmediate", "Date"] });
  const timeline = newTimeline();
  let fallen = 0;
  for (let timer = 0; timer < 20_000; timer++) timeline.setTimer(() => fallen++, timer);
  await drive(timeline, never, undefined);
  assert.equal(fallen, 20_000);
});
