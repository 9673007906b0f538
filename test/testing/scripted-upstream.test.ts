// scriptedUpstream: answers as a script says, on a virtual clock, and fails as the runtime's fetch would.
import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { suite, test } from "node:test";
import { type Client, createClient, definePolicy, idempotency, type LayerDefinition, retry, timeout } from "../../src/index.ts";
import { type ScriptedUpstream, scriptedUpstream, virtualClock } from "../../src/testing/index.ts";
import { watch } from "../harness/time.ts";

const URL = "http://api.internal/items";

function clientOf(fetch: ScriptedUpstream, layers: readonly LayerDefinition[], clock = virtualClock()): Client {
  return createClient({ policies: [definePolicy({ name: "api", match: [{ host: "*" }], layers })], fetch, clock, seed: 1 });
}

const atOnce = retry({ attempts: 5, backoff: { base: "0ms", max: "0ms" }, budget: false });

test("each request takes a step, and `forever` answers what follows", async () => {
  const upstream = scriptedUpstream([503, { status: 200, body: { id: 7 }, headers: { "x-from": "script" } }], { forever: 404 });
  assert.equal((await upstream(URL)).status, 503);
  const second = await upstream(URL, { method: "POST", body: "hello", headers: { "X-Mine": "yes" } });
  assert.ok(second instanceof Response);
  assert.equal(second.url, URL);
  assert.equal(second.headers.get("x-from"), "script");
  assert.equal(second.headers.get("content-type"), "application/json");
  assert.deepEqual(await second.json(), { id: 7 });
  for (let more = 0; more < 3; more++) assert.equal((await upstream(URL)).status, 404);
  upstream.assertDone();
  assert.deepEqual(
    upstream.requests.map(({ number, method, url, body }) => [number, method, url, body]),
    [
      [1, "GET", URL, ""],
      [2, "POST", URL, "hello"],
      [3, "GET", URL, ""],
      [4, "GET", URL, ""],
      [5, "GET", URL, ""],
    ],
  );
  assert.equal(upstream.requests[1]?.headers["x-mine"], "yes");
});

test("assertDone tells what was left, and what came after the end", async () => {
  const upstream = scriptedUpstream([200, 201]);
  assert.throws(() => upstream.assertDone(), { name: "AssertionError", message: /2 of 2 steps were not used/, actual: 0, expected: 2 });
  await upstream(URL);
  await upstream(URL);
  upstream.assertDone();
  await assert.rejects(upstream(URL, { method: "PUT" }), /request 3 \(PUT .*\) was not expected, the script has 2 steps/);
  assert.throws(() => upstream.assertDone(), /requests came after the last step: PUT http:\/\/api\.internal\/items/);
});

test("a function is asked for each request", async () => {
  const upstream = scriptedUpstream(({ url, number }) => (url.endsWith("/slow") ? { status: 200, body: `answer ${number}` } : 404));
  assert.equal((await upstream(URL)).status, 404);
  assert.equal(await (await upstream("http://api.internal/slow")).text(), "answer 2");
  upstream.assertDone();
});

test("a delay takes the clock's time, and so does each piece of a body that drips", async () => {
  const clock = virtualClock();
  const upstream = scriptedUpstream([{ body: "abcde", delay: "30s", drip: { bytes: 2, every: "1m" } }], { clock });
  const answered = watch(upstream(URL).then(async (response) => response.text()));
  await clock.advance(30_000);
  assert.equal(clock.pending(), 1, "the first piece is on its way");
  await clock.advance(179_999);
  assert.equal(answered.settled, false);
  await clock.advance(1);
  assert.equal(answered.value, "abcde");
  assert.equal(clock.pending(), 0);
});

