// A streamed body is kept, within a bound, and can be read again from its beginning.
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { newReplay } from "../../src/call/replay.ts";
import { turns } from "../harness/time.ts";

interface Source {
  next(): Promise<IteratorResult<unknown>>;
  return(): Promise<unknown>;
  readonly returned: number;
}

function sourceOf(chunks: readonly Uint8Array[], failure?: Error): Source {
  let at = 0;
  let returned = 0;
  return {
    next: () => {
      const value = chunks[at++];
      if (value !== undefined) return Promise.resolve({ done: false, value });
      return failure === undefined ? Promise.resolve({ done: true, value: undefined }) : Promise.reject(failure);
    },
    return: () => Promise.resolve(returned++),
    get returned() {
      return returned;
    },
  };
}

const bytes = async (stream: ReadableStream<Uint8Array>): Promise<number[]> => [
  ...new Uint8Array(await new Response(stream).arrayBuffer()),
];
const chunk = (...of: number[]): Uint8Array => Uint8Array.from(of);

test("within the bound every reading is the whole body, however much of it an earlier one has read", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 20 }), { maxLength: 10 }),
      fc.array(fc.nat(12), { maxLength: 4 }),
      async (chunks, reads) => {
        const replay = newReplay(sourceOf(chunks), 1_000);
        for (const most of reads) {
          const reader = replay.open().getReader();
          for (let n = 0; n < most && !(await reader.read()).done; n++);
          void reader.cancel();
        }
        assert.ok(replay.replayable);
        assert.deepEqual(
          await bytes(replay.open()),
          chunks.flatMap((one) => [...one]),
        );
        assert.deepEqual(
          [...(replay.whole() ?? [])],
          chunks.flatMap((one) => [...one]),
        );
      },
    ),
    { numRuns: 50 },
  );
});

test("beyond the bound the body is still sent whole once, and nothing is kept", async () => {
  const chunks = [chunk(1, 2), chunk(3, 4), chunk(5, 6)];
  const replay = newReplay(sourceOf(chunks), 3);
  assert.ok(replay.replayable);
  assert.deepEqual(await bytes(replay.open()), [1, 2, 3, 4, 5, 6]);
  assert.equal(replay.replayable, false);
  assert.equal(replay.whole(), undefined);
});

test("a body of exactly the bound can be sent again", async () => {
  const replay = newReplay(sourceOf([chunk(1, 2), chunk(3)]), 3);
  assert.deepEqual(await bytes(replay.open()), [1, 2, 3]);
  assert.deepEqual(await bytes(replay.open()), [1, 2, 3]);
});

test("a source that fails is the caller's failure, and nothing can be sent again", async () => {
  const failure = new Error("source");
  const replay = newReplay(sourceOf([chunk(1)], failure), 100);
  await assert.rejects(bytes(replay.open()), failure);
  assert.deepEqual([replay.failed, replay.replayable], [true, false]);
});

test("a stream that is opened anew breaks off the one before, which is not taken for whole", async () => {
  const replay = newReplay(sourceOf([chunk(1), chunk(2)]), 100);
  const first = replay.open().getReader();
  await first.read();
  const second = bytes(replay.open());
  await assert.rejects(first.read(), /goes on in another attempt/);
  assert.deepEqual(await second, [1, 2]);
});

test("once all was read, streams are whole side by side, and one that is cancelled takes nothing from the others", async () => {
  const source = sourceOf([chunk(1), chunk(2), chunk(3)]);
  const replay = newReplay(source, 100);
  assert.ok(replay.unfinished);
  assert.deepEqual(await bytes(replay.open()), [1, 2, 3]);
  assert.ok(!replay.unfinished);
  const slow = replay.open().getReader();
  assert.deepEqual((await slow.read()).value, chunk(1));
  const cancelled = replay.open();
  const other = bytes(replay.open());
  await cancelled.cancel();
  assert.deepEqual(await other, [1, 2, 3]);
  const last = replay.open();
  replay.settle();
  await last.cancel();
  assert.deepEqual((await slow.read()).value, chunk(2));
  assert.deepEqual((await slow.read()).value, chunk(3));
  assert.ok((await slow.read()).done);
  assert.equal(source.returned, 0);
});

test("lets go of a source that nobody will read to its end", async () => {
  const cancelled = sourceOf([chunk(1), chunk(2)]);
  const replay = newReplay(cancelled, 100);
  await replay.open().cancel();
  assert.equal(cancelled.returned, 0, "another attempt may come");
  replay.settle();
  assert.equal(cancelled.returned, 1);

  const long = sourceOf([chunk(1, 2), chunk(3, 4), chunk(5)]);
  newReplay(long, 3).readAhead();
  await turns();
  assert.equal(long.returned, 1, "reading ahead stops at the bound");
});
