// Streams over Connect: replay of what was sent, the end of the caller's own stream, back-pressure, and answers that break off.
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Code } from "@connectrpc/connect";
import { createWritableIterable } from "@connectrpc/connect/protocol";
import { breaker, bulkhead, hedge, type LayerDefinition, retry } from "../../../src/index.ts";
import { virtualClock } from "../../../src/testing/index.ts";
import { gate, turns } from "../../harness/time.ts";
import { wires } from "./server.ts";
import { all, failure, type Text, texts } from "./service.ts";
import { openTrial } from "./trial.ts";

const again = (more: Parameters<typeof retry>[0] = {}): readonly LayerDefinition[] => [
  retry({ attempts: 3, methods: ["*"], backoff: { base: "0ms" }, ...more }),
];

const duplexWires = Object.keys(wires).filter((wire) => wires[wire]?.httpVersion === "2");

suite("an attempt that is killed after three messages", () => {
  for (const wire of duplexWires) {
    test(`is followed by one that sees all of a client stream in order (${wire})`, async (t) => {
      const { kinds, server } = await openTrial(t, again(), [{ reads: 3, fail: Code.Unavailable }, { reads: 3, reset: "connection" }, {}], {
        wire,
      });
      const stream = createWritableIterable<Text>();
      const reply = kinds.collect(stream);
      for (const value of ["a", "b", "c"]) await stream.write({ value });
      await server.arrived(2);
      for (const value of ["d", "e"]) await stream.write({ value });
      await server.arrived(3);
      await stream.write({ value: "f" });
      stream.close();
      assert.equal((await reply).value, "a,b,c,d,e,f!");
      assert.deepEqual(server.seen[0]?.messages, ["a", "b", "c"]);
    });

    test(`is followed by one that answers a duplex stream message by message (${wire})`, async (t) => {
      const { kinds, server } = await openTrial(t, again(), [{ reads: 3, fail: Code.Unavailable }, {}], { wire });
      const stream = createWritableIterable<Text>();
      const got: string[] = [];
      for (const value of ["a", "b", "c"]) void stream.write({ value });
      for await (const { value } of kinds.talk(stream)) {
        got.push(value);
        if (got.length === 3) void stream.write({ value: "d" });
        if (got.length === 4) stream.close();
      }
      assert.deepEqual(got, ["a!", "b!", "c!", "d!"]);
      assert.deepEqual(
        server.seen.map(({ messages }) => messages),
        [
          ["a", "b", "c"],
          ["a", "b", "c", "d"],
        ],
      );
    });
  }
});

test("a message that the caller changes once it was sent is replayed as it was sent", async (t) => {
  const { kinds, server } = await openTrial(t, again(), [{ reads: 3, fail: Code.Unavailable }, {}]);
  async function* reusing(): AsyncGenerator<Text> {
    const one = { value: "" };
    for (const value of ["a", "b", "c"]) {
      one.value = value;
      yield one;
    }
  }
  assert.equal((await kinds.collect(reusing())).value, "a,b,c!");
  assert.equal(server.seen.length, 2);
});

suite("a hedge", () => {
  for (const wire of duplexWires) {
    test(`sends all of a stream beside an attempt that hangs in the midst of it, and the first answer counts (${wire})`, async (t) => {
      const clock = virtualClock();
      const layers = [hedge({ after: "1s", methods: ["*"] })];
      const { kinds, server } = await openTrial(t, layers, [{ reads: 2, hang: true }, {}], { wire, client: { clock } });
      const reply = kinds.collect(texts("a", "b", "c"));
      await server.arrived(1);
      await turns(20); // the caller's stream is read to its end
      await clock.advance(1_000);
      await server.arrived(2);
      assert.equal((await reply).value, "a,b,c!");
      assert.deepEqual(server.seen[1]?.messages, ["a", "b", "c"]);
      await server.seen[0]?.over;
    });

    test(`that is slower than the attempt it stands beside changes nothing of it (${wire})`, async (t) => {
      const clock = virtualClock();
      const slow = gate();
      const script = [{ until: slow.promise }, { hang: true }];
      const { kinds, server } = await openTrial(t, [hedge({ after: "1s", methods: ["*"] })], script, { wire, client: { clock } });
      const reply = kinds.collect(texts("a", "b", "c"));
      await server.arrived(1);
      await turns(20); // as above
      await clock.advance(1_000);
      await server.arrived(2);
      slow.open();
      assert.equal((await reply).value, "a,b,c!");
      await server.seen[1]?.over;
    });
  }
});

