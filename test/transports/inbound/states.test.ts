// A call that comes in, in each of its states: whoever asked leaves, the handler fails in every way, and nothing is held or left behind.
import assert from "node:assert/strict";
import { once } from "node:events";
import { Agent, request } from "node:http";
import { connect } from "node:net";
import { describe, test } from "node:test";
import { breaker, bulkhead, type Client, fallback, fault, idempotency, rateLimit, retry, route, timeout } from "../../../src/index.ts";
import { createClient, definePolicy } from "../../../src/index.ts";
import { inbound, inboundCall } from "../../../src/inbound.ts";
import { virtualClock } from "../../../src/testing/index.ts";
import { gate, turns } from "../../harness/time.ts";
import { ask, bodyOf, open, post, problemOf } from "./service.ts";

/** The state of the outermost layer. */
const outermost = (client: Client): Readonly<Record<string, unknown>> =>
  client.status().policies["guard"]?.targets["inbound"]?.[0]?.state ?? {};

const last = (client: Client): unknown => client.decisions().at(-1);

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await turns(1);
}

describe("whoever asked leaves", () => {
  test("in the queue: its place in line is free at once, and the handler never begins", async (t) => {
    const finish = gate();
    let worked = 0;
    const { client, ...service } = await open(
      t,
      [bulkhead({ limit: 1, queue: { size: 1, timeout: "10s" } })],
      async (_incoming, response) => {
        worked++;
        await finish.promise;
        response.end();
      },
    );
    const first = ask(service);
    await until(() => worked === 1);
    const leaving = new AbortController();
    const second = ask(service, { signal: leaving.signal });
    await until(() => outermost(client)["waiting"] === 1);
    leaving.abort();
    await assert.rejects(second);
    await until(() => outermost(client)["waiting"] === 0);
    finish.open();
    await first;
    assert.equal(worked, 1);
    await until(() => outermost(client)["active"] === 0);
  });

  test("while its body is read for its key: nothing is taken", async (t) => {
    let worked = 0;
    const { client, port } = await open(t, [bulkhead({ limit: 1 }), idempotency()], async (incoming, response) => {
      worked++;
      response.end(await bodyOf(incoming));
    });
    const headers = { "idempotency-key": "k", "content-length": "10" };
    const sent = request({ port, host: "127.0.0.1", method: "POST", agent: false, headers }).on("error", () => undefined);
    sent.write("hello");
    await until(() => outermost(client)["active"] === 1);
    sent.destroy();
    await until(() => outermost(client)["active"] === 0);
    assert.equal((await post({ port }, "k", { body: "hello" })).body.toString(), "hello");
    assert.equal(worked, 1);
  });

  test("while the handler works: it hears of it, and the place is free though it goes on", async (t) => {
    const [left, finish] = [gate(), gate()];
    const { client, ...service } = await open(t, [bulkhead({ limit: 1 })], async (incoming, response) => {
      inboundCall(incoming)?.signal.addEventListener("abort", () => left.open());
      await finish.promise;
      response.writeHead(200).end("to nobody");
    });
    const leaving = new AbortController();
    const asked = ask(service, { signal: leaving.signal });
    await until(() => outermost(client)["active"] === 1);
    leaving.abort();
    await assert.rejects(asked);
    await left.promise;
    assert.equal(outermost(client)["active"], 0);
    finish.open();
  });

  test("in the middle of the answer: the handler hears of it", async (t) => {
    const left = gate();
    const { client, port } = await open(t, [bulkhead({ limit: 1 })], (incoming, response) => {
      inboundCall(incoming)?.signal.addEventListener("abort", () => left.open());
      response.write("first");
    });
    const sent = request({ port, host: "127.0.0.1", agent: false }).on("error", () => undefined);
    sent.on("response", (response) => response.on("error", () => undefined).once("data", () => sent.destroy())).end();
    await left.promise;
    await until(() => outermost(client)["active"] === 0);
  });

  test("while it waits behind another on its connection", async (t) => {
    const finish = gate();
    let worked = 0;
    const { client, port } = await open(t, [bulkhead({ limit: 9 })], async (_incoming, response) => {
      worked++;
      await finish.promise;
      response.end();
    });
    const socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
    for (let nth = 0; nth < 5; nth++) socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await until(() => worked === 5);
    assert.equal(outermost(client)["active"], 5);
    socket.destroy();
    await until(() => outermost(client)["active"] === 0);
    finish.open();
  });

  test("while the work of its key goes on: the next call finds the key taken, and then the answer", async (t) => {
    const [began, finish] = [gate(), gate()];
    const { client, ...service } = await open(t, [bulkhead({ limit: 1 }), idempotency()], async (incoming, response) => {
      const body = await bodyOf(incoming);
      began.open();
      assert.equal(inboundCall(incoming)?.signal.aborted, false);
      await finish.promise;
      assert.equal(inboundCall(incoming)?.signal.aborted, false, "the work under a key is brought to its end");
      response.setHeader("x-order", "7");
      response.statusCode = 201;
      response.write(body);
      response.end("!");
    });
    const leaving = new AbortController();
    const asked = post(service, "k", { signal: leaving.signal });
    await began.promise;
    leaving.abort();
    await assert.rejects(asked);
    await until(() => outermost(client)["active"] === 0);
    const running = await post(service, "k");
    assert.deepEqual([running.status, running.headers["retry-after"]], [409, "1"]);
    assert.equal(problemOf(running).code, "ERR_PREMESH_IDEMPOTENCY");
    finish.open();
    let reply = await post(service, "k");
    while (reply.status === 409) reply = await post(service, "k");
    assert.deepEqual([reply.status, reply.headers["x-order"], reply.body.toString()], [201, "7", "amount=10!"]);
  });
});

