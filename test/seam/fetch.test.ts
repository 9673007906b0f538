// Calls of fetch that cross a seam: what a sidecar is told, and that their callers see what they would have seen without one.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { test, type TestContext } from "node:test";
import {
  breaker,
  type Client,
  type ClientOptions,
  createClient,
  definePolicy,
  fallback,
  fault,
  idempotency,
  type LayerDefinition,
  PolicyError,
  rateLimit,
  retry,
  revision,
  route,
  sidecar,
  timeout,
} from "../../src/index.ts";
import { openUpstream, type Upstream } from "../harness/upstream.ts";
import { closedPort } from "../harness/upstream.ts";
import { failureOf, until } from "../transports/fetch/upstream.ts";
import { fine, ONE, openSidecar, type ScriptedSidecar, type Serve } from "../harness/scripted-sidecar.ts";

interface Seamed {
  readonly client: Client;
  readonly shim: ScriptedSidecar;
  readonly upstream: Upstream;
}

async function seamed(
  t: TestContext,
  layers: readonly LayerDefinition[],
  serve: Serve = fine,
  options: Partial<ClientOptions> = {},
): Promise<Seamed> {
  const shim = await openSidecar(t, serve);
  const upstream = await openUpstream(t, [{}]);
  const client = clientOf(t, layers, { sidecar: shim.address, ...options });
  return { client, shim, upstream };
}

function clientOf(t: TestContext, layers: readonly LayerDefinition[], options: Partial<ClientOptions>): Client {
  const client = createClient({ policies: [definePolicy({ name: "seamed", match: [{ host: "*" }], layers })], ...options });
  t.after(() => client.close());
  return client;
}

const refusalOf = async (call: Promise<unknown>): Promise<PolicyError> => {
  const error = await failureOf(call);
  assert.ok(error instanceof PolicyError, String(error));
  return error;
};

test("a call goes to the sidecar by the name of its target, and says which policy it is under", async (t) => {
  const layers = [timeout("2s"), retry(), sidecar(), breaker()];
  const { client, shim } = await seamed(t, layers, ({ answer }) => answer(201, ONE, { headers: { "x-from": "peer" }, body: "made" }));
  const response = await client.fetch("http://payments.internal:8080/charges?x=1", {
    method: "POST",
    body: "five euros",
    premesh: { idempotent: true },
  });
  const [crossed] = shim.crossed;
  assert.ok(crossed !== undefined);
  const { request, body, policy, call } = crossed;
  assert.equal(`${request.method} ${request.url} ${request.headers.host}`, "POST /charges?x=1 payments.internal:8080");
  assert.equal(body, "five euros");
  assert.deepEqual(policy, { policy: "seamed", revision: revision(definePolicy({ name: "seamed", match: [{ host: "*" }], layers })) });
  assert.equal(call?.target, "payments.internal:8080");
  assert.equal(call.origin, "http://payments.internal:8080");
  assert.equal(call.attempt, 1);
  assert.equal(call.idempotent, true);
  assert.ok(Number(request.headers["x-envoy-expected-rq-timeout-ms"]) <= 2_000);
  assert.equal(response.status, 201);
  assert.equal(response.url, "http://payments.internal:8080/charges?x=1");
  assert.equal(response.headers.get("x-from"), "peer");
  assert.equal(response.headers.get("premesh-outcome"), null);
  assert.equal(await response.text(), "made");
  const explained = client.explain(response);
  assert.equal(explained?.attempts, 1);
  assert.match(explained.text, /sidecar +gave it to the sidecar\n +breaker +ran in the sidecar$/);
});

test("a target of https goes there in plain text", async (t) => {
  const { client, shim } = await seamed(t, [sidecar()]);
  const response = await client.fetch("https://payments.internal/charges");
  assert.equal(response.url, "https://payments.internal/charges");
  assert.equal(shim.crossed[0]?.call?.origin, "https://payments.internal");
  assert.equal(shim.crossed[0].request.headers.host, "payments.internal");
});

