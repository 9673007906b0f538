// Idempotency in an inbound shim: a call with a key is done once by the application behind it, whoever leaves and whatever breaks.
import assert from "node:assert/strict";
import { request, type ServerResponse } from "node:http";
import { describe, test } from "node:test";
import { Metadata } from "@grpc/grpc-js";
import { type Client, definePolicy, fallback, hedge, idempotency, rateLimit, retry, timeout, trace } from "../../../src/index.ts";
import { virtualClock } from "../../../src/testing/index.ts";
import { openShim } from "../../harness/shim.ts";
import { memoryStore } from "../../harness/store.ts";
import { gate, turns } from "../../harness/time.ts";
import { openUpstream } from "../../harness/upstream.ts";
import { echoClient, start } from "../grpc/calls.ts";
import { openPeer, type PeerAttempt } from "../grpc/peer.ts";
import { ask, bodyOf, type Handler, open as openService, post, problemOf, type Service } from "../inbound/service.ts";

type Layers = Parameters<typeof openService>[1];
type Context = Parameters<typeof openService>[0];

const open = (t: Context, layers: Layers, handler: Handler, options: Parameters<typeof openService>[3] = {}): Promise<Service> =>
  openService(t, layers, handler, { ...options, framework: "shim" });

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await turns(1);
}

/** How many keys are taken, and how many are done. */
function keys(client: Client): readonly [unknown, unknown] {
  const [target] = Object.values(client.status().policies["guard"]?.targets ?? {});
  const state = target?.find(({ kind }) => kind === "idempotency")?.state ?? {};
  return [state["taken"], state["done"]];
}

