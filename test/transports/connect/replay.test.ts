// The replay of request messages by itself: what each attempt is given, what is kept, and what the caller's stream is told.
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { Pool } from "../../../src/call/messages.ts";
import { type MessageReplay, newMessageReplay, type Sending } from "../../../src/transports/connect/replay.ts";
import { gate, turns } from "../../harness/time.ts";

const keeping = { write: (text: string) => Buffer.from(text), read: (bytes: Uint8Array) => Buffer.from(bytes).toString() };

interface Opened {
  readonly replay: MessageReplay<string>;
  readonly pool: Pool;
  /** What the caller's stream was told. */
  readonly told: string[];
  readonly overflows: number[];
}

function open(values: readonly string[], bytes = 100, limit = 1_000): Opened {
  const told: string[] = [];
  const overflows: number[] = [];
  const pool: Pool = { bytes: 0, limit };
  const left = [...values];
  const source: AsyncIterable<string> = {
    [Symbol.asyncIterator]: () => ({
      next: () => {
        const value = left.shift();
        return Promise.resolve(value === undefined ? { done: true, value } : { done: false, value });
      },
      return: () => {
        told.push("return");
        return Promise.resolve({ done: true, value: undefined });
      },
      throw: (error: unknown) => {
        told.push(`throw ${String(error)}`);
        return Promise.resolve({ done: true, value: undefined });
      },
    }),
  };
  const replay = newMessageReplay(source, keeping, pool, (size) => overflows.push(size));
  if (bytes > 0) replay.keep(bytes);
  return { replay, pool, told, overflows };
}

async function read(iterator: AsyncIterator<string>, count = Number.POSITIVE_INFINITY): Promise<string[]> {
  const values: string[] = [];
  while (values.length < count) {
    const { done, value } = await iterator.next();
    if (done === true) break;
    values.push(value);
  }
  return values;
}

type Attempt = Sending<string> & Required<AsyncIterator<string>>;

const iterator = (replay: MessageReplay<string>): Attempt => replay.open() as Attempt; // the cast: what is opened is its own iterator

suite("each attempt", () => {
  test("is given the messages from the first on, however far the one before came", async () => {
    const { replay } = open(["a", "b", "c", "d"]);
    for (const count of [0, 2, 1, 3]) assert.deepEqual(await read(iterator(replay), count), ["a", "b", "c", "d"].slice(0, count));
    assert.deepEqual(await read(iterator(replay)), ["a", "b", "c", "d"]);
    assert.equal(replay.replayable, true);
  });

  test("ends when it is closed, even while it waits, and the message that it waited for is not lost", async () => {
    const arrives = gate<string>();
    async function* source(): AsyncGenerator<string> {
      yield await arrives.promise;
    }
    const replay = newMessageReplay(source(), keeping, { bytes: 0, limit: 100 }, () => undefined);
    replay.keep(10);
    const closed = replay.open();
    const first = closed[Symbol.asyncIterator]().next();
    closed.close();
    const second = iterator(replay).next();
    assert.deepEqual(await first, { done: true, value: undefined });
    arrives.open("a");
    assert.deepEqual(await second, { done: false, value: "a" });
  });

  test("sees the failure of the caller's stream where it stands", async () => {
    // oxlint-disable-next-line require-yield -- it fails in the place of its second message
    async function* source(): AsyncGenerator<string> {
      yield "a";
      throw new Error("no more");
    }
    const replay = newMessageReplay(source(), keeping, { bytes: 0, limit: 100 }, () => undefined);
    replay.keep(10);
    for (let attempt = 0; attempt < 2; attempt++) {
      const one = iterator(replay);
      assert.deepEqual(await one.next(), { done: false, value: "a" });
      await assert.rejects(one.next(), /no more/);
    }
    assert.equal(replay.failed, true);
    assert.equal(replay.replayable, false);
  });
});