test("a sidecar may listen on a unix socket", async (t) => {
  const folder = await mkdtemp(`${tmpdir()}/premesh-seam-`);
  t.after(() => rm(folder, { recursive: true }));
  const shim = await openSidecar(t, fine, { at: `${folder}/shim.sock` });
  const client = clientOf(t, [sidecar({ address: shim.address })], {});
  assert.equal((await client.fetch("http://payments.internal/")).status, 200);
  assert.equal(shim.crossed.length, 1);
});

test("what a layer refuses there is the error that it would have been here", async (t) => {
  const { client } = await seamed(t, [sidecar(), breaker({ name: "api-breaker" })], ({ answer }) =>
    answer(503, 'attempts=0, sent=0, code=unavailable, by=breaker, layer="api-breaker", unsent, when=(refusal), retry-after=1200'),
  );
  const error = await refusalOf(client.fetch("http://payments.internal/"));
  assert.equal(error.code, "ERR_PREMESH_BREAKER_OPEN");
  assert.equal(error.message, "policy seamed: the breaker is open for payments.internal; try again in 1200 ms");
  assert.equal(error.policy, "seamed");
  assert.equal(error.layer, "api-breaker");
  assert.equal(error.attempts, 0);
  assert.equal(error.retryAfterMs, 1_200);
  const explained = client.explain(error);
  assert.equal(explained?.outcome, "refused by api-breaker");
  assert.match(explained.text, /the breaker layer behind it ended the call: unavailable/);
});

test("an error that a layer there has made comes back with its words and its cause", async (t) => {
  const { client } = await seamed(t, [sidecar(), route({ to: [{ endpoints: ["http://10.0.0.1"] }] })], ({ answer }) =>
    answer(
      503,
      'attempts=0, sent=0, code=unavailable, by=route, layer="route", unsent, when=(refusal), error=ERR_PREMESH_NO_ENDPOINT, text="no endpoint", cause="queryA", cause-name="Error", cause-code="ENOTFOUND"',
    ),
  );
  const error = await refusalOf(client.fetch("http://payments.internal/"));
  assert.equal(error.code, "ERR_PREMESH_NO_ENDPOINT");
  assert.equal(error.message, "no endpoint");
  assert.equal((error.cause as { code?: string }).code, "ENOTFOUND"); // the cast: it is made with one
});

test("a peer that gave no answer is what a broken connection is to fetch", async (t) => {
  const { client } = await seamed(t, [sidecar(), timeout("1s")], ({ answer }) =>
    answer(
      503,
      'attempts=2, sent=2, code=unavailable, by=peer, when=("5xx" gateway-error reset unavailable), cause="read ECONNRESET", cause-code=ECONNRESET',
    ),
  );
  const error = await failureOf(client.fetch("http://payments.internal/"));
  assert.ok(error instanceof TypeError);
  assert.equal(error.message, "fetch failed");
  assert.equal((error.cause as { code?: string }).code, "ECONNRESET"); // the cast: it is made with one
  assert.equal(client.explain(error)?.attempts, 2);
});

test("layers before the seam judge by the words that come back", async (t) => {
  const layers = [fallback({ on: ["refusal"], response: { status: 200, body: "instead" } }), sidecar(), rateLimit({ rate: 1, per: "1s" })];
  const refused = 'attempts=0, sent=0, code=resource-exhausted, by=rateLimit, layer="rateLimit", unsent, when=(refusal word-of-tomorrow)';
  const { client, shim } = await seamed(t, layers, ({ answer }) => answer(429, refused));
  const response = await client.fetch("http://payments.internal/");
  assert.equal(await response.text(), "instead");
  assert.equal(shim.crossed.length, 1);
});

test("a retry before the seam goes on where the sidecar has stopped", async (t) => {
  const { client, shim } = await seamed(
    t,
    [retry({ backoff: { base: "0ms" } }), sidecar(), route({ to: [{ endpoints: ["http://10.0.0.1"] }] })],
    ({ answer }, nth) => answer(nth === 1 ? 503 : 200, `attempts=2, sent=2, numbered=${nth * 2}, visited=("http://10.0.0.1:80";n=1)`),
  );
  const response = await client.fetch("http://payments.internal/");
  assert.equal(response.status, 200);
  const [first, second] = shim.crossed;
  assert.deepEqual([first?.call?.attempts, first?.call?.attempt, first?.call?.visits], [0, 1, undefined]);
  assert.deepEqual([second?.call?.attempts, second?.call?.attempt, second?.call?.type], [2, 3, "retry"]);
  assert.equal(second?.call?.visits?.address.key, "http://10.0.0.1:80");
  assert.equal(client.explain(response)?.attempts, 4);
  assert.equal(client.explain(response)?.endpoints.length, 2);
});