describe("a key", () => {
  test("is needed where the policy says so, and must be one", async (t) => {
    const service = await open(t, [idempotency({ required: true })], (_incoming, response) => response.end("done"));
    assert.equal((await post(service, undefined)).status, 400);
    for (const key of ["", '""', '"a" "b"', "a,b", "x".repeat(256)]) assert.equal((await post(service, key)).status, 400, key);
    const refused = await post(service, undefined);
    assert.equal(refused.headers["content-type"], "application/problem+json");
    assert.match(String(refused.headers["proxy-status"]), /error=http_request_denied/);
    assert.equal(problemOf(refused).code, "ERR_PREMESH_IDEMPOTENCY");
    assert.equal((await post(service, "k")).status, 200);
    assert.equal((await ask(service)).status, 200, "a GET needs none");
  });

  test("belongs to its method, path, query and body", async (t) => {
    const service = await open(t, [idempotency()], (_incoming, response) => response.end("done"));
    await post(service, "k", { path: "/a?b=1" });
    for (const more of [{ path: "/a?b=2" }, { path: "/c?b=1" }, { path: "/a?b=1", method: "PATCH" }, { path: "/a?b=1", body: "" }])
      assert.equal((await post(service, "k", more)).status, 422);
    assert.equal((await post(service, "k", { path: "/a?b=1" })).headers["idempotency-replayed"], "true");
  });

  test("gets 409 while the first is under way, and its answer then", async (t) => {
    const [began, finish] = [gate(), gate()];
    const service = await open(t, [idempotency()], async (_incoming, response) => {
      began.open();
      await finish.promise;
      response.end("done");
    });
    const first = post(service, "k");
    await began.promise;
    const refused = await post(service, "k");
    assert.deepEqual([refused.status, refused.headers["retry-after"]], [409, "1"]);
    finish.open();
    assert.equal((await first).body.toString(), "done");
    const again = await post(service, "k");
    assert.deepEqual([again.body.toString(), again.headers["idempotency-replayed"]], ["done", "true"]);
  });

  test("cannot be kept for an answer that is too long, and has no place for a body that is", async (t) => {
    let worked = 0;
    const service = await open(t, [idempotency({ buffer: 1_000 })], async (incoming, response) => {
      await bodyOf(incoming);
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

  test("holds for large bodies and answers, with trailers, and for answers without a body", async (t) => {
    const large = Buffer.alloc(2_000_000, "abc");
    let worked = 0;
    const service = await open(t, [idempotency({ buffer: 4_000_000 })], async (incoming, response) => {
      worked++;
      const body = await bodyOf(incoming);
      if (incoming.url === "/none") return response.writeHead(204, { "x-by": "app" }).end();
      response.writeHead(201, { trailer: "x-sum" });
      response.write(body);
      response.addTrailers({ "x-sum": "7" });
      return response.end();
    });
    for (const replayed of [undefined, "true"]) {
      const reply = await post(service, "k", { body: large });
      assert.equal(reply.headers["idempotency-replayed"], replayed);
      assert.ok(reply.body.equals(large));
      assert.deepEqual({ ...reply.trailers }, { "x-sum": "7" });
      const none = await post(service, "none", { path: "/none" });
      assert.deepEqual([none.status, none.headers["x-by"], none.headers["idempotency-replayed"]], [204, "app", replayed]);
    }
    assert.equal(worked, 2);
  });

  test("has a bound for the bodies of all, and what was read is let go of", async (t) => {
    const service = await open(t, [idempotency({ buffer: 30_000_000 })], async (incoming, response) => {
      response.end(String((await bodyOf(incoming)).length));
    });
    for (const nth of [1, 2]) {
      const refused = await post(service, "k", { body: Buffer.alloc(17_000_000) });
      assert.deepEqual([refused.status, refused.headers["retry-after"]], [503, "1"]);
      assert.equal((await post(service, `fits-${nth}`, { body: Buffer.alloc(15_000_000) })).body.toString(), "15000000");
    }
  });

  test("is free again where nothing was done: by a layer behind it, by the user's word, or since there is no application", async (t) => {
    let worked = 0;
    const layers = [idempotency({ forget: [503] }), rateLimit({ rate: 2, per: "1h", burst: 2 })];
    const service = await open(t, layers, (_incoming, response) => {
      response.statusCode = ++worked === 1 ? 503 : 200;
      response.end();
    });
    assert.deepEqual([(await post(service, "k")).status, (await post(service, "k")).status], [503, 200]);
    assert.equal((await post(service, "other")).status, 429);
    assert.equal((await post(service, "other")).status, 429, "and not 409");
    const policies = [definePolicy({ name: "guard", match: [{ inbound: true }], layers: [idempotency()] })];
    const shim = await openShim(t, { policies }, { direction: "inbound", app: { origin: new URL("http://127.0.0.1:1") } });
    const nowhere = { port: Number(new URL(shim.url).port) };
    assert.deepEqual([(await post(nowhere, "k")).status, (await post(nowhere, "k")).status], [503, 503]);
  });

  test("is lost where the application breaks off, and nothing is done again", async (t) => {
    const app = await openUpstream(t, ["reset", { after: "reset" }]);
    const policies = [
      definePolicy({ name: "guard", match: [{ inbound: true }], layers: [idempotency(), retry({ on: ["5xx", "reset"] })] }),
    ];
    const shim = await openShim(t, { policies }, { direction: "inbound", app: { origin: new URL(app.url) } });
    const service = { port: Number(new URL(shim.url).port) };
    assert.equal((await post(service, "k")).status, 503);
    assert.match(problemOf(await post(service, "k")).detail, /not known/);
    await assert.rejects(post(service, "half"));
    assert.match(problemOf(await post(service, "half")).detail, /not known/);
    assert.equal(app.requests.length, 2);
  });
});

describe("whoever asked leaves", () => {
  /** An application that answers when it is told to. */
  async function slow(
    t: Context,
    layers: Layers,
    options?: Parameters<typeof openService>[3],
  ): Promise<{ readonly service: Service; readonly began: Promise<ServerResponse>; readonly worked: () => number }> {
    const began = gate<ServerResponse>();
    let worked = 0;
    const service = await open(
      t,
      layers,
      async (incoming, response) => {
        worked++;
        await bodyOf(incoming);
        began.open(response);
      },
      options,
    );
    return { service, began: began.promise, worked: () => worked };
  }

  test("while its body is read: nothing is taken", async (t) => {
    let worked = 0;
    const { client, port } = await open(t, [idempotency()], async (incoming, response) => {
      worked++;
      response.end(await bodyOf(incoming));
    });
    const headers = { "idempotency-key": "k", "content-length": "10" };
    const sent = request({ port, host: "127.0.0.1", method: "POST", agent: false, headers }).on("error", () => undefined);
    sent.write("hello");
    await until(() => Object.keys(client.status().policies["guard"]?.targets ?? {}).length > 0);
    sent.destroy();
    assert.equal((await post({ port }, "k", { body: "hello" })).body.toString(), "hello");
    assert.equal(worked, 1);
    assert.deepEqual(keys(client), [0, 1]);
  });

  test("before the answer: it is kept, and given when it comes again", async (t) => {
    const { service, began, worked } = await slow(t, [idempotency(), timeout("50s")]);
    const leaving = new AbortController();
    const asked = post(service, "k", { signal: leaving.signal });
    const response = await began;
    leaving.abort();
    await assert.rejects(asked);
    await turns(20);
    assert.equal((await post(service, "k")).status, 409);
    response.end("x".repeat(300_000));
    await until(() => keys(service.client)[1] === 1);
    const again = await post(service, "k");
    assert.deepEqual([again.body.length, again.headers["idempotency-replayed"], worked()], [300_000, "true", 1]);
  });

  test("in the middle of the answer: all of it is kept", async (t) => {
    const { service, began, worked } = await slow(t, [idempotency()]);
    const leaving = new AbortController();
    const asked = post(service, "k", { signal: leaving.signal });
    const response = await began;
    response.write("first ");
    await turns(20);
    leaving.abort();
    await assert.rejects(asked);
    response.end("x".repeat(300_000));
    await until(() => keys(service.client)[1] === 1);
    assert.equal((await post(service, "k")).body.length, 300_006);
    assert.equal(worked(), 1);
  });

  test("and its deadline passes in the shim, before the answer: it gets 504, and the answer later", async (t) => {
    const clock = virtualClock();
    const { service, began } = await slow(t, [timeout("1s"), idempotency()], { clock });
    const asked = post(service, "k");
    const response = await began;
    await clock.advance(1_000);
    assert.equal((await asked).status, 504);
    response.end("done");
    await until(() => keys(service.client)[1] === 1);
    assert.equal((await post(service, "k")).body.toString(), "done");
  });

  test("and the application never answers: when the lease is over its request is ended, and the key is lost", async (t) => {
    const clock = virtualClock();
    const { service, began } = await slow(t, [idempotency({ lease: "3s" })], { clock });
    const leaving = new AbortController();
    const asked = post(service, "k", { signal: leaving.signal });
    const response = await began;
    const gone = gate();
    response.once("close", () => gone.open());
    await clock.advance(60_000);
    assert.match(problemOf(await post(service, "k")).detail, /under way/);
    leaving.abort();
    await assert.rejects(asked);
    await turns(50);
    for (let nth = 0; nth < 10; nth++) {
      await clock.advance(1_000);
      await turns();
    }
    await gone.promise;
    assert.match(problemOf(await post(service, "k")).detail, /not known/);
  });
});

test("a retry behind it repeats what was never sent, and no POST that was; before it, it gets the first answer", async (t) => {
  const app = await openUpstream(t, [{ status: 503, body: "busy" }, { body: "done" }]);
  const policies = [
    definePolicy({ name: "guard", match: [{ inbound: true }], layers: [trace(), idempotency(), hedge({ after: "1h" }), retry()] }),
  ];
  const shim = await openShim(t, { policies }, { direction: "inbound", app: { origin: new URL(app.url) } });
  const service = { port: Number(new URL(shim.url).port) };
  assert.deepEqual([(await post(service, "k")).status, (await post(service, "k")).body.toString()], [503, "busy"]);
  assert.equal(app.requests.length, 1);
  assert.equal((await shim.logged(2))[1]?.response_code_details, "idempotency_replayed");
});

test("a fallback before it answers its callers, and what the application said is kept", async (t) => {
  let worked = 0;
  const service = await open(t, [fallback({ response: { status: 200, body: "queued" } }), idempotency()], (_incoming, response) => {
    worked++;
    response.statusCode = 500;
    response.end("mine");
  });
  assert.equal((await post(service, "k")).body.toString(), "queued");
  await until(() => keys(service.client)[1] === 1);
  assert.equal((await post(service, "k")).body.toString(), "queued");
  assert.equal(worked, 1);
});

test("answers that are shared need a store", async (t) => {
  const policies = [definePolicy({ name: "guard", match: [{ inbound: true }], layers: [idempotency({ store: "shared" })] })];
  const app = await openUpstream(t, [{ body: "one" }, { body: "other" }]);
  const behind = { direction: "inbound", app: { origin: new URL(app.url) } } as const;
  await assert.rejects(openShim(t, { policies }, behind), /--shared/);
  const shared = memoryStore();
  const [one, other] = [await openShim(t, { policies, shared }, behind), await openShim(t, { policies, shared }, behind)];
  const said = [];
  for (const { url } of [one, other]) said.push((await post({ port: Number(new URL(url).port) }, "k")).body.toString());
  assert.deepEqual(said, ["one", "one"]);
});

describe("an RPC with a key", () => {
  const policies = [definePolicy({ name: "guard", match: [{ inbound: true, service: "test.Echo" }], layers: [idempotency()] })];
  const keyed = (key: string): Metadata => {
    const metadata = new Metadata();
    metadata.set("idempotency-key", key);
    return metadata;
  };

  async function echo(t: Context, serve: (attempt: PeerAttempt) => unknown): Promise<ReturnType<typeof echoClient>> {
    const peer = await openPeer(t, serve);
    const shim = await openShim(t, { policies }, { direction: "inbound", app: { origin: new URL(`http://${peer.address}`) } });
    return echoClient(t, shim.address);
  }

  test("is done once, with its metadata, its message and its status", async (t) => {
    let worked = 0;
    const stub = await echo(t, async (attempt) => {
      await attempt.ended();
      worked++;
      attempt.head({ "x-by": "app" });
      attempt.send(`${worked} ${attempt.messages[0] ?? ""}`);
      attempt.status(0, { "x-sum": "7" });
    });
    for (const replayed of [[], ["true"]]) {
      const came = await start(stub, "Unary", { messages: ["a"], metadata: keyed("k") }).came;
      assert.deepEqual([came.code, came.messages], [0, ["1 a"]]);
      assert.deepEqual([came.head?.get("x-by"), came.trailers?.get("x-sum")], [["app"], ["7"]]);
      assert.deepEqual(came.head?.get("idempotency-replayed"), replayed);
    }
    assert.equal((await start(stub, "Unary", { messages: ["b"], metadata: keyed("k") }).came).code, 3);
    assert.equal(worked, 1);
  });

  test("is done once also where it fails, in words or with a head alone", async (t) => {
    let worked = 0;
    const stub = await echo(t, async (attempt) => {
      await attempt.ended();
      worked++;
      if (attempt.messages[0] === "late") attempt.head();
      attempt.status(9, { "grpc-message": "not%20now" });
    });
    for (const [key, message] of [
      ["k", "a"],
      ["k", "a"],
      ["l", "late"],
      ["l", "late"],
    ] as const) {
      const came = await start(stub, "Unary", { messages: [message], metadata: keyed(key) }).came;
      assert.deepEqual([came.code, came.details], [9, "not now"]);
    }
    assert.equal(worked, 2);
  });

  test("is refused where it streams, and passes without a key", async (t) => {
    const stub = await echo(t, async (attempt) => {
      await attempt.ended();
      attempt.send(...attempt.messages);
      attempt.status(0);
    });
    const refused = await start(stub, "ClientStream", { messages: ["a", "b"], metadata: keyed("k") }).came;
    assert.equal(refused.code, 3);
    assert.match(refused.details, /streamed/);
    assert.deepEqual((await start(stub, "Bidi", { messages: ["a", "b"] }).came).messages, ["a", "b"]);
  });

  test("that was cut off without a status is lost", async (t) => {
    let worked = 0;
    const stub = await echo(t, async (attempt) => {
      await attempt.ended();
      worked++;
      attempt.head();
      attempt.stream.end();
    });
    assert.equal((await start(stub, "Unary", { messages: ["a"], metadata: keyed("k") }).came).code, 13);
    assert.equal((await start(stub, "Unary", { messages: ["a"], metadata: keyed("k") }).came).code, 9);
    assert.equal(worked, 1);
  });
});
