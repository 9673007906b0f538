// Drain: readiness first, then connections are told to go, and what does not end in time is broken.
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { type Drain, newDrain } from "../../src/sidecar/drain.ts";
import type { Listener } from "../../src/wire/wire.ts";
import { type VirtualClock, virtualClock } from "../../src/testing/virtual-clock.ts";
import { gate, turns, watch } from "../harness/time.ts";

interface Case {
  readonly clock: VirtualClock;
  readonly drain: Drain;
  /** What happened to the listener, in order. */
  readonly seen: readonly string[];
  /** Its last connection goes. */
  readonly gone: () => void;
}

function begin({ delayMs = 0, timeMs = 25_000 }: { readonly delayMs?: number; readonly timeMs?: number } = {}): Case {
  const clock = virtualClock();
  const seen: string[] = [];
  const { promise, open } = gate();
  const listener: Listener = {
    address: "127.0.0.1:1",
    count: () => ({ connections: 1, exchanges: 1 }),
    drain: () => {
      seen.push("drain");
      return promise;
    },
    destroy: () => {
      seen.push("destroy");
      open();
    },
  };
  const drain = newDrain({
    listeners: () => [listener],
    delayMs,
    timeMs,
    timers: clock,
    begun: () => void seen.push("begun"),
    late: (exchanges) => void seen.push(`late ${exchanges}`),
  });
  return { clock, drain, seen, gone: open };
}

suite("drain", () => {
  test("says so first, and is over when the last connection is gone", async () => {
    const { drain, seen, gone } = begin();
    assert.equal(drain.draining(), false);
    const ended = watch(drain.begin());
    assert.equal(drain.draining(), true);
    await turns();
    assert.deepEqual([seen, ended.settled], [["begun", "drain"], false]);
    gone();
    await turns();
    assert.deepEqual([seen, ended.value], [["begun", "drain"], "clean"]);
  });

  test("lets the delay pass before connections are told to go", async () => {
    const { clock, drain, seen } = begin({ delayMs: 5_000 });
    void drain.begin();
    await clock.advance(4_999);
    assert.deepEqual(seen, ["begun"]);
    await clock.advance(1);
    assert.deepEqual(seen, ["begun", "drain"]);
  });

  test("breaks what does not end in time", async () => {
    const { clock, drain, seen } = begin({ delayMs: 1_000, timeMs: 2_000 });
    const ended = watch(drain.begin());
    await clock.advance(2_999);
    assert.deepEqual(seen, ["begun", "drain"]);
    await clock.advance(1);
    assert.deepEqual([seen, ended.value], [["begun", "drain", "late 1", "destroy"], "late"]);
    assert.equal(clock.pending(), 0);
  });

  for (const [when, delayMs, before] of [
    ["the delay", 5_000, []],
    ["what is under way", 0, ["drain"]],
  ] as const) {
    test(`does not wait for ${when} when it is cut`, async () => {
      const { drain, seen, clock } = begin({ delayMs });
      const ended = watch(drain.begin());
      await turns();
      assert.deepEqual(seen, ["begun", ...before]);
      drain.cut();
      await turns();
      assert.deepEqual([seen.at(-1), ended.value], ["destroy", "cut"]);
      assert.equal(clock.pending(), 0);
    });
  }

  test("begins once", async () => {
    const { drain, seen } = begin();
    assert.equal(drain.begin(), drain.begin());
    await turns();
    assert.deepEqual(seen, ["begun", "drain"]);
  });
});
