// The same behaviour in each framework, over real sockets: what passes, what is refused, and what a key does.
import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, test } from "node:test";
import { bulkhead, idempotency, rateLimit, timeout } from "../../../src/index.ts";
import { inboundCall } from "../../../src/inbound.ts";
import { virtualClock } from "../../../src/testing/index.ts";
import { gate } from "../../harness/time.ts";
import { ask, bodyOf, open, places, post, problemOf } from "./service.ts";

const large = Buffer.alloc(1_500_000, "abcdefg");

for (const framework of places) {
  describe(framework, () => {
    test("a call passes as if nobody were there", async (t) => {
      const service = await open(
        t,
        [bulkhead({ limit: 1 }), timeout("5s")],
        async (incoming, response) => {
          const body = await bodyOf(incoming);
          response.writeHead(201, { "x-path": incoming.url ?? "", "set-cookie": ["a=1", "b=2"] });
          response.end(body);
        },
        { framework },
      );
      const reply = await ask(service, { method: "POST", path: "/v1/x?y=1", body: large });
      assert.equal(reply.status, 201);
      assert.equal(reply.headers["x-path"], "/v1/x?y=1");
      assert.deepEqual(reply.headers["set-cookie"], ["a=1", "b=2"]);
      assert.ok(reply.body.equals(large));
    });

    test("what the limit does not let pass gets 429, and is told when to come again", async (t) => {
      let worked = 0;
      const service = await open(
        t,
        [rateLimit({ name: "per-minute", rate: 6, per: "1m", burst: 1 })],
        (_incoming, response) => {
          worked++;
          response.end("done");
        },
        { framework },
      );
      assert.equal((await ask(service)).status, 200);
      const refused = await ask(service);
      assert.equal(refused.status, 429);
      assert.equal(refused.headers["content-type"], "application/problem+json");
      assert.equal(refused.headers["ratelimit-policy"], '"per-minute";q=6;w=60');
      assert.match(String(refused.headers["ratelimit"]), /^"per-minute";r=0;t=(?:\d|10)$/);
      assert.match(String(refused.headers["retry-after"]), /^(?:\d|10)$/);
      assert.equal(problemOf(refused).code, "ERR_PREMESH_RATE_LIMITED");
      assert.equal(worked, 1);
    });

    test("a place is held until the response has ended", async (t) => {
      const going = gate();
      const headed = gate();
      const service = await open(
        t,
        [bulkhead({ limit: 1 })],
        async (_incoming, response) => {
          response.write("first ");
          headed.open();
          await going.promise;
          response.end("last");
        },
        { framework },
      );
      const first = ask(service);
      await headed.promise;
      const refused = await ask(service);
      assert.equal(refused.status, 503);
      assert.equal(refused.headers["retry-after"], "1");
      going.open();
      assert.equal((await first).body.toString(), "first last");
      assert.equal((await ask(service)).status, 200);
    });

    test("work that takes too long is answered for, and told; what it still writes goes nowhere", async (t) => {
      const clock = virtualClock();
      const [began, aborted, wrote] = [gate(), gate(), gate()];
      const service = await open(
        t,
        [timeout("30ms")],
        async (incoming, response) => {
          const call = inboundCall(incoming);
          if (call === undefined) aborted.open(); // by a shim it is told in that its request is gone
          else call.signal.addEventListener("abort", () => aborted.open());
          began.open();
          await Promise.all([aborted.promise, once(response, "close")]);
          response.setHeader("x-late", "1");
          response.writeHead(200, { "content-type": "text/plain" });
          response.write("late");
          response.end("later", () => wrote.open());
          if (call === undefined) wrote.open(); // of a connection that is gone, Node tells nobody
        },
        { framework, clock },
      );
      const asked = ask(service);
      await began.promise;
      await clock.advance(30);
      const reply = await asked;
      assert.equal(reply.status, 504);
      assert.equal(problemOf(reply).code, "ERR_PREMESH_TIMEOUT");
      assert.equal(reply.headers["x-late"], undefined);
      await wrote.promise;
    });

    test("a key: done once, and the same answer to all", async (t) => {
      let worked = 0;
      const service = await open(
        t,
        [idempotency({ buffer: 4_000_000 })],
        async (incoming, response) => {
          const body = await bodyOf(incoming);
          worked++;
          response.statusCode = 201;
          response.setHeader("x-order", String(worked));
          response.setHeader("set-cookie", ["a=1", "b=2"]);
          response.write(`${body.length} `);
          response.end(large);
        },
        { framework },
      );
      const first = await post(service, "k-1", { body: large });
      const second = await post(service, '"k-1"', { body: large });
      assert.equal(worked, 1);
      for (const reply of [first, second]) {
        assert.equal(reply.status, 201);
        assert.equal(reply.headers["x-order"], "1");
        assert.deepEqual(reply.headers["set-cookie"], ["a=1", "b=2"]);
        assert.ok(reply.body.equals(Buffer.concat([Buffer.from(`${large.length} `), large])));
      }
      assert.equal(first.headers["idempotency-replayed"], undefined);
      assert.equal(second.headers["idempotency-replayed"], "true");
      assert.equal((await post(service, "k-1")).status, 422);
      assert.equal((await post(service, "k-2", { body: large })).headers["x-order"], "2");
    });
  });
}