test("a retry does not send again what was told never to be, and waits as long as it is asked to", async (t) => {
  const told = 'attempts=1, sent=1, code=unavailable, by=peer, when=(unavailable), retry-after=never, cause="no"';
  const { client, shim } = await seamed(t, [retry(), sidecar()], ({ answer }) => answer(503, told));
  const error = await failureOf(client.fetch("http://payments.internal/"));
  assert.match(client.explain(error)?.text ?? "", /since the peer asks for that/);
  assert.equal(shim.crossed.length, 1);
});

test("a response that a layer there made is made here, by its definition", async (t) => {
  const layers = [
    sidecar(),
    fallback({ response: { status: 202, headers: { "x-a": "b" }, body: { items: [] } } }),
    fault({ abort: { status: 418, percent: 0 } }),
  ];
  const { client } = await seamed(t, layers, ({ answer }, nth) =>
    nth === 1
      ? answer(202, "attempts=1, sent=1, fallback, reply=1", { headers: { "x-on-the-way": "1" }, body: "ours" })
      : answer(418, 'attempts=0, sent=0, reply=2, code=failed-precondition, by=fault, layer="fault", status=418', { body: "theirs" }),
  );
  const response = await client.fetch("http://payments.internal/");
  assert.equal(response.status, 202);
  assert.equal(response.url, "");
  assert.deepEqual(
    [...response.headers],
    [
      ["content-type", "application/json"],
      ["premesh-fallback", "seamed"],
      ["x-a", "b"],
    ],
  );
  assert.deepEqual(await response.json(), { items: [] });
  const aborted = await client.fetch("http://payments.internal/");
  assert.deepEqual([aborted.status, await aborted.text()], [418, "fault injected by a premesh policy"]);
});

test("an answer that another target gave there is marked here", async (t) => {
  const { client } = await seamed(t, [sidecar(), fallback({ response: { target: "http://other.internal" } })], ({ answer }) =>
    answer(200, "attempts=2, sent=2, fallback"),
  );
  assert.equal((await client.fetch("http://payments.internal/")).headers.get("premesh-fallback"), "seamed");
});

test("one key is for all attempts, on whichever side it is made", async (t) => {
  const layers = [retry({ backoff: { base: "0ms" }, methods: ["POST"] }), sidecar(), idempotency()];
  const { client, shim } = await seamed(t, layers, ({ answer }, nth) => answer(nth === 1 ? 503 : 200, ONE));
  await client.fetch("http://payments.internal/", { method: "POST", body: "x" });
  const ids = shim.crossed.map(({ call }) => call?.id);
  assert.equal(ids.length, 2);
  assert.ok(ids[0] !== undefined && ids[0] === ids[1]);
  await client.fetch("http://payments.internal/", { method: "POST", body: "x", premesh: { idempotencyKey: 'mine "é"' } });
  assert.equal(shim.crossed[2]?.call?.idempotencyKey, 'mine "é"');
});

test("a call that the sidecar does not know the policy of runs here; that is said once", async (t) => {
  const { client, shim, upstream } = await seamed(t, [sidecar(), timeout("1s")], ({ unseen }) => unseen("unknown-revision"));
  for (let n = 0; n < 3; n++) {
    const response = await client.fetch(upstream.url, { method: "POST", body: "x" });
    assert.equal(response.status, 200);
    assert.equal(client.explain(response)?.attempts, 1);
    assert.match(client.explain(response)?.text ?? "", /ran the layers behind it in the process/);
  }
  assert.equal(upstream.requests.length, 3);
  assert.equal(shim.crossed.length, 1, "it is not asked again at once");
  assert.equal(client.decisions().filter(({ what }) => what === "unknown-revision").length, 1);
});

