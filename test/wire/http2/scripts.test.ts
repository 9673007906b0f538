// Both ends of a stream at random, through two connections of HTTP/2: what arrives is what was sent, each message ends once, and nothing is left.
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { listen } from "../../../src/wire/listen.ts";
import { createUpstreams } from "../../../src/wire/upstreams.ts";
import type { Exchange, Fields, Receiver, Stream } from "../../../src/wire/wire.ts";
import { atWork } from "../../harness/any-frames.ts";
import { relayTo } from "../../harness/pass-on.ts";
import { plainHead } from "../../harness/recorded.ts";
import { turns } from "../../harness/time.ts";
import { eventually } from "../../harness/wire.ts";

type Act = number | "pause" | "resume" | "turn" | "turns" | "reset" | "end" | "trailers" | "inform";

interface Script {
  readonly acts: readonly Act[];
  /** What it does within the calls that it is told by, one after the other. */
  readonly within: readonly ("nothing" | "pause" | "reset" | "write")[];
}

/** What one end has sent and been told. */
interface End {
  /** Its head is out. */
  open: boolean;
  sent: number;
  /** Its message is complete, with these trailers. */
  ended: Fields | undefined;
  got: number;
  /** Of what has come, which byte stands where it should not. */
  wrong: number;
  whole: Fields | undefined;
  broken: number;
  reset: boolean;
  /** It was told something after it had been told that nothing more comes. */
  late: boolean;
}

const newEnd = (): End => ({
  open: false,
  sent: 0,
  ended: undefined,
  got: 0,
  wrong: -1,
  whole: undefined,
  broken: 0,
  reset: false,
  late: false,
});

/** The bytes of a message from one place on: each tells where it stands. */
const bytes = (from: number, length: number): Buffer => Buffer.from(Array.from({ length }, (_, n) => (from + n) % 251));

function send(end: End, stream: Stream, act: Act): void {
  if (typeof act === "number") {
    if (end.ended === undefined && !end.reset && end.open) {
      stream.write(bytes(end.sent, act));
      end.sent += act;
    }
  } else if (act === "pause") stream.pause();
  else if (act === "resume") stream.resume();
  else if (act === "reset") {
    end.reset = true;
    stream.reset("cancelled");
  } else if (act === "end" || act === "trailers") {
    const trailers = act === "end" ? [] : ["x-sum", String(end.sent)];
    if (!end.reset) end.ended ??= trailers;
    stream.end(trailers);
  }
}

function receiver(end: End, stream: () => Stream, within: Script["within"]): Receiver {
  let nth = 0;
  const told = (): void => {
    if (end.reset || end.broken > 0) end.late = true;
    const act = within[nth++ % Math.max(1, within.length)] ?? "nothing";
    if (act === "write") send(end, stream(), 3);
    else if (act !== "nothing") send(end, stream(), act);
  };
  return {
    data(chunk) {
      if (end.whole !== undefined) end.late = true;
      const expected = bytes(end.got, chunk.length);
      if (end.wrong === -1 && !expected.equals(chunk)) end.wrong = end.got;
      end.got += chunk.length;
      told();
    },
    end(trailers) {
      if (end.whole !== undefined) end.late = true;
      end.whole = trailers;
      told();
    },
    broken() {
      if (end.broken > 0 || end.reset) end.late = true;
      end.broken++;
    },
    drained: told,
  };
}

async function play(acts: readonly Act[], does: (act: Act) => void): Promise<void> {
  for (const act of acts) {
    if (act === "turn") await turns(1);
    else if (act === "turns") await turns(8);
    else does(act);
  }
}

const isOver = (end: End): boolean => end.whole !== undefined || end.broken > 0 || end.reset;

/** Whether one end has been told all that the other has sent. */
function same(from: End, to: End): void {
  assert.equal(to.late, false, "told too much");
  assert.equal(to.wrong, -1, "bytes that were not sent there");
  assert.ok(to.got <= from.sent);
  if (to.whole === undefined) return;
  assert.equal(to.got, from.sent, "an end that is none");
  assert.deepEqual(to.whole, from.ended);
}

const act = (resets: boolean): fc.Arbitrary<Act> =>
  fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom<Act>(0, 1, 7, 300, 5_000, 20_000, 70_000) },
    { weight: 5, arbitrary: fc.constantFrom<Act>("turn", "turns", "pause", "resume", "inform") },
    { weight: 1, arbitrary: fc.constantFrom<Act>(...(resets ? (["reset", "end", "trailers"] as const) : (["turn"] as const))) },
  );
