// Fuzz: whatever bytes come, and whenever peers leave, every exchange ends, every connection goes, and nothing is left behind.
import assert from "node:assert/strict";
import fc from "fast-check";
import { suite, test, type TestContext } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { createUpstreams } from "../../../src/wire/upstreams.ts";
import { listen } from "../../../src/wire/listen.ts";
import type { Exchange } from "../../../src/wire/wire.ts";
import { mutated, requests, responses } from "../../harness/http1-arbitraries.ts";
import { relayTo } from "../../harness/pass-on.ts";
import { rawClient, rawServer, type RawEnd } from "../../harness/raw.ts";
import { eventually, manualClock } from "../../harness/wire.ts";

const noise = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes).toString("latin1"));

/** What one end says, in pieces, and how it leaves: it ends its side, it is gone, or it stays until it is closed. */
const speech = (said: fc.Arbitrary<string>) =>
  fc.record({
    text: fc.oneof({ weight: 4, arbitrary: mutated(said) }, { weight: 2, arbitrary: said }, { weight: 1, arbitrary: noise }),
    pieces: fc.integer({ min: 1, max: 6 }),
    leaves: fc.constantFrom("ends", "goes", "stays"),
  });

async function speak(
  end: RawEnd,
  { text, pieces, leaves }: { readonly text: string; readonly pieces: number; readonly leaves: string },
): Promise<void> {
  const size = Math.ceil(text.length / pieces) || 1;
  for (let at = 0; at < text.length && !end.socket.destroyed; at += size) {
    end.send(text.slice(at, at + size));
    await turn();
  }
  if (leaves === "ends") end.end();
  else if (leaves === "goes") end.socket.destroy();
}

/** Counts what each exchange was told: a break or an end, each at most once, and nothing out of turn. */
function watched(handle: (exchange: Exchange) => void, wrong: string[]): (exchange: Exchange) => void {
  return (exchange) => {
    let ended = 0;
    let broken = 0;
    const receive = exchange.receive.bind(exchange);
    exchange.receive = (receiver) =>
      receive({
        data(chunk) {
          if (ended + broken > 0 && exchange.head.upgrade === undefined && exchange.head.method !== "CONNECT")
            wrong.push("data behind the end");
          receiver.data(chunk);
        },
        end(trailers) {
          if (++ended > 1 || broken > 0) wrong.push("a second end");
          receiver.end(trailers);
        },
        broken(why) {
          if (++broken > 1) wrong.push("a second break");
          receiver.broken(why);
        },
        drained: () => receiver.drained(),
      });
    handle(exchange);
  };
}

async function fuzz(t: TestContext, said: fc.Arbitrary<string>, answered: fc.Arbitrary<string>, numRuns: number): Promise<void> {
  const clock = manualClock();
  const wrong: string[] = [];
  let answer: ((end: RawEnd) => void) | undefined;
  const upstream = await rawServer(t, (end) => end.socket.once("data", () => answer?.(end)));
  const upstreams = createUpstreams({ clock });
  const listener = await listen("127.0.0.1:0", {
    clock,
    exchange: watched(relayTo(upstreams, { origin: upstream.origin, version: "1.1" }), wrong),
  });
  t.after(() => listener.destroy());
  await fc.assert(
    fc.asyncProperty(fc.array(speech(said), { minLength: 1, maxLength: 4 }), speech(answered), async (clients, reply) => {
      answer = (end) => void speak(end, reply);
      const ends = await Promise.all(clients.map(() => rawClient(t, listener.address)));
      await Promise.all(ends.map((end, nth) => speak(end, clients[nth] ?? reply)));
      for (let wait = 0; wait < 20; wait++) await turn();
      for (const { socket } of ends) socket.destroy();
      await eventually(() => listener.count().connections === 0);
      assert.equal(listener.count().exchanges, 0);
      assert.deepEqual(wrong, []);
    }),
    { numRuns },
  );
  for (const { socket } of upstream.connections) socket.destroy();
  await upstreams.close(); // settles only when no connection and no request is left
  await listener.drain();
  await eventually(() => clock.waiting() === 0);
}

suite("whatever comes", () => {
  test("from clients, every exchange ends and nothing is left", (t) =>
    fuzz(t, requests, fc.constant("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), 300));
  test("from upstreams, every exchange ends and nothing is left", (t) =>
    fuzz(t, fc.constant("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok"), responses, 300));
  test("from both, every exchange ends and nothing is left", (t) => fuzz(t, requests, responses, 300));
});