describe("the deadline", () => {
  test("passes while the work of a key goes on: 504 now, and the answer for the next call", async (t) => {
    const clock = virtualClock();
    const [began, finish, finished] = [gate(), gate(), gate()];
    const { client, ...service } = await open(
      t,
      [timeout("1s"), idempotency()],
      async (_incoming, response) => {
        response.setHeader("access-control-allow-origin", "*");
        response.setHeader("content-type", "text/html");
        began.open();
        await finish.promise;
        response.setHeader("x-late", "1");
        response.writeHead(201, { "content-type": "text/plain" });
        response.end("late", finished.open);
      },
      { clock },
    );
    const asked = post(service, "k");
    await began.promise;
    await clock.advance(1_000);
    const refused = await asked;
    assert.equal(refused.status, 504);
    assert.equal(refused.headers["access-control-allow-origin"], "*", "what is not of the answer stays");
    assert.equal(refused.headers["content-type"], "application/problem+json");
    finish.open();
    await finished.promise;
    const reply = await post(service, "k");
    assert.deepEqual([reply.status, reply.headers["x-late"], reply.body.toString()], [201, "1", "late"]);
    assert.equal(reply.headers["content-type"], "text/plain");
    assert.equal((last(client) as { what: string }).what, "replayed"); // the cast: a decision
  });

  test("passes behind the head: the answer is broken off", async (t) => {
    const clock = virtualClock();
    const { client, ...service } = await open(
      t,
      [timeout("1s")],
      (_incoming, response) => {
        response.write("first");
      },
      { clock },
    );
    const sent = request({ port: service.port, host: "127.0.0.1", agent: false }).end();
    const [response] = (await once(sent, "response")) as [NodeJS.ReadableStream]; // the cast: that is what the event has
    const broken = once(response.resume(), "error").catch(() => undefined);
    await clock.advance(1_000);
    await broken;
    assert.equal((last(client) as { what: string }).what, "timed-out"); // the cast: a decision
  });

  test("of the caller counts only where it is trusted", async (t) => {
    const headers = { "x-envoy-expected-rq-timeout-ms": "50" };
    for (const trustDeadline of [true, false]) {
      const clock = virtualClock();
      const remaining = gate<number | undefined>();
      const finish = gate();
      const service = await open(
        t,
        [],
        async (incoming, response) => {
          remaining.open(inboundCall(incoming)?.remainingMs());
          await finish.promise;
          response.end();
        },
        { clock, inbound: { trustDeadline } },
      );
      const asked = ask(service, { headers });
      assert.equal(await remaining.promise, trustDeadline ? 50 : Number.POSITIVE_INFINITY);
      await clock.advance(50);
      if (!trustDeadline) finish.open();
      assert.equal((await asked).status, trustDeadline ? 504 : 200);
      finish.open();
      await until(() => clock.pending() === 0);
      if (trustDeadline) assert.equal((await ask(service, { headers: { "x-envoy-expected-rq-timeout-ms": "0" } })).status, 504);
    }
  });
});

