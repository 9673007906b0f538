// What a caller streams is given to every attempt from the first message on, one at a time, within a bound.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { MESSAGE_BYTES, Messages, type Pool, Reader } from "../../src/call/messages.ts";
import { turns } from "../harness/time.ts";

/** An attempt that takes a message when it is told to. */
class Taker extends Reader<string> {
  readonly given: string[] = [];
  readonly #messages: Messages<string>;
  ended = 0;
  isLost = false;

  constructor(messages: Messages<string>) {
    super();
    this.#messages = messages;
    this.readFrom(messages);
  }

  protected override give(message: string): void {
    this.given.push(message);
  }

  protected override giveEnd(): void {
    this.ended++;
  }

  override lost(): void {
    this.isLost = true;
    this.leave();
  }

  /** The message under way has been taken. */
  take(): void {
    assert.ok(this.busy);
    this.took();
  }

  takeAll(): void {
    while (this.busy) this.took();
  }

  fail(): void {
    this.leave();
  }

  commit(): void {
    this.#messages.commit(this);
  }
}

const newPool = (limit = 10_000): { bytes: number; readonly limit: number } => ({ bytes: 0, limit });

function newMessages(bound: number, pool: Pool = newPool()): Messages<string> {
  const messages = new Messages<string>(pool);
  if (bound > 0) messages.keep(bound);
  return messages;
}

/** Writes it; whether the caller has been told to go on is in the list. */
function write(messages: Messages<string>, text: string, told: string[] = []): boolean {
  return messages.write(text, text.length, () => told.push(text));
}

describe("an attempt", () => {
  test("is given the next message when it has taken the one before", () => {
    const messages = newMessages(100);
    for (const text of ["a", "b", "c"]) write(messages, text);
    const taker = new Taker(messages);
    assert.deepEqual(taker.given, ["a"]);
    taker.take();
    assert.deepEqual(taker.given, ["a", "b"]);
    taker.take();
    taker.take();
    assert.deepEqual(taker.given, ["a", "b", "c"]);
    assert.equal(taker.busy, false);
    write(messages, "d");
    assert.deepEqual(taker.given, ["a", "b", "c", "d"]);
  });

  test("is told of the end right behind the last message, without waiting for that to be taken", () => {
    for (const early of [true, false]) {
      const messages = newMessages(100);
      write(messages, "a");
      const first = early ? new Taker(messages) : undefined;
      write(messages, "b");
      messages.end();
      const taker = first ?? new Taker(messages);
      assert.deepEqual([taker.given, taker.ended], [["a"], 0]);
      taker.take();
      assert.deepEqual([taker.given, taker.ended], [["a", "b"], 1]);
      taker.take();
      assert.equal(taker.ended, 1);
    }
  });

  test("is told of the end at once where it has taken everything, or there is nothing to take", () => {
    const messages = newMessages(100);
    const taker = new Taker(messages);
    write(messages, "a");
    taker.take();
    messages.end();
    messages.end();
    assert.equal(taker.ended, 1);
    const none = newMessages(100);
    none.end();
    assert.equal(new Taker(none).ended, 1);
  });

  test("that begins later is given everything", () => {
    const messages = newMessages(100);
    const first = new Taker(messages);
    for (const text of ["a", "b"]) write(messages, text);
    first.takeAll();
    first.fail();
    write(messages, "c");
    messages.end();
    const second = new Taker(messages);
    second.takeAll();
    assert.deepEqual([first.given, second.given, second.ended], [["a", "b"], ["a", "b", "c"], 1]);
  });
});

describe("within the bound", () => {
  test("the caller is told to go on, whether there is an attempt or not", async () => {
    const told: string[] = [];
    const messages = newMessages(4);
    for (const text of ["ab", "cd"]) write(messages, text, told);
    await turns(1);
    assert.deepEqual(told, ["ab", "cd"]);
    assert.ok(messages.replayable);
  });

  test("the client's pool is charged until the call is over, or has settled on an attempt that has taken them", () => {
    const pool = newPool();
    const messages = newMessages(100, pool);
    for (const text of ["ab", "cd", "ef"]) write(messages, text);
    assert.equal(pool.bytes, 6 + 3 * MESSAGE_BYTES);
    const taker = new Taker(messages);
    taker.take();
    assert.equal(pool.bytes, 6 + 3 * MESSAGE_BYTES);
    taker.commit();
    assert.equal(pool.bytes, 4 + 2 * MESSAGE_BYTES);
    taker.take();
    assert.equal(pool.bytes, 2 + MESSAGE_BYTES);
    messages.over();
    assert.equal(pool.bytes, 0);
    write(messages, "late");
    assert.equal(pool.bytes, 0);
  });
});