suite("under a policy", () => {
  test("a refused connection was never sent, so that a POST is tried again", async () => {
    const upstream = scriptedUpstream(["refuse", 200]);
    const client = clientOf(upstream, [atOnce]);
    const response = await client.fetch(URL, { method: "POST", body: new Blob(["hello"]).stream(), duplex: "half" });
    assert.equal(response.status, 200);
    assert.deepEqual(
      upstream.requests.map(({ body }) => body),
      ["", "hello"],
      "nobody was there to read the first",
    );
  });

  for (const fault of ["reset", "garbage"] as const) {
    test(`a ${fault} is one of the peer: a GET is tried again, a POST is not`, async () => {
      const upstream = scriptedUpstream([fault, 200, fault]);
      const client = clientOf(upstream, [atOnce]);
      assert.equal((await client.fetch(URL)).status, 200);
      const error: unknown = await client.fetch(URL, { method: "POST" }).catch((thrown: unknown) => thrown);
      assert.ok(error instanceof TypeError && error.message === "fetch failed");
      assert.equal(client.explain(error)?.attempts, 1);
      upstream.assertDone();
    });
  }

  test("Retry-After is heeded, in virtual time", async () => {
    const clock = virtualClock();
    const upstream = scriptedUpstream([{ status: 503, retryAfter: "20s" }, 200], { clock });
    const call = watch(clientOf(upstream, [atOnce], clock).fetch(URL));
    await clock.advance(19_999);
    assert.equal(upstream.requests.length, 1);
    await clock.runAll();
    assert.equal(call.value?.status, 200);
    assert.deepEqual(
      upstream.requests.map(({ at }) => at),
      [0, 20_000],
    );
  });

  test("a hang ends with the attempt's timeout, and leaves nothing", async () => {
    const clock = virtualClock();
    const upstream = scriptedUpstream(["hang", { fault: "hang", delay: "1s" }, 200], { clock });
    const client = clientOf(upstream, [timeout("10s"), atOnce, timeout("2s")], clock);
    const call = watch(client.fetch(URL));
    await clock.advance(3_999);
    assert.equal(call.settled, false);
    await clock.advance(1);
    assert.equal(call.value?.status, 200);
    assert.equal(client.explain(call.value)?.attempts, 3);
    await call.value?.text();
    assert.equal(clock.pending(), 0);
  });

  test("a body that stops or breaks off fails when it is read, after the head was given", async () => {
    const clock = virtualClock();
    const upstream = scriptedUpstream([
      { body: "part", after: "reset" },
      { body: "part", after: "hang" },
    ]);
    const client = clientOf(upstream, [timeout("2s")], clock);
    const broken = await client.fetch(URL);
    await assert.rejects(broken.text(), { name: "TypeError", message: "terminated" });
    const stalled = await client.fetch(URL);
    const reading = watch(stalled.text());
    await clock.runAll();
    assert.equal((reading.error as { code?: unknown }).code, "ERR_PREMESH_TIMEOUT"); // the cast: any error can be asked
    assert.equal(clock.pending(), 0);
  });

  test("the key of an idempotency layer is the same in all requests", async () => {
    const upstream = scriptedUpstream([503, 503, 201]);
    const response = await clientOf(upstream, [idempotency(), atOnce]).fetch(URL, { method: "POST", body: "x" });
    assert.equal(response.status, 201);
    assert.equal(new Set(upstream.requests.map(({ headers }) => headers["idempotency-key"])).size, 1);
    assert.ok(upstream.requests[0]?.headers["idempotency-key"]);
  });
});

test("an abort is heard in every state, with its reason, and leaves neither timer nor listener", async () => {
  const clock = virtualClock();
  const steps = ["hang", { delay: "1m" }, { fault: "reset", delay: "1m" }] as const;
  for (const step of steps) {
    const controller = new AbortController();
    const call = watch(scriptedUpstream([step], { clock })(URL, { signal: controller.signal }));
    await clock.advance(10);
    assert.equal(call.settled, false);
    controller.abort(new Error("enough"));
    await clock.advance(0);
    assert.equal((call.error as Error).message, "enough");
    assert.equal(clock.pending(), 0);
    // a Request keeps one of its own for as long as it lives
    assert.ok(getEventListeners(controller.signal, "abort").length <= 1);
  }
  const controller = new AbortController();
  const response = await scriptedUpstream([{ body: "abc", drip: { bytes: 1, every: "1m" } }], { clock })(URL, controller);
  const reading = watch(response.text());
  await clock.advance(60_000);
  controller.abort(new Error("enough"));
  await clock.advance(0);
  assert.equal((reading.error as Error).message, "enough"); // the cast: that is what it was aborted with
  assert.equal(clock.pending(), 0);
  await assert.rejects(scriptedUpstream([200])(URL, { signal: AbortSignal.abort(new Error("before")) }), /before/);
});

test("a body that is cancelled takes its timer along", async () => {
  const clock = virtualClock();
  const response = await scriptedUpstream([{ body: "abc", drip: { bytes: 1, every: "1m" } }], { clock })(URL);
  const reader = response.body?.getReader();
  void reader?.read();
  await clock.advance(1);
  assert.equal(clock.pending(), 1);
  await reader?.cancel();
  assert.equal(clock.pending(), 0);
});

test("statuses without a body, and HEAD, have none", async () => {
  const upstream = scriptedUpstream([{ status: 204, body: "ignored" }, { body: "ignored" }]);
  assert.equal((await upstream(URL)).body, null);
  assert.equal((await upstream(URL, { method: "HEAD" })).body, null);
});

test("a step that is wrong is told with its place", () => {
  const wrong: readonly [step: unknown, message: RegExp][] = [
    [199, /script\[0\]: status must be a whole number from 200 to 599; got 199/],
    ["crash", /"crash" is not a fault; those are refuse, reset, hang, garbage/],
    [{ stauts: 200 }, /"stauts" is not a known field/],
    [{ delay: "soon" }, /delay must be a duration such as/],
    [{ delay: 5 }, /delay must be a duration such as/],
    [{ drip: { bytes: 0, every: "1s" } }, /drip\.bytes must be a whole number above 0/],
    [{ after: "explode" }, /after must be "reset" or "hang"/],
    [{ contentLength: 5 }, /use faultServer/],
    [null, /must be a status, one of refuse/],
  ];
  for (const [step, message] of wrong)
    assert.throws(() => scriptedUpstream([step as never]), { code: "ERR_PREMESH_INVALID_OPTIONS", message }, String(message)); // the cast: that is what is tested
  assert.throws(() => scriptedUpstream([], { forever: 700 }), /forever: status must be/);
  assert.throws(() => scriptedUpstream("reset" as never), /needs a list of steps/); // the cast: that is what is tested
});

test("what the script's function throws, or gives wrong, rejects the request", async () => {
  await assert.rejects(
    scriptedUpstream(() => {
      throw new Error("out of ideas");
    })(URL),
    /out of ideas/,
  );
  await assert.rejects(scriptedUpstream(() => 99)(URL), /what the script gave: status must be/);
});