const script = (resets: boolean): fc.Arbitrary<Script> =>
  fc.record({
    acts: fc.array(act(resets), { maxLength: 12 }),
    within: resets
      ? fc.array(fc.constantFrom("nothing", "nothing", "nothing", "pause", "write", "reset"), { maxLength: 4 })
      : fc.array(fc.constantFrom("nothing", "write"), { maxLength: 4 }),
  });
const limits = fc.record({
  streamWindow: fc.constantFrom(200, 4_000, 131_429),
  upstreamResets: fc.constantFrom({ burst: 0, perSecond: 0 }, { burst: 100, perSecond: 3 }),
  upstreamStreams: fc.constantFrom(1, 2, 512),
  resets: fc.constant({ burst: 10_000, perSecond: 1 }),
});

const pair = (resets: boolean): fc.Arbitrary<{ client: Script; server: Script; tunnel: boolean }> =>
  fc.record({ client: script(resets), server: script(resets), tunnel: fc.boolean() });

async function run(pairs: readonly { client: Script; server: Script; tunnel: boolean }[], some: object, resets: boolean): Promise<void> {
  const servers = pairs.map(newEnd);
  const clients = pairs.map(newEnd);
  const playing: Promise<void>[] = [];
  const origin = await listen("127.0.0.1:0", {
    limits: some,
    exchange(exchange: Exchange) {
      const nth = Number(exchange.head.fields[1]);
      const end = servers[nth] ?? newEnd();
      const { server } = pairs[nth] ?? { server: { acts: [], within: [] } };
      if (exchange.bodyless) end.whole = [];
      exchange.receive(receiver(end, () => exchange, server.within));
      const finish = async (): Promise<void> => {
        const respond = (): void => {
          if (!end.open) exchange.respond({ status: 200, fields: [] }, false);
          end.open = true;
        };
        await play(server.acts, (one) => {
          if (one === "inform") exchange.inform({ status: 103, fields: [] });
          else {
            if (typeof one === "number" || one === "end" || one === "trailers") respond();
            send(end, exchange, one);
          }
        });
        respond();
        // a response that does not wait would cut the request off
        await eventually(() => {
          exchange.resume();
          return isOver(end) || resets;
        });
        send(end, exchange, "trailers");
        await eventually(() => {
          exchange.resume();
          return isOver(end);
        });
      };
      playing.push(finish());
    },
  });
  const between = createUpstreams({ limits: some });
  const relay = await listen("127.0.0.1:0", {
    limits: some,
    exchange: relayTo(between, { origin: new URL(`http://${origin.address}`), version: "2" }),
  });
  const upstreams = createUpstreams({ limits: some });
  const overs = pairs.map(async ({ client, tunnel }, nth) => {
    const end = clients[nth] ?? newEnd();
    end.open = true;
    const told = receiver(end, () => stream, client.within);
    const head = plainHead({ method: tunnel ? "CONNECT" : "POST", path: tunnel ? "" : "/", fields: ["x-nth", String(nth)] });
    const stream: Stream = upstreams.open({ origin: new URL(`http://${relay.address}`), version: "2" }, head, false, {
      ...told,
      connected: () => undefined,
      inform: () => undefined,
      head: ({ status }, ended) => {
        if (status !== 200) end.broken++; // the relay's word for it
        else if (ended) end.whole = [];
      },
    });
    await play(client.acts, (one) => send(end, stream, one));
    send(end, stream, "end");
    await eventually(() => {
      stream.resume();
      return isOver(end);
    });
  });
  await Promise.all(overs);
  await Promise.all(playing);
  await eventually(() => relay.count().exchanges === 0 && origin.count().exchanges === 0);
  for (const [nth, client] of clients.entries()) {
    const server = servers[nth] ?? newEnd();
    same(client, server);
    same(server, client);
    if (!resets)
      assert.deepEqual([client.broken, server.broken, client.whole !== undefined, server.whole !== undefined], [0, 0, true, true]);
  }
  const drained = [relay.drain(), origin.drain()];
  await Promise.all([upstreams.close(), between.close()]);
  await Promise.all(drained);
}

suite("streams at random", () => {
  for (const [name, resets] of [
    ["without a break arrive whole", false],
    ["with breaks end once", true],
  ] as const) {
    test(name, async () => {
      const before = atWork();
      await fc.assert(
        fc.asyncProperty(fc.array(pair(resets), { minLength: 1, maxLength: 4 }), limits, (pairs, some) => run(pairs, some, resets)),
        { numRuns: 40 },
      );
      await eventually(() => atWork() <= before);
    });
  }
});