describe("the handler", () => {
  test("throws, at once or later: its error goes where it would go, and the breaker counts it", async (t) => {
    for (const handler of [
      () => {
        throw new Error("boom");
      },
      () => Promise.reject(new Error("boom")),
    ]) {
      const client = createClient({
        policies: [
          definePolicy({
            name: "guard",
            match: [{ inbound: true }],
            layers: [bulkhead({ limit: 1 }), breaker({ trip: { consecutive: 1 } })],
          }),
        ],
      });
      const guard = inbound(client);
      const service = await open(t, [], (incoming, response) =>
        guard(incoming, response, handler).catch((error: unknown) => response.writeHead(500).end(String(error))),
      );
      const reply = await ask(service);
      assert.deepEqual([reply.status, reply.body.toString()], [500, "Error: boom"]);
      await until(() => outermost(client)["active"] === 0);
      const refused = await ask(service);
      assert.deepEqual([refused.status, refused.headers["retry-after"]], [503, "5"]);
      await client.close();
    }
  });

  test("throws in the middle of the work of a key, and its framework answers: that is the answer", async (t) => {
    let worked = 0;
    const service = await open(
      t,
      [idempotency()],
      () => {
        worked++;
        throw new Error("boom");
      },
      { framework: "express 5" },
    );
    for (let nth = 0; nth < 2; nth++) assert.equal((await post(service, "k")).status, 500);
    assert.equal(worked, 1);
  });

  test("ends the connection without an answer: how it came out is not known, and it is not done again", async (t) => {
    let worked = 0;
    const { client, ...service } = await open(t, [idempotency()], (_incoming, response) => {
      worked++;
      response.destroy();
      return Promise.resolve();
    });
    await assert.rejects(post(service, "k"));
    await until(() => client.decisions().some(({ what }) => what === "lost"));
    const refused = await post(service, "k");
    assert.deepEqual([refused.status, refused.headers["retry-after"]], [409, undefined]);
    assert.match(problemOf(refused).detail, /not known/);
    assert.equal(worked, 1);
  });

  test("is done again where the user says that this does no harm", async (t) => {
    let worked = 0;
    const { client, ...service } = await open(t, [idempotency({ unknown: "repeat" })], (_incoming, response) => {
      if (++worked === 1) response.destroy();
      else response.end("done");
      return Promise.resolve();
    });
    await assert.rejects(post(service, "k"));
    await until(() => client.decisions().some(({ what }) => what === "lost"));
    assert.equal((await post(service, "k")).body.toString(), "done");
    assert.equal((await post(service, "k")).headers["idempotency-replayed"], "true");
    assert.equal(worked, 2);
  });

  test("writes after its end: as without us", async (t) => {
    const wrote = gate<unknown>();
    const service = await open(t, [bulkhead({ limit: 1 }), idempotency()], (_incoming, response) => {
      response.on("error", wrote.open);
      response.end("done");
      response.write("more");
    });
    assert.equal((await post(service, "k")).body.toString(), "done");
    assert.equal(((await wrote.promise) as { code?: string }).code, "ERR_STREAM_WRITE_AFTER_END"); // the cast: an error of Node's
    assert.equal((await post(service, "k")).body.toString(), "done");
  });

  test("sends trailers, and they are given again", async (t) => {
    const service = await open(t, [idempotency()], (_incoming, response) => {
      response.writeHead(200, ["Trailer", "x-sum", "X-One", "1"]);
      response.write("body");
      response.addTrailers({ "x-sum": "42" });
      response.end();
    });
    for (let nth = 0; nth < 2; nth++) {
      const reply = await post(service, "k");
      assert.deepEqual([reply.body.toString(), reply.trailers["x-sum"], reply.headers["x-one"]], ["body", "42", "1"]);
    }
  });

  test("is asked for a HEAD, over a connection that is kept", async (t) => {
    const { client, ...service } = await open(
      t,
      [bulkhead({ limit: 1 }), rateLimit({ rate: 4, per: "1h", burst: 4 })],
      (_incoming, response) => {
        response.setHeader("content-length", "5");
        response.end("hello");
      },
    );
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    for (let nth = 0; nth < 4; nth++) {
      const reply = await ask(service, { method: nth % 2 === 0 ? "HEAD" : "GET", agent });
      assert.deepEqual([reply.status, reply.headers["content-length"], reply.body.length], [200, "5", nth % 2 === 0 ? 0 : 5]);
    }
    const refused = await ask(service, { method: "HEAD", agent });
    assert.deepEqual([refused.status, refused.body.length], [429, 0]);
    const again = await ask(service, { method: "POST", body: "x".repeat(200_000), agent });
    assert.equal(again.status, 429, "a refusal leaves the connection in order, whatever body has come");
    await until(() => outermost(client)["active"] === 0);
    agent.destroy();
  });
});