test("a sidecar that drains gets no more calls", async (t) => {
  const { client, shim, upstream } = await seamed(t, [sidecar()], ({ unseen }) => unseen("draining"));
  const response = await client.fetch(upstream.url);
  assert.equal(response.status, 200);
  await shim.stop();
  assert.equal((await client.fetch(upstream.url)).status, 200);
  assert.equal(shim.crossed.length, 1);
  assert.equal(upstream.requests.length, 2);
});

test("without a sidecar everything runs here, until one is there", async (t) => {
  const upstream = await openUpstream(t, [{}]);
  const address = (await closedPort()).slice(0, -1);
  const client = clientOf(t, [sidecar()], { sidecar: address });
  const events: string[] = [];
  client.on((event) => void (event.type === "decision" && events.push(event.what)));
  assert.equal((await client.fetch(upstream.url)).status, 200);
  assert.equal(stateOf(client)["phase"], "down");
  assert.equal(stateOf(client)["why"], "ECONNREFUSED");
  const shim = await openSidecar(t, fine, { at: Number(new URL(address).port) });
  await until(() => stateOf(client)["phase"] === "up", "it is found");
  assert.equal((await client.fetch(upstream.url)).status, 200);
  assert.equal(shim.crossed.length, 1);
  assert.deepEqual(events, ["sidecar-lost", "stayed", "sidecar-found"]);
});

const stateOf = (client: Client): Readonly<Record<string, unknown>> =>
  Object.values(client.status().policies["seamed"]?.targets ?? {})[0]?.find(({ kind }) => kind === "sidecar")?.state ?? {};

test("with fallback: fail the call fails then, and says when to try again", async (t) => {
  const address = (await closedPort()).slice(0, -1);
  const client = clientOf(t, [sidecar({ address, fallback: "fail" })], {});
  const error = await refusalOf(client.fetch("http://payments.internal/"));
  assert.equal(error.code, "ERR_PREMESH_SIDECAR_UNAVAILABLE");
  assert.equal(error.layer, "sidecar");
  assert.ok(Number(error.retryAfterMs) > 0);
});

test("a sidecar that is gone between two calls: the second runs here at once", async (t) => {
  const { client, shim, upstream } = await seamed(t, [sidecar()]);
  await (await client.fetch(upstream.url)).text();
  await shim.stop();
  const response = await client.fetch(upstream.url, { method: "POST", body: "x" });
  assert.equal(response.status, 200);
  assert.equal(upstream.requests.length, 1);
});

test("a call under way when the sidecar dies is a reset: sent again by the rules of the policy, on either side of the seam", async (t) => {
  for (const layers of [
    [retry({ backoff: { base: "0ms" } }), sidecar()],
    [sidecar(), retry({ backoff: { base: "0ms" } })],
  ]) {
    const { client, shim, upstream } = await seamed(t, layers, ({ reset }) => {
      void shim.stop();
      reset();
    });
    assert.equal((await client.fetch(upstream.url)).status, 200);
    assert.equal(upstream.requests.length, 1);
    await client.close();
  }
});

test("such a call that may not be done twice is not", async (t) => {
  for (const layers of [[retry(), sidecar()], [sidecar(), retry()], [sidecar()]]) {
    const { client, upstream } = await seamed(t, layers, ({ reset }) => reset());
    const error = await failureOf(client.fetch(upstream.url, { method: "POST", body: "x" }));
    assert.ok(error instanceof TypeError);
    assert.equal(upstream.requests.length, 0);
  }
});

test("what answers and is no sidecar gets no calls", async (t) => {
  for (const options of [{ version: undefined, status: 200 }, { version: "0" }, { status: 404 }]) {
    const shim = await openSidecar(t, fine, options);
    const upstream = await openUpstream(t, [{}]);
    const client = clientOf(t, [sidecar()], { sidecar: shim.address });
    assert.equal((await client.fetch(upstream.url)).status, 200);
    assert.deepEqual([shim.crossed.length, upstream.requests.length], [0, 1]);
    assert.match(String(stateOf(client)["why"]), /no sidecar of premesh|too old|takes no calls/);
  }
});