suite("an attempt and its hedge", () => {
  test("are each given all messages, at their own pace", async () => {
    const { replay } = open(["a", "b", "c"]);
    const [first, second] = [iterator(replay), iterator(replay)];
    assert.deepEqual(await read(first, 2), ["a", "b"]);
    assert.deepEqual(await read(second), ["a", "b", "c"]);
    assert.deepEqual(await read(first), ["c"]);
  });

  test("part when one is answered: the other fails, and does not end as if it were whole", async () => {
    const { replay, told } = open(["a", "b", "c"]);
    const [first, second] = [iterator(replay), iterator(replay)];
    await read(first, 1);
    await read(second, 2);
    replay.commit(second);
    replay.commit(first);
    await assert.rejects(first.next(), /another attempt went on/);
    assert.equal(first.lost, true);
    assert.deepEqual(await read(second), ["c"]);
    await first.return(undefined);
    assert.deepEqual(told, []);
  });

  test("part when the bound is passed: the one that is furthest goes on", async () => {
    const { replay } = open(["ab", "cd", "ef", "gh"], 5);
    const [first, second] = [iterator(replay), iterator(replay)];
    assert.deepEqual(await read(first, 1), ["ab"]);
    assert.deepEqual(await read(second), ["ab", "cd", "ef", "gh"]);
    await assert.rejects(first.next(), /another attempt went on/);
  });
});

suite("what is kept", () => {
  test("counts in the pool until an attempt is committed", async () => {
    const { replay, pool } = open(["ab", "cd", "e"]);
    const one = iterator(replay);
    await read(one, 2);
    assert.equal(pool.bytes, 4);
    replay.commit(one);
    assert.equal(pool.bytes, 0);
    assert.equal(replay.whole, true);
  });

  test("counts until the call has ended", async () => {
    const { replay, pool } = open(["ab", "cd"]);
    await read(iterator(replay));
    replay.end(new Error("over"));
    assert.equal(pool.bytes, 0);
  });

  test("is nothing without anybody who asks for it", async () => {
    const { replay, pool } = open(["ab"], 0);
    assert.equal(replay.replayable, true);
    await read(iterator(replay));
    assert.equal(pool.bytes, 0);
    assert.equal(replay.replayable, false);
    assert.equal(replay.whole, false);
  });

  test("is given up beyond the bound, and that is said once", async () => {
    const { replay, pool, overflows } = open(["abc", "def", "ghi", "j"], 5);
    assert.deepEqual(await read(iterator(replay)), ["abc", "def", "ghi", "j"]);
    assert.deepEqual(overflows, [6]);
    assert.equal(pool.bytes, 0);
    assert.equal(replay.replayable, false);
  });

  test("is given up when the pool is full, whatever the bound", async () => {
    const { replay, overflows } = open(["abc", "def"], 100, 4);
    await read(iterator(replay));
    assert.deepEqual(overflows, [6]);
    assert.equal(replay.replayable, false);
  });
});

suite("the caller's stream", () => {
  test("hears nothing of attempts that have failed", async () => {
    const { replay, told } = open(["a", "b"]);
    const first = iterator(replay);
    await first.next();
    await assert.rejects(first.throw(new Error("reset")), /reset/);
    await first.return(undefined);
    first.close();
    assert.deepEqual(told, []);
    assert.deepEqual(await read(iterator(replay)), ["a", "b"]);
  });

  test("hears what the committed attempt says, at once and in its place", async () => {
    const { replay, told } = open(["a", "b"]);
    const last = iterator(replay);
    await last.next();
    replay.commit(last);
    await last.return(undefined);
    assert.deepEqual(told, ["return"]);
  });

  test("hears what the attempt has said before it was committed", async () => {
    const { replay, told } = open(["a", "b"]);
    const last = iterator(replay);
    await last.return(undefined);
    replay.commit(last);
    await turns(1);
    assert.deepEqual(told, ["return"]);
  });

  test("is told of the end of a call that got no response, as Connect tells it", async () => {
    const { replay, told } = open(["a"]);
    replay.end("cancelled");
    await turns(1);
    assert.deepEqual(told, ["throw cancelled", "return"]);
  });

  test("is let go without an error when the answer was none of the peer's", async () => {
    const { replay, told } = open(["a"]);
    replay.end(undefined);
    await turns(1);
    assert.deepEqual(told, ["return"]);
  });
});
