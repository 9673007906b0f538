// Tests of the wait that an abort ends.
import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { mock, test } from "node:test";
import { systemTimers } from "../../src/call/clock.ts";
import { waited } from "../../src/call/waiting.ts";

test("waits until the time has passed, and leaves no listener behind", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const { signal } = new AbortController();
  const waiting = waited(systemTimers, 100, signal);
  mock.timers.tick(100);
  assert.equal(await waiting, true);
  assert.equal(getEventListeners(signal, "abort").length, 0);
  mock.timers.reset();
});

test("an abort ends it at once", async () => {
  const abort = new AbortController();
  const waiting = waited(systemTimers, 60_000, abort.signal);
  abort.abort();
  assert.equal(await waiting, false);
  assert.equal(await waited(systemTimers, 0, abort.signal), false);
});

test("waiting for nothing takes no timer", async (t) => {
  const timers = t.mock.method(globalThis, "setTimeout");
  assert.equal(await waited(systemTimers, 0, undefined), true);
  assert.equal(timers.mock.callCount(), 0);
});
