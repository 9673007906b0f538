// Output: lines are written together, and a reader that is stuck or gone costs lines, not calls.
import assert from "node:assert/strict";
import { Writable } from "node:stream";
import { suite, test } from "node:test";
import { virtualClock } from "../../src/testing/virtual-clock.ts";
import { newOutput } from "../../src/sidecar/output.ts";

/** A stream that takes what it is given only when it is told to. */
function reader(): { readonly stream: Writable; readonly taken: string[]; readonly take: () => void } {
  const taken: string[] = [];
  let waiting: (() => void) | undefined;
  const stream = new Writable({
    decodeStrings: false,
    write: (chunk: string, _encoding, done) => {
      taken.push(chunk);
      waiting = done;
    },
  });
  return { stream, taken, take: () => waiting?.() };
}

suite("output", () => {
  test("gathers lines, and writes them together", async () => {
    const clock = virtualClock();
    const { stream, taken } = reader();
    const output = newOutput(stream, { timers: clock });
    output.write("a");
    output.write("b");
    assert.deepEqual(taken, []);
    await clock.advance(100);
    assert.deepEqual(taken, ["a\nb\n"]);
  });

  test("writes at once when much is gathered", () => {
    const { stream, taken } = reader();
    const output = newOutput(stream, { timers: virtualClock() });
    output.write("x".repeat(20_000));
    assert.equal(taken.length, 1);
  });

  test("drops and counts what a stuck reader does not take, and goes on when it reads again", async () => {
    const clock = virtualClock();
    const { stream, taken, take } = reader();
    const output = newOutput(stream, { timers: clock, most: 1_000 });
    for (let line = 0; line < 100; line++) output.write("x".repeat(99));
    assert.equal(output.dropped(), 90);
    await clock.advance(100);
    output.write("still stuck".padEnd(99));
    assert.equal(output.dropped(), 91);
    take();
    await new Promise(setImmediate);
    output.write("free");
    await clock.advance(100);
    assert.deepEqual([taken.at(-1), output.dropped()], ["free\n", 91]);
  });

  test("outlives a reader that is gone", async () => {
    const clock = virtualClock();
    const stream = new Writable({ write: (_chunk, _encoding, done) => done(Object.assign(new Error("gone"), { code: "EPIPE" })) });
    const output = newOutput(stream, { timers: clock });
    output.write("a");
    await clock.advance(100);
    await new Promise(setImmediate);
    output.write("b");
    await output.flush(100);
    assert.equal(output.dropped(), 2);
  });

  test("does not wait for a stuck reader for ever", async () => {
    const clock = virtualClock();
    const { stream } = reader();
    const output = newOutput(stream, { timers: clock });
    output.write("a");
    const flushed = output.flush(2_000);
    await clock.advance(2_000);
    await flushed;
  });
});