suite("a stream that outgrows the buffer", () => {
  const large = "x".repeat(100_000);

  test("is sent whole, and once", async (t) => {
    const { kinds, server } = await openTrial(t, again({ buffer: 150_000 }));
    const { value } = await kinds.collect(texts(...Array.from({ length: 30 }, () => large)));
    assert.equal(value.length, 30 * 100_001);
    assert.equal(server.seen.length, 1);
  });

  test("is not tried again, and telemetry says why", async (t) => {
    const { client, kinds, server } = await openTrial(t, again({ buffer: 150_000 }), [{ reads: 3, fail: Code.Unavailable }, {}]);
    const error = await failure(kinds.collect(texts(large, large, large)));
    assert.equal(error.code, Code.Unavailable);
    assert.equal(server.seen.length, 1);
    assert.deepEqual(
      client.explain(error)?.decisions.map(({ what }) => what),
      ["committed-by-overflow", "body-not-replayable"],
    );
  });

  test("is tried again while it has not", async (t) => {
    const { kinds, server } = await openTrial(t, again({ buffer: 350_000 }), [{ reads: 2, fail: Code.Unavailable }, {}]);
    await kinds.collect(texts(large, large, large));
    assert.equal(server.seen.length, 2);
  });
});

suite("the caller's own stream", () => {
  interface Fate {
    pulled: number;
    ended: boolean;
  }

  /** A stream without end; one message each time it is let. */
  async function* endless(fate: Fate, wait: () => Promise<unknown> = () => turns(1)): AsyncGenerator<Text> {
    try {
      for (;;) {
        yield { value: String(fate.pulled++) };
        await wait();
      }
    } finally {
      fate.ended = true;
    }
  }

  test("is not ended between attempts, and is once no other can come", async (t) => {
    const { kinds } = await openTrial(t, again({ attempts: 2 }), [{ reads: 2, fail: Code.Unavailable }]);
    const fate: Fate = { pulled: 0, ended: false };
    let before: boolean | undefined;
    const error = await failure(
      kinds.collect(
        endless(fate, async () => {
          if (fate.pulled === 2) before = fate.ended;
          await turns(1);
        }),
      ),
    );
    await turns();
    assert.equal(error.code, Code.Unavailable);
    assert.equal(before, false);
    assert.equal(fate.ended, true);
  });

  test("is ended when a layer refuses the call before anything is sent", async (t) => {
    const { kinds } = await openTrial(t, [bulkhead({ limit: 1 })], [{ hang: true }]);
    const controller = new AbortController();
    const first = failure(kinds.say({ value: "a" }, { signal: controller.signal }));
    const fate: Fate = { pulled: 0, ended: false };
    const source = endless(fate);
    await source.next(); // it runs
    const error = await failure(kinds.collect(source));
    await turns();
    assert.equal(error.code, Code.Unavailable);
    assert.equal(fate.ended, true);
    controller.abort();
    await first;
  });

  test("is ended when the server has answered without reading it all", async (t) => {
    const { kinds } = await openTrial(t, again(), [{ reads: 1 }]);
    const fate: Fate = { pulled: 0, ended: false };
    const reply = await kinds.collect(endless(fate));
    assert.equal(reply.value, "0!");
    await turns(20);
    assert.equal(fate.ended, true);
  });

  test("lets a writer who waits go on when the call is cancelled", async (t) => {
    const { kinds, server } = await openTrial(t, again(), [{ hang: true, reads: 1 }]);
    const controller = new AbortController();
    const stream = createWritableIterable<Text>();
    const reply = failure(kinds.collect(stream, { signal: controller.signal }));
    await stream.write({ value: "a" });
    await server.arrived(1);
    const writes = ["b", "c", "d"].map((value) => stream.write({ value }));
    controller.abort();
    assert.equal((await reply).code, Code.Canceled);
    await Promise.allSettled(writes);
    await assert.rejects(stream.write({ value: "e" }));
  });

  test("that fails is the caller's mistake: not tried again, not counted against the peer", async (t) => {
    const { client, kinds } = await openTrial(t, [
      ...again({ on: ["5xx", "internal", "unknown", "unavailable"] }),
      breaker({ trip: { consecutive: 1 }, openFor: "1h", on: ["5xx", "internal", "unknown", "unavailable"] }),
    ]);
    // oxlint-disable-next-line require-yield -- it fails before that
    async function* failing(): AsyncGenerator<Text> {
      throw new Error("the disk is gone");
    }
    const error = await failure(kinds.collect(failing()));
    assert.match(error.message, /the disk is gone/);
    assert.equal(client.explain(error)?.attempts, 1);
    assert.equal((await kinds.say({ value: "a" })).value, "a!");
  });
});

