// The end of a response is told once, to everybody who waits for it.
import assert from "node:assert/strict";
import test from "node:test";
import { endNow, newEnd, whenEnded } from "../../src/call/end.ts";

test("tells everybody who waits, in order and once", () => {
  const end = newEnd();
  const told: string[] = [];
  for (const name of ["a", "b", "c"]) whenEnded(end, (error) => told.push(`${name} ${String(error)}`));
  endNow(end, "broken");
  endNow(end, "again");
  assert.deepEqual(told, ["a broken", "b broken", "c broken"]);
});

test("whoever comes late, or has nothing to wait for, is told at once", () => {
  const end = newEnd();
  endNow(end, "why");
  const told: unknown[] = [];
  whenEnded(end, (error) => told.push(error));
  whenEnded(undefined, (error) => told.push(error));
  assert.deepEqual(told, ["why", undefined]);
});

test("whoever begins to wait while the end is told is told too", () => {
  const end = newEnd();
  let told = 0;
  whenEnded(end, () => whenEnded(end, () => told++));
  endNow(end);
  assert.equal(told, 1);
});
