// Deadlines: one Node timer for many calls. Real timers, since under fake ones each call has its own; nothing here asserts how long they took.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { type Expiry, newDeadlines as bareDeadlines } from "../../src/call/deadlines.ts";

/** The list, with an expiry made for each function. */
function newDeadlines(afterMs: number): { add(expired: () => void): Expiry; remove(expiry: Expiry): void } {
  const deadlines = bareDeadlines(afterMs);
  return {
    add: (expired) => {
      const expiry: Expiry = { dueAt: 0, before: undefined, behind: undefined, timer: undefined, expired };
      deadlines.add(expiry);
      return expiry;
    },
    remove: (expiry) => deadlines.remove(expiry),
  };
}

test("what was added first expires first, and nothing twice", async () => {
  const deadlines = newDeadlines(2);
  const expired: number[] = [];
  await new Promise<void>((resolve) => {
    for (let n = 0; n < 5; n++) deadlines.add(() => void expired.push(n));
    setTimeout(() => deadlines.add(resolve), 1);
  });
  assert.deepEqual(expired, [0, 1, 2, 3, 4]);
});

test("what was removed does not expire: the first, one in the middle, the last, and the only one", async () => {
  const deadlines = newDeadlines(1);
  const expired: number[] = [];
  deadlines.remove(deadlines.add(() => assert.fail("the only one")));
  const all = [0, 1, 2, 3, 4].map((n) => deadlines.add(() => void expired.push(n)));
  for (const n of [0, 2, 4]) deadlines.remove(all[n] ?? assert.fail());
  await new Promise<void>((resolve) => deadlines.add(resolve));
  assert.deepEqual(expired, [1, 3]);
  for (const expiry of all) deadlines.remove(expiry); // harmless
  await new Promise<void>((resolve) => deadlines.add(resolve));
});

test("one that expires may remove its neighbour and add another", async () => {
  const deadlines = newDeadlines(1);
  await new Promise<void>((resolve) => {
    deadlines.add(() => {
      deadlines.remove(neighbour);
      deadlines.add(resolve);
    });
    const neighbour = deadlines.add(() => assert.fail("removed"));
  });
});

test("under fake timers each has its own, whatever clock is faked with them", (t) => {
  const deadlines = newDeadlines(1_000);
  deadlines.remove(deadlines.add(() => assert.fail("removed, and its timer is a real one"))); // leaves the shared timer behind
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let expired = 0;
  const kept = deadlines.add(() => expired++);
  deadlines.remove(deadlines.add(() => assert.fail("removed")));
  t.mock.timers.tick(999);
  assert.equal(expired, 0);
  t.mock.timers.tick(1);
  assert.equal(expired, 1);
  deadlines.remove(kept);
});

test("a deadline keeps the process alive until it has passed, and a removed one does not", () => {
  const module = new URL("../../src/call/deadlines.ts", import.meta.url).href;
  const script = (body: string): string => `
    import { newDeadlines } from ${JSON.stringify(module)};
    const { add, remove } = newDeadlines(Number(process.argv[1]));
    const expiry = (expired) => ({ dueAt: 0, expired });
    ${body}`;
  const run = (ms: number, body: string): string =>
    spawnSync(process.execPath, ["--input-type=module", "-e", script(body), String(ms)], { encoding: "utf8", timeout: 60_000 }).stdout;
  assert.equal(run(20, `add(expiry(() => console.log("expired")));`), "expired\n");
  assert.equal(
    run(50, `const gone = expiry(() => {}); add(gone); remove(gone); add(expiry(() => console.log("expired")));`),
    "expired\n",
    "added again while the timer ran for nobody",
  );
  // ten minutes: the test would be ended by its own bound
  assert.equal(
    run(600_000, `const gone = expiry(() => {}); add(gone); remove(gone); process.on("exit", () => console.log("ended"));`),
    "ended\n",
  );
});

test("falls due under fake timers that were in force before it was loaded", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const fresh = `../../src/call/deadlines.ts?under-fake-timers`;
  const { newDeadlines: loadedLate } = (await import(fresh)) as { newDeadlines: typeof bareDeadlines }; // the cast: the same module once more
  let expired = 0;
  const waiting = (): Expiry => ({ dueAt: 0, before: undefined, behind: undefined, timer: undefined, expired: () => void expired++ });
  const deadlines = loadedLate(1_000);
  deadlines.add(waiting());
  t.mock.timers.tick(999);
  assert.equal(expired, 0);
  t.mock.timers.tick(1);
  assert.equal(expired, 1);
});