test("an answer without our word, or with one that is malformed, may be of a call that was done: it is not done again", async (t) => {
  for (const outcome of [undefined, "attempts=((", "seen"]) {
    const { client, upstream } = await seamed(t, [sidecar(), retry()], ({ answer }) => answer(200, outcome));
    const error = await failureOf(client.fetch(upstream.url, { method: "POST", body: "x" }));
    assert.match(String((error as Error).cause), /no sidecar of premesh/); // the cast: it is one
    assert.equal(upstream.requests.length, 0);
  }
});

test("calls that cannot cross run here: work, a dispatcher or a fetch function of the user's", async (t) => {
  const { client, shim, upstream } = await seamed(t, [sidecar()]);
  assert.equal(await client.run("seamed", () => "done"), "done");
  const own = {
    dispatch: (...all: unknown[]) =>
      (globalThis as never as Record<symbol, { dispatch(...all: unknown[]): boolean }>)[Symbol.for("undici.globalDispatcher.1")]?.dispatch(
        ...all,
      ),
  };
  const response = await client.fetch(upstream.url, { dispatcher: own } as never);
  assert.equal(response.status, 200);
  assert.match(client.explain(response)?.text ?? "", /ran the layers behind it in the process, since this fetch function/);
  const foreign = clientOf(t, [sidecar({ fallback: "fail" })], { sidecar: shim.address, fetch: (input, init) => fetch(input, init) });
  assert.equal((await foreign.fetch(upstream.url)).status, 200);
  assert.deepEqual([shim.crossed.length, upstream.requests.length], [0, 2]);
});

test("without an address, and where it is switched off, the seam is no more than a line", async (t) => {
  const shim = await openSidecar(t, fine);
  const upstream = await openUpstream(t, [{}]);
  for (const client of [
    clientOf(t, [sidecar({ fallback: "fail" })], {}),
    clientOf(t, [sidecar({ address: shim.address })], { sidecar: false }),
  ]) {
    assert.equal((await client.fetch(upstream.url)).status, 200);
    assert.deepEqual(stateOf(client), { phase: "in-process" });
  }
  assert.equal(shim.crossed.length, 0);
});

test("a body that is too long to be kept is not sent twice when the sidecar does not take it", async (t) => {
  const { client, upstream } = await seamed(t, [sidecar()], ({ unseen }) => unseen("draining"));
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => {
      for (let n = 0; n < 3; n++) controller.enqueue(new Uint8Array(1_000_000));
      controller.close();
    },
  });
  const error = await failureOf(client.fetch(upstream.url, { method: "POST", body, duplex: "half" } as never));
  assert.ok(error instanceof TypeError);
  assert.match(client.explain(error)?.text ?? "", /the body is gone or over the buffer/);
  assert.equal(upstream.requests.length, 0);
});

test("an abort acts at once, and says what the caller said", async (t) => {
  const { client, shim } = await seamed(t, [sidecar()], () => undefined);
  const controller = new AbortController();
  const call = client.fetch("http://payments.internal/", { signal: controller.signal });
  const { request } = await shim.arrived(1);
  const left = new Promise((resolve) => request.socket.once("close", resolve));
  controller.abort(new Error("enough"));
  assert.equal(((await failureOf(call)) as Error).message, "enough"); // the cast: it is what was given
  await left;
  assert.equal(stateOf(client)["phase"], "up");
});

test("a redirect crosses again at the same origin, and goes straight to another", async (t) => {
  const { client, shim, upstream } = await seamed(t, [sidecar()], ({ answer }, nth) =>
    answer(302, ONE, { headers: { location: nth === 1 ? "/there" : `${upstream.url}elsewhere` } }),
  );
  const response = await client.fetch("http://payments.internal/here");
  assert.equal(response.status, 200);
  assert.deepEqual(
    shim.crossed.map(({ request }) => request.url),
    ["/here", "/there"],
  );
  assert.deepEqual(
    upstream.requests.map(({ url }) => url),
    ["/elsewhere"],
  );
  const strayed = Object.keys(upstream.requests[0]?.headers ?? {}).filter((name) => name.startsWith("premesh-"));
  assert.deepEqual(strayed, []);
});