suite("back-pressure", () => {
  const large = "x".repeat(50_000);

  test("a server that does not read stops the caller's stream, before the head and after it", async (t) => {
    const held = gate();
    const { kinds, server } = await openTrial(t, again({ buffer: 10_000_000 }), [{ until: held.promise }]);
    let pulled = 0;
    async function* source(): AsyncGenerator<Text> {
      for (; pulled < 200; pulled++) yield { value: large };
    }
    const reply = kinds.collect(source());
    await server.arrived(1);
    let before = -1;
    while (before !== pulled) {
      before = pulled;
      await turns(50);
    }
    assert.ok(pulled < 100, `${pulled} of 200 messages went out to a server that reads none`);
    held.open();
    assert.equal((await reply).value.length, 200 * 50_001);
  });

  test("a caller who does not read stops the server", async (t) => {
    const { kinds, server } = await openTrial(t, again());
    let sent = 0;
    async function* source(): AsyncGenerator<Text> {
      for (; sent < 200; sent++) yield { value: large };
    }
    const replies = kinds.talk(source())[Symbol.asyncIterator]();
    await replies.next();
    let before = -1;
    while (before !== sent) {
      before = sent;
      await turns(50);
    }
    assert.ok(sent < 100, `${sent} of 200 messages went round for a caller who reads one`);
    let got = 1;
    while ((await replies.next()).done !== true) got++;
    assert.equal(got, 200);
    assert.equal(server.seen[0]?.messages.length, 200);
  });
});

suite("a stream that breaks off after its head", () => {
  for (const [wire] of Object.entries(wires)) {
    for (const [how, step] of Object.entries({
      "a status": { fail: Code.Unavailable },
      "a reset connection": { reset: "connection" },
    } as const)) {
      test(`by ${how} is not tried again, and gives its permit back (${wire})`, async (t) => {
        const read = gate();
        const script = [{ sends: 2, holds: read.promise, ...step }, {}];
        const { client, kinds, server } = await openTrial(t, [...again(), bulkhead({ limit: 1 })], script, { wire });
        const got: string[] = [];
        const error = await failure(
          (async () => {
            for await (const { value } of kinds.count({ value: "n" })) if (got.push(value) === 2) read.open();
          })(),
        );
        assert.deepEqual(got, ["n1", "n2"]);
        assert.equal(server.seen.length, 1);
        assert.equal(client.explain(error)?.attempts, 1);
        assert.deepEqual(await all(kinds.count({ value: "n" })), ["n1", "n2", "n3", "n4", "n5"]);
      });
    }
  }

  test("holds its permit until it is over, and lets go when the caller does", async (t) => {
    const { client, kinds, server } = await openTrial(t, [bulkhead({ limit: 1 })], [{ sends: 2, hang: true }, {}]);
    const replies = kinds.count({ value: "n" })[Symbol.asyncIterator]();
    assert.equal((await replies.next()).value?.value, "n1");
    assert.equal((await failure(kinds.say({ value: "a" }))).code, Code.Unavailable);
    await replies.return?.();
    assert.equal(await server.seen[0]?.over, true);
    assert.equal((await kinds.say({ value: "a" })).value, "a!");
    assert.deepEqual(client.status().policies["kinds"]?.targets[new URL(server.baseUrl).host]?.[0]?.state, {
      active: 0,
      limit: 1,
      waiting: 0,
    });
  });
});
