// One client's resets are not another's: over a connection to an upstream that both share.
import assert from "node:assert/strict";
import type { Http2Session, ServerHttp2Stream } from "node:http2";
import { suite, test, type TestContext } from "node:test";
import { createUpstreams } from "../../../src/wire/upstreams.ts";
import { nodeUpstream } from "../../harness/node-h2.ts";
import { asking, END_HEADERS, END_STREAM, frame, HEADERS, number, rawClient, RST_STREAM } from "../../harness/raw-h2.ts";
import { plainHead, recorded } from "../../harness/recorded.ts";
import { turns } from "../../harness/time.ts";
import { wireTo } from "../../harness/wire.ts";

/** A server that ends a connection at so many resets. It answers `/quick` at once, and `/held` when it is told. */
async function impatient(t: TestContext, most: number): Promise<{ origin: URL; answer: () => void; resets: () => number[] }> {
  const held: ServerHttp2Stream[] = [];
  const resets = new Map<Http2Session, number>();
  const { origin } = await nodeUpstream(t, (stream, headers) => {
    const { session } = stream;
    const path = headers[":path"];
    if (path === "/quick") stream.respond({ ":status": 200 }, { endStream: true });
    else if (path === "/held") held.push(stream);
    stream.on("close", () => {
      if (session === undefined || session.destroyed || stream.rstCode !== 8) return; // what goes with its connection was not reset
      const count = (resets.get(session) ?? 0) + 1;
      resets.set(session, count);
      if (count === most) session.destroy(undefined, 11);
    });
  });
  return {
    origin,
    answer: () => {
      for (const stream of held.splice(0)) stream.respond({ ":status": 200 }, { endStream: true });
    },
    resets: () => [...resets.values()],
  };
}

suite("a connection to an upstream", () => {
  test("is not ended by the resets of one client while another waits on it", async (t) => {
    const streams: ServerHttp2Stream[] = [];
    // what Node does by default: 1,000 resets, and 33 more each second; here a tenth of it
    const { origin } = await nodeUpstream(
      t,
      (stream, headers) => {
        if (headers[":path"] === "/quick") stream.respond({ ":status": 200 }, { endStream: true });
        else streams.push(stream);
      },
      { streamResetBurst: 150, streamResetRate: 5 },
    );
    const { address } = await wireTo(t, origin, { version: "2", listening: { limits: { resets: { burst: 10_000, perSecond: 1 } } } });
    const innocent = await rawClient(t, Number(address.split(":").at(-1)));
    innocent.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, asking()));
    const attacker = await rawClient(t, Number(address.split(":").at(-1)));
    for (let round = 0; round < 10; round++) {
      const ids = Array.from({ length: 200 }, (_, n) => 2 * (200 * round + n) + 1);
      const before = streams.length;
      for (const id of ids) attacker.send(frame(HEADERS, END_HEADERS | END_STREAM, id, asking("POST")));
      while (streams.length < before + 1) await turns(1);
      for (const id of ids) attacker.send(frame(RST_STREAM, 0, id, number(8)));
      await turns(20);
    }
    while (streams[0] === undefined) await turns(1);
    streams[0].respond({ ":status": 200 }, { endStream: true });
    const answer = await innocent.first(({ type, id }) => id === 1 && (type === HEADERS || type === RST_STREAM));
    assert.equal(answer?.type, HEADERS);
    assert.equal(answer.payload[0], 0x88);
    assert.equal(innocent.socket.destroyed, false);
  });

  test("hears of no more resets than its allowance, and goes when nobody waits on it", async (t) => {
    const server = await impatient(t, 60);
    const upstreams = createUpstreams({ limits: { upstreamResets: { burst: 50, perSecond: 0 } } });
    t.after(() => {
      void upstreams.close();
    });
    const held = recorded(upstreams, server.origin, plainHead({ path: "/held" }));
    await held.until("connected");
    for (let round = 0; round < 5; round++) {
      const lost = Array.from({ length: 40 }, () => recorded(upstreams, server.origin, plainHead({ path: "/lost" })));
      await Promise.all(lost.map((one) => one.until("connected")));
      for (const { stream } of lost) stream.reset("cancelled");
    }
    const quick = recorded(upstreams, server.origin, plainHead({ path: "/quick" }));
    assert.equal(await quick.over, undefined);
    server.answer();
    assert.equal(await held.over, undefined);
    await upstreams.close();
    assert.ok(server.resets().length > 0);
    for (const count of server.resets()) assert.ok(count <= 50, `${count} resets`);
  });
});
