// fallback: what the caller gets instead of a failure.
import assert from "node:assert/strict";
import test from "node:test";
import { breaker, createClient, definePolicy, fallback, type LayerDefinition, rateLimit, retry, timeout } from "../../src/index.ts";
import { answer, bare, failing, hung, refused, reset, successOf } from "../harness/bare.ts";
import { stoppedTime, watch } from "../harness/time.ts";
import { overTransports } from "../harness/trial.ts";
import { openUpstream } from "../harness/upstream.ts";

const clientOf = (...layers: LayerDefinition[]): ReturnType<typeof createClient> =>
  createClient({ policies: [definePolicy({ name: "p", match: [{ host: "*" }], layers })] });

overTransports(
  "answers in place of a failure, says so, and leaves a success alone",
  async (open) => {
    const trial = await open([fallback({ response: { status: 200, body: { items: [] } } })], [{ status: 503 }, "reset", {}]);
    const [failed, broken, good] = [await trial.call(), await trial.call(), await trial.call()];
    for (const came of [failed, broken, good]) assert.equal(came.ok, true);
    assert.deepEqual(
      [failed, good].map(({ result }) => trial.client.explain(result)?.decisions.map(({ what }) => what)),
      [["answered"], []],
    );
  },
  { except: ["grpc"] }, // no message can be made of a fixed response
);

test("the answer is a Response with the status, the headers and the body of the policy, and the policy's name", async (t) => {
  const upstream = await openUpstream(t, [{ status: 503 }]);
  const cases = [
    [{ status: 200, body: { items: [1] } }, '{"items":[1]}', "application/json"],
    [{ status: 418, body: "text", headers: { "x-a": "b" } }, "text", "text/plain;charset=UTF-8"],
    [{ status: 204 }, "", null],
    [{ status: 200, body: { a: 1 }, headers: { "Content-Type": "application/vnd.a+json" } }, '{"a":1}', "application/vnd.a+json"],
  ] as const;
  for (const [response, body, type] of cases) {
    const got = await clientOf(fallback({ response })).fetch(upstream.url);
    assert.deepEqual(
      [got.status, await got.text(), got.headers.get("content-type"), got.headers.get("premesh-fallback")],
      [response.status, body, type, "p"],
    );
  }
});

test("in run the body is the value", async () => {
  const client = clientOf(fallback({ response: { status: 200, body: { items: [] } } }));
  assert.deepEqual(await client.run("p", () => Promise.reject(new Error("down"))), { items: [] });
});

test("asks another target the same thing, through the layers that follow, and marks its response", async (t) => {
  const [down, backup] = [await openUpstream(t, [{ status: 503 }]), await openUpstream(t, [{ status: 503 }, { body: "backup" }])];
  const client = clientOf(
    fallback({ response: { target: backup.url.replace(/\/$/, "") } }),
    retry({ attempts: 2, methods: ["*"], backoff: { base: "0ms", max: "0ms" } }),
  );
  const response = await client.fetch(`${down.url}a/b?c=d`, { method: "POST", body: "hello", headers: { "x-mine": "1" } });
  assert.deepEqual(
    [response.status, await response.text(), response.headers.get("premesh-fallback"), response.url],
    [200, "backup", "p", `${backup.url}a/b?c=d`],
  );
  assert.equal(down.requests.length, 2);
  for (const { method, url, body, headers } of backup.requests)
    assert.deepEqual([method, url, body, headers["x-mine"]], ["POST", "/a/b?c=d", "hello", "1"]);
  assert.equal(backup.requests.length, 2, "it is retried there too");
});

test("the layers behind have a state of their own for the other target", async (t) => {
  const [down, backup] = [await openUpstream(t, [{ status: 503 }]), await openUpstream(t, [{}])];
  const client = clientOf(fallback({ response: { target: backup.url } }), breaker({ trip: { consecutive: 1 } }));
  for (let n = 0; n < 3; n++) assert.equal((await client.fetch(down.url)).status, 200);
  assert.equal(down.requests.length, 1, "its breaker is open");
  assert.equal(backup.requests.length, 3);
  const { targets } = client.status().policies["p"] ?? {};
  assert.deepEqual(
    Object.entries(targets ?? {}).map(([target, layers]) => [target, layers[0]?.state["phase"]]),
    [
      [down.host, "open"],
      [backup.host, "closed"],
    ],
  );
});

test("when the other target fails too, its failure is the call's", async (t) => {
  const [down, backup] = [await openUpstream(t, [{ status: 503 }]), await openUpstream(t, [{ status: 500, body: "also down" }])];
  const response = await clientOf(fallback({ response: { target: backup.url } })).fetch(down.url);
  assert.deepEqual([response.status, await response.text(), response.headers.get("premesh-fallback")], [500, "also down", "p"]);
});

test("in run the work is told the other target", async () => {
  const client = clientOf(fallback({ response: { target: "http://backup.internal" } }));
  const targets: string[] = [];
  await client.run(
    "p",
    ({ target }) => {
      targets.push(target);
      if (target === "db") throw new Error("down");
    },
    { target: "db" },
  );
  assert.deepEqual(targets, ["db", "backup.internal"]);
});

test("a body that cannot be sent again is reported, and the failure returned", async () => {
  const stack = bare([fallback({ response: { target: "http://other.test" } })]);
  const given = answer(503);
  stack.answers(() => given);
  assert.equal(await stack.call({ payload: { replayable: false } }), given);
  assert.deepEqual(stack.whats(), ["body-not-replayable"]);
});

test("replaces what its words fit: by default failures of the peer, timeouts and refusals, not 4xx and not the caller's abort", async (t) => {
  const time = stoppedTime(t);
  for (const [given, replaced] of [
    [failing(500), true],
    [failing(503), true],
    [reset, true],
    [refused, true],
    [failing(404), false],
    [failing(429), false],
  ] as const) {
    const stack = bare([fallback({ response: { status: 200 } })]);
    stack.answers(given);
    assert.equal((await stack.call()).ok, replaced);
  }
  const late = bare([fallback({ response: { status: 200 } }), timeout("10ms")]);
  late.answers(hung);
  const call = watch(late.call());
  await time.pass(10);
  assert.equal(call.value?.fallback, "bare");
  const limited = bare([fallback({ response: { status: 200 } }), rateLimit({ rate: 1, per: "1h" })]);
  await limited.call();
  assert.equal((await limited.call()).fallback, "bare");
  const aborted = bare([fallback({ response: { status: 200 } })]);
  aborted.answers(hung);
  const controller = new AbortController();
  const ending = aborted.call({ signal: controller.signal });
  controller.abort();
  assert.equal((await ending).ok, false);
  const picky = bare([fallback({ on: [404, "resource-exhausted"], response: { status: 200 } })]);
  picky.answers(failing(404), failing(429), failing(503));
  assert.deepEqual([(await picky.call()).ok, (await picky.call()).ok, (await picky.call()).ok], [true, true, false]);
});

test("what it replaces is let go of", async () => {
  const stack = bare([fallback({ response: { status: 200 } })]);
  const given = answer(503);
  stack.answers(() => given);
  assert.equal(successOf(await stack.call()).reply?.status, 200);
  assert.equal(given.response?.dropped, 1);
});
