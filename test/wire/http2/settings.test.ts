// SETTINGS of both peers at random, and changed while messages are under way: what we write stays what was meant.
import assert from "node:assert/strict";
import { connect, type Settings } from "node:http2";
import { suite, test } from "node:test";
import fc from "fast-check";
import { createUpstreams } from "../../../src/wire/upstreams.ts";
import { answerOn, nodeUpstream } from "../../harness/node-h2.ts";
import {
  ACK,
  asking,
  block,
  DATA,
  END_HEADERS,
  END_STREAM,
  frame,
  HEADERS,
  number,
  PING,
  type Raw,
  rawClient,
  rawServer,
  setting,
  SETTINGS,
  WINDOW_UPDATE,
} from "../../harness/raw-h2.ts";
import { recorded } from "../../harness/recorded.ts";
import { turns } from "../../harness/time.ts";
import { eventually, listenFor, wireTo } from "../../harness/wire.ts";

const settings: fc.Arbitrary<Settings> = fc.record(
  {
    initialWindowSize: fc.constantFrom(1, 17, 100, 5_000, 65_535, 1_000_000),
    maxFrameSize: fc.constantFrom(16_384, 16_385, 60_000, 1_000_000),
    headerTableSize: fc.constantFrom(0, 1, 40, 100, 4_096, 65_536),
  },
  { requiredKeys: [] },
);

interface Request {
  readonly fields: Readonly<Record<string, string>>;
  readonly body: number;
  readonly trailers: boolean;
  /** Another word of a peer, before it. */
  readonly change: { readonly by: "client" | "server"; readonly settings: Settings } | undefined;
  readonly turns: number;
}

const request: fc.Arbitrary<Request> = fc.record({
  fields: fc.dictionary(
    fc.constantFrom("x-a", "x-b", "user-agent", "x-c", "authorization"),
    fc.constantFrom("", "1", "22", "y".repeat(900), "z".repeat(5_000)),
  ),
  body: fc.constantFrom(0, 1, 50, 300, 20_000),
  trailers: fc.boolean(),
  change: fc.option(fc.record({ by: fc.constantFrom("client", "server"), settings }), { nil: undefined }),
  turns: fc.nat(3),
});

suite("SETTINGS at random", () => {
  test("change nothing of what is said", async (t) => {
    await fc.assert(
      fc.asyncProperty(settings, settings, fc.array(request, { minLength: 1, maxLength: 6 }), async (ofServer, ofClient, requests) => {
        // as many turns of a window as a test has time for
        const smallest = Math.min(
          ...[ofServer, ofClient, ...requests.map(({ change }) => change?.settings)].map((one) => one?.initialWindowSize ?? 65_535),
        );
        const endings: (() => unknown)[] = [];
        const own = { after: (end: () => unknown) => void endings.push(end) } as typeof t; // the cast: of a context no more is used here
        const { origin, sessions } = await nodeUpstream(
          own,
          (stream, headers) => {
            const chunks: Buffer[] = [];
            let sum = "";
            stream.on("trailers", (fields) => (sum = String(fields["x-sum"])));
            stream.on("data", (chunk: Buffer) => chunks.push(chunk));
            stream.on("end", () => {
              const back = Object.fromEntries(Object.entries(headers).filter(([name]) => /^x-|^user|^auth/.test(name)));
              stream.respond({ ":status": 200, ...back }, { waitForTrailers: true });
              stream.on("wantTrailers", () => stream.sendTrailers({ "x-sum": sum }));
              stream.end(Buffer.concat(chunks));
            });
          },
          { settings: ofServer },
        );
        const { address, listener } = await wireTo(own, origin, { version: "2" });
        const session = connect(`http://${address}`, { settings: ofClient });
        session.on("error", () => undefined);
        await Promise.all(
          requests.map(async ({ fields, body: wished, trailers, change, turns: wait }, nth) => {
            const body = Math.min(wished, 300 * smallest);
            await turns(wait * nth);
            if (change?.by === "client") session.settings(change.settings);
            else if (change !== undefined) sessions[0]?.settings(change.settings);
            const stream = session.request({ ":method": "POST", ...fields }, { waitForTrailers: trailers });
            stream.on("wantTrailers", () => stream.sendTrailers({ "x-sum": String(nth) }));
            const content = Buffer.from(Array.from({ length: body }, (_, at) => at % 251));
            stream.end(content);
            const answer = await answerOn(stream);
            assert.equal(answer.code, 0);
            assert.equal(answer.headers[":status"], 200);
            for (const [name, value] of Object.entries(fields)) assert.equal(answer.headers[name], value, name);
            assert.ok(answer.body.equals(content));
            assert.equal(answer.trailers?.["x-sum"], trailers ? String(nth) : "");
          }),
        );
        assert.equal(listener.count().exchanges, 0);
        session.destroy();
        for (const end of endings.toReversed()) await end();
      }),
      { numRuns: 25 },
    );
  });
});

suite("SETTINGS in the middle", () => {
  test("make the window of a stream less than nothing, which has to be made up for", async (t) => {
    const { address } = await listenFor(t, (exchange) => {
      exchange.respond({ status: 200, fields: [] }, false);
      exchange.write(Buffer.alloc(200, "x"));
      exchange.end();
    });
    const client = await rawClient(t, Number(address.split(":").at(-1)), setting(4, 100));
    const got = (): number => client.frames.filter(({ type }) => type === DATA).reduce((sum, { payload }) => sum + payload.length, 0);
    client.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, asking()));
    await eventually(() => got() === 100);
    for (const [more, after] of [
      [frame(SETTINGS, 0, 0, setting(4, 10)), 100],
      [frame(WINDOW_UPDATE, 0, 1, number(90)), 100],
      [frame(WINDOW_UPDATE, 0, 1, number(5)), 105],
      [frame(SETTINGS, 0, 0, setting(4, 30)), 125],
      [frame(SETTINGS, 0, 0, setting(4, 0)), 125],
      [frame(WINDOW_UPDATE, 0, 1, number(30)), 125],
      [frame(WINDOW_UPDATE, 0, 1, number(75)), 200],
    ] as const) {
      const before = client.frames.length;
      client.send(more, frame(PING, 0, 0, Buffer.alloc(8)));
      await eventually(() => client.frames.slice(before).some(({ type, flags }) => type === PING && flags === ACK));
      assert.equal(got(), after);
    }
  });

  test("allow no more streams: what follows goes over another connection, and what is under way ends", async (t) => {
    const peers: Raw[] = [];
    const { origin } = await rawServer(t, (peer, nth) => {
      peers.push(peer);
      peer.send(frame(SETTINGS, 0, 0));
      if (nth > 1) peer.each(HEADERS, ({ id }) => peer.send(frame(HEADERS, END_HEADERS | END_STREAM, id, block([[":status", "200"]]))));
    });
    const upstreams = createUpstreams();
    const first = recorded(upstreams, origin);
    await eventually(() => peers[0]?.frames.some(({ type }) => type === HEADERS) === true);
    const before = peers[0]?.frames.length ?? 0;
    peers[0]?.send(frame(SETTINGS, 0, 0, setting(3, 0)));
    await eventually(() => peers[0]?.frames.slice(before).some(({ type, flags }) => type === SETTINGS && flags === ACK) === true);
    assert.equal(await recorded(upstreams, origin).over, undefined);
    assert.equal(peers.length, 2);
    peers[0]?.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, block([[":status", "200"]])));
    assert.equal(await first.over, undefined);
    await upstreams.close();
  });
});