describe("a key", () => {
  test("is needed where the policy says so, and must be one", async (t) => {
    const service = await open(t, [idempotency({ required: true })], (_incoming, response) => response.end("done"));
    assert.equal((await post(service, undefined)).status, 400);
    for (const key of ["", "   ", '""', '"a" "b"', "a,b", "a b", "x".repeat(256)])
      assert.equal((await post(service, key)).status, 400, key);
    assert.equal((await post(service, "x".repeat(255))).status, 200);
    assert.equal((await ask(service)).status, 200, "a GET needs none");
  });

  test("is another's under another scope, and everybody's where there is none", async (t) => {
    let worked = 0;
    const service = await open(t, [idempotency({ scope: { header: "Authorization" } })], (_incoming, response) =>
      response.end(String(++worked)),
    );
    const as = (name: string): ReturnType<typeof post> => post(service, "k", { headers: { authorization: name } });
    assert.deepEqual(
      [(await as("ann")).body.toString(), (await as("bob")).body.toString(), (await as("ann")).body.toString()],
      ["1", "2", "1"],
    );
  });

  test("belongs to its method, path, query and body", async (t) => {
    const service = await open(t, [idempotency()], (_incoming, response) => response.end("done"));
    await post(service, "k", { path: "/a?b=1" });
    for (const more of [{ path: "/a?b=2" }, { path: "/c?b=1" }, { path: "/a?b=1", method: "PATCH" }, { path: "/a?b=1", body: "" }])
      assert.equal((await post(service, "k", more)).status, 422);
    assert.equal((await post(service, "k", { path: "/a?b=1" })).status, 200);
  });

  test("cannot be kept for an answer that is too long, and the work is not done again", async (t) => {
    let worked = 0;
    const service = await open(t, [idempotency({ buffer: 1_000 })], (_incoming, response) => {
      worked++;
      response.end("x".repeat(1_001));
    });
    assert.equal((await post(service, "k")).body.length, 1_001);
    const refused = await post(service, "k");
    assert.equal(refused.status, 409);
    assert.match(problemOf(refused).detail, /was not kept/);
    assert.equal((await post(service, "other", { body: "x".repeat(1_001) })).status, 413);
    assert.equal((await post(service, "other", { body: "x".repeat(1_001), headers: { "transfer-encoding": "chunked" } })).status, 413);
    assert.equal(worked, 1);
  });

  test("is free again where nothing was done: by a layer behind it, or by the user's word", async (t) => {
    let worked = 0;
    const service = await open(t, [idempotency({ forget: [503] }), rateLimit({ rate: 2, per: "1h", burst: 2 })], (_incoming, response) => {
      response.statusCode = ++worked === 1 ? 503 : 200;
      response.end();
    });
    assert.deepEqual(
      [(await post(service, "k")).status, (await post(service, "k")).status, (await post(service, "k")).status],
      [503, 200, 200],
    );
    assert.equal(worked, 2);
    assert.equal((await post(service, "other")).status, 429);
    assert.equal((await post(service, "other")).status, 429, "and not 409");
  });

  test("is looked at before bodies are read, or not at all", async (t) => {
    const service = await open(t, [], async (incoming, response) => {
      await bodyOf(incoming);
      const client = createClient({ policies: [definePolicy({ name: "late", match: [{ inbound: true }], layers: [idempotency()] })] });
      await inbound(client)(incoming, response, () => response.end("done"));
    });
    const refused = await post(service, "k");
    assert.equal(refused.status, 500);
    assert.match(problemOf(refused).detail, /must come before/);
  });

  test("is known after an update of the policies, also one that changes the layer", async (t) => {
    let worked = 0;
    const { client, ...service } = await open(t, [idempotency()], (_incoming, response) => response.end(String(++worked)));
    await post(service, "k");
    client.update([definePolicy({ name: "guard", match: [{ inbound: true }], layers: [idempotency({ keep: "1h" }), timeout("1s")] })]);
    assert.equal((await post(service, "k")).headers["idempotency-replayed"], "true");
    assert.equal(worked, 1);
  });

  test("is renewed while the work goes on, and is lost when nobody waits and nothing is heard", async (t) => {
    const clock = virtualClock();
    const service = await open(t, [idempotency({ lease: "3s" })], () => undefined, { clock });
    const leaving = new AbortController();
    const asked = post(service, "k", { signal: leaving.signal });
    await until(() => clock.pending() > 0);
    await clock.advance(60_000);
    assert.match(problemOf(await post(service, "k")).detail, /under way/);
    leaving.abort();
    await assert.rejects(asked);
    await turns(50);
    await clock.advance(60_000);
    assert.match(problemOf(await post(service, "k")).detail, /not known/);
    assert.equal(clock.pending(), 0);
  });
});

