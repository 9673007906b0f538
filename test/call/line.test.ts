// A line is bounded in time, ends with an abort, and keeps its order.
import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import test from "node:test";
import fc from "fast-check";
import { systemTimers } from "../../src/call/clock.ts";
import { newLine, type Turn } from "../../src/call/line.ts";
import { stoppedTime } from "../harness/time.ts";

test("gives turns in the order of arrival", async () => {
  const line = newLine(systemTimers);
  const order: number[] = [];
  const all = [1, 2, 3].map(async (n) => {
    await line.wait(1_000, undefined);
    order.push(n);
  });
  while (line.grant());
  await Promise.all(all);
  assert.deepEqual(order, [1, 2, 3]);
});

test("an abort leaves at once, from any place, and takes its listener and timer along", async (t) => {
  stoppedTime(t);
  const line = newLine(systemTimers);
  const controllers = [1, 2, 3].map(() => new AbortController());
  const turns = controllers.map(({ signal }) => line.wait(1_000, signal));
  controllers[1]?.abort();
  assert.equal(line.length(), 2);
  assert.equal(await turns[1], "aborted");
  line.grant();
  line.grant();
  assert.deepEqual(await Promise.all(turns), ["granted", "aborted", "granted"]);
  for (const { signal } of controllers) assert.equal(getEventListeners(signal, "abort").length, 0);
});

test("whoever comes aborted never stands in line", async () => {
  const line = newLine(systemTimers);
  assert.equal(await line.wait(1_000, AbortSignal.abort()), "aborted");
  assert.equal(line.length(), 0);
});

test("says when the last has left", async (t) => {
  const time = stoppedTime(t);
  let empty = 0;
  const line = newLine(systemTimers, () => empty++);
  const one = line.wait(10, undefined);
  const two = line.wait(20, undefined);
  await time.pass(10);
  assert.deepEqual([await one, empty], ["timeout", 0]);
  await time.pass(10);
  assert.deepEqual([await two, empty], ["timeout", 1]);
});

test("behaves as a plain list would, whatever comes and goes", async (t) => {
  stoppedTime(t);
  type Step = "join" | "grant" | { readonly leave: number };
  const step: fc.Arbitrary<Step> = fc.oneof(fc.constant("join" as const), fc.constant("grant" as const), fc.record({ leave: fc.nat(20) }));
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const line = newLine(systemTimers);
      const model: number[] = [];
      const controllers: AbortController[] = [];
      const turns: Promise<Turn>[] = [];
      const expected: Turn[] = [];
      for (const one of steps) {
        if (one === "join") {
          const controller = new AbortController();
          model.push(controllers.push(controller) - 1);
          turns.push(line.wait(1_000, controller.signal));
        } else if (one === "grant") {
          const first = model.shift();
          assert.equal(line.grant(), first !== undefined);
          if (first !== undefined) expected[first] = "granted";
        } else if (model.length > 0) {
          const [gone = 0] = model.splice(one.leave % model.length, 1);
          controllers[gone]?.abort();
          expected[gone] = "aborted";
        }
        assert.equal(line.length(), model.length);
      }
      while (line.grant());
      for (const left of model) expected[left] = "granted";
      assert.deepEqual(await Promise.all(turns), expected);
    }),
    { numRuns: 100 },
  );
});