describe("over the bound", () => {
  test("the attempt that has got furthest is the last, and the others are lost", () => {
    const messages = newMessages(4);
    const slow = new Taker(messages);
    for (const text of ["ab", "cd"]) write(messages, text);
    const quick = new Taker(messages);
    quick.take();
    assert.equal(write(messages, "ef"), true);
    assert.deepEqual([slow.isLost, quick.isLost, messages.replayable, messages.whole], [true, false, false, false]);
    quick.takeAll();
    assert.deepEqual(quick.given, ["ab", "cd", "ef"]);
    assert.equal(write(messages, "gh"), false, "told once");
  });

  test("between attempts, the next one is the last, and is given everything", () => {
    const messages = newMessages(2);
    const first = new Taker(messages);
    write(messages, "ab");
    first.fail();
    write(messages, "cd");
    assert.deepEqual([messages.replayable, messages.whole], [false, true]);
    const last = new Taker(messages);
    assert.equal(messages.whole, false);
    last.takeAll();
    assert.deepEqual(last.given, ["ab", "cd"]);
  });

  test("the caller goes on when its message has been taken", async () => {
    const told: string[] = [];
    const messages = newMessages(2);
    const taker = new Taker(messages);
    for (const text of ["ab", "cd", "ef"]) write(messages, text, told);
    await turns(1);
    assert.deepEqual(told, ["ab"]);
    taker.take();
    taker.take();
    await turns(1);
    assert.deepEqual(told, ["ab", "cd"]);
    messages.over();
    await turns(1);
    assert.deepEqual(told, ["ab", "cd", "ef"], "when the call is over, nobody waits");
  });

  test("the bound of all calls of a client counts as well", () => {
    const pool = newPool(5 + MESSAGE_BYTES);
    const one = newMessages(100, pool);
    const two = newMessages(100, pool);
    assert.equal(write(one, "abc"), false);
    assert.equal(write(two, "def"), true);
    assert.equal(two.replayable, false);
    assert.ok(one.replayable);
    one.over();
    assert.equal(pool.bytes, 0);
  });
});

test("where nothing asks that messages be kept, the first attempt is the only one", async () => {
  const told: string[] = [];
  const messages = newMessages(0);
  assert.equal(write(messages, "ab", told), false, "there is nothing to tell");
  const taker = new Taker(messages);
  assert.equal(messages.whole, false);
  await turns(1);
  assert.deepEqual(told, []);
  taker.take();
  await turns(1);
  assert.deepEqual(told, ["ab"]);
});

type Step = "write" | "end" | "begin" | "take" | "fail" | "commit" | "over";

test("whatever happens, each attempt is given a beginning of what was written, in order, and the end behind all of it; nothing is kept in the end", async () => {
  const steps = fc.array(fc.constantFrom<Step>("write", "write", "write", "begin", "take", "take", "fail", "end", "commit"), {
    maxLength: 60,
  });
  await fc.assert(
    fc.asyncProperty(steps, fc.integer({ min: 1, max: 40 }), async (script, bound) => {
      const pool = newPool(20 * MESSAGE_BYTES);
      const messages = newMessages(bound, pool);
      const written: string[] = [];
      const told: string[] = [];
      const takers: Taker[] = [];
      let live: Taker[] = [];
      let committed = false;
      for (const step of script) {
        const [first] = live;
        if (step === "write" && !messages.ended) {
          const text = `m${written.length}`;
          written.push(text);
          write(messages, text, told);
        } else if (step === "end") messages.end();
        else if (step === "begin" && messages.whole) takers.push(new Taker(messages));
        else if (step === "take") live.findLast(({ busy }) => busy)?.take();
        else if (step === "fail" && !committed) first?.fail();
        else if (step === "commit" && first !== undefined && !committed) {
          first.commit();
          committed = true;
        }
        live = takers.filter((taker) => messages.readers.includes(taker));
        for (const taker of takers) {
          assert.deepEqual(taker.given, written.slice(0, taker.given.length));
          assert.ok(taker.ended <= 1);
          if (taker.ended === 1) assert.equal(taker.given.length, written.length);
        }
        assert.ok(pool.bytes >= 0 && pool.bytes <= pool.limit);
      }
      for (const taker of live) taker.takeAll();
      for (const taker of live) {
        assert.deepEqual(taker.given, written);
        assert.equal(taker.ended, messages.ended ? 1 : 0);
      }
      messages.over();
      await turns(1);
      assert.deepEqual(told, written, "the caller is told of each message, in order");
      assert.equal(pool.bytes, 0);
    }),
    { numRuns: 300 },
  );
});

describe("a copy for a send beside the call", () => {
  /** What was told of copies, oldest first. */
  const told: (readonly string[] | undefined)[] = [];
  const copied = (all: readonly string[] | undefined): void => void told.push(all);

  test("is told whole once no more will come, with what was written before", () => {
    told.length = 0;
    const messages = newMessages(0);
    messages.write("a", 1, undefined);
    messages.copy(3, copied);
    messages.write("b", 2, undefined);
    assert.deepEqual(told, []);
    messages.end();
    messages.copy(3, copied);
    messages.over();
    assert.deepEqual(told, [
      ["a", "b"],
      ["a", "b"],
    ]);
  });

  test("is none where it would be longer, or some of it is gone, or the call is over before its end", () => {
    told.length = 0;
    const messages = newMessages(0);
    messages.write("a", 2, undefined);
    messages.copy(1, copied);
    assert.deepEqual(told, [undefined]);
    messages.copy(3, copied);
    messages.write("b", 2, undefined);
    assert.deepEqual(told, [undefined, undefined]);
    new Taker(messages).takeAll();
    messages.copy(100, copied);
    assert.equal(told.length, 3, "they are taken");
    const left = newMessages(0);
    left.copy(100, copied);
    left.write("a", 1, undefined);
    left.over();
    left.copy(100, copied);
    assert.deepEqual(told, [undefined, undefined, undefined, undefined, undefined]);
  });
});