test("a connection that is kept gathers no listeners, and a client no places, timers or keys that are taken", async (t) => {
  const clock = virtualClock();
  const counts: number[] = [];
  const layers = [bulkhead({ limit: 2 }), timeout("5s"), breaker(), idempotency({ bounds: { records: 10 } })];
  const { client, ...service } = await open(
    t,
    layers,
    async (incoming, response) => {
      await bodyOf(incoming);
      const { socket } = incoming;
      counts.push(socket.eventNames().reduce((sum, name) => sum + socket.listenerCount(name), 0));
      response.end("done");
    },
    { clock, inbound: { trustDeadline: true } },
  );
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  for (let nth = 0; nth < 60; nth++) {
    const headers = { "x-envoy-expected-rq-timeout-ms": "9000" };
    assert.equal((await post(service, nth % 2 === 0 ? `k${nth}` : undefined, { agent, headers })).status, 200);
  }
  agent.destroy();
  assert.equal(counts.at(-1), counts[1]);
  await until(() => outermost(client)["active"] === 0 && clock.pending() === 0);
  const keys = client.status().policies["guard"]?.targets["inbound"]?.find(({ kind }) => kind === "idempotency");
  assert.deepEqual([keys?.state["taken"], keys?.state["done"]], [0, 10]);
});

test("a premesh caller that gives up on an attempt comes again with its key, is told to wait, and gets the answer of the first", async (t) => {
  const [began, finish] = [gate(), gate()];
  let worked = 0;
  const { client, ...service } = await open(t, [idempotency()], async (_incoming, response) => {
    worked++;
    began.open();
    await finish.promise;
    response.end("done");
  });
  const clock = virtualClock();
  const again = retry({ attempts: 4, on: ["reset", "retriable-4xx"], backoff: { base: "10ms", max: "10ms" } });
  const caller = createClient({
    policies: [definePolicy({ name: "shop", match: [{ host: "*" }], layers: [idempotency(), again, timeout("5s")] })],
    clock,
  });
  const asked = caller.fetch(`${service.url}/orders`, { method: "POST", body: "amount=10" });
  let settled = false;
  void asked.finally(() => (settled = true));
  await began.promise;
  while (!settled) {
    await clock.advance(1_000);
    await turns();
    if (client.decisions().some(({ what }) => what === "refused")) finish.open();
  }
  const response = await asked;
  assert.deepEqual([response.status, await response.text(), response.headers.get("idempotency-replayed")], [200, "done", "true"]);
  assert.ok((caller.explain(response)?.attempts ?? 0) >= 3);
  assert.equal(worked, 1);
  await caller.close();
});

test("a fault and a fallback answer in the place of the handler; what the handler has answered stands", async (t) => {
  let worked = 0;
  const broken = await open(t, [fault({ abort: { status: 418, percent: 100 } })], () => worked++);
  assert.equal((await ask(broken)).status, 418);
  const replaced = await open(
    t,
    [fallback({ response: { status: 200, body: { queued: true } } }), rateLimit({ rate: 1, per: "1h", burst: 1 })],
    (_incoming, response) => {
      response.statusCode = 500;
      response.end("mine");
    },
  );
  assert.deepEqual([(await ask(replaced)).body.toString(), (await ask(replaced)).body.toString()], ["mine", '{"queued":true}']);
  assert.equal(worked, 0);
});

test("layers that would do the work again are refused, now and with an update", () => {
  const policy = (layer: ReturnType<typeof retry> | ReturnType<typeof route>): ReturnType<typeof definePolicy> =>
    definePolicy({ name: "p", match: [{ inbound: true }], layers: [layer] });
  const wrong = { code: "ERR_PREMESH_INVALID_OPTIONS", policy: "p" };
  assert.throws(() => inbound(createClient({ policies: [policy(retry())] })), wrong);
  const client = createClient({ policies: [] });
  inbound(client);
  assert.throws(() => client.update([policy(route({ to: [{ endpoints: ["http://a"] }] }))]), wrong);
  assert.throws(
    () => client.update([definePolicy({ name: "p", match: [{ inbound: true }], layers: [idempotency({ store: "shared" })] })]),
    wrong,
  );
  assert.deepEqual(client.status().policies, {});
  client.update([definePolicy({ name: "p", match: [{ host: "a" }], layers: [retry()] })]);
});

test("a client that is closed answers 503, and calls that nothing matches go through", async (t) => {
  const { client, ...service } = await open(t, [bulkhead({ limit: 1 })], (_incoming, response) => response.end("done"));
  assert.equal((await ask(service)).status, 200);
  await client.close();
  assert.equal((await ask(service)).status, 503);
});
