// explain: what each layer did to a call and why, with numbers, as data and as text.
import assert from "node:assert/strict";
import { describe, mock, test } from "node:test";
import {
  breaker,
  bulkhead,
  type Client,
  createClient,
  definePolicy,
  fallback,
  fault,
  type FetchFunction,
  idempotency,
  type LayerDefinition,
  rateLimit,
  retry,
  timeout,
  trace,
} from "../../src/index.ts";
import { sentenceOf } from "../../src/telemetry/sentences.ts";
import { duration } from "../../src/telemetry/words.ts";

const url = "http://peer.internal/";
const noWait = { base: "0ms", max: "0ms" } as const;

/** Answers with these statuses, the last for ever; 0 is a reset, -1 hangs until it is aborted. */
function statuses(...list: number[]): FetchFunction {
  let calls = 0;
  return (_input, init) => {
    const status = list[Math.min(calls++, list.length - 1)] ?? 200;
    if (status === 0)
      return Promise.reject(new TypeError("fetch failed", { cause: Object.assign(new Error("reset"), { code: "ECONNRESET" }) }));
    if (status > 0) return Promise.resolve(new Response(null, { status }));
    const { promise, reject } = Promise.withResolvers<Response>();
    init?.signal?.addEventListener("abort", () => reject(init.signal?.reason as Error)); // the cast: what aborts it is an error
    return promise;
  };
}

/** A clock that stands until it is moved. */
function stopped(): { now: () => number; move: (ms: number) => void } {
  let time = 0;
  return { now: () => time, move: (ms) => void (time += ms) };
}

function clientOf(layers: readonly LayerDefinition[], fetch: FetchFunction, now: () => number = () => 0): Client {
  return createClient({ policies: [definePolicy({ name: "p", match: [{ host: "*" }], layers })], fetch, now, seed: 1 });
}

async function textOf(client: Client, init: RequestInit = {}): Promise<string> {
  const result: unknown = await client.fetch(url, init).catch((error: unknown) => error);
  return client.explain(result)?.text ?? "";
}

describe("the text", () => {
  test("has a line for each layer that let the call pass", async () => {
    const client = clientOf([trace(), timeout("5s"), retry(), breaker({ name: "peer" }), timeout("1s")], statuses(200));
    assert.equal(
      await textOf(client),
      [
        "GET peer.internal under policy p: 200, after 1 attempt, in 0 ms",
        "  trace       let it pass",
        "  timeout 5s  let it pass",
        "  retry       let it pass",
        "  peer        let it pass",
        "  timeout 1s  let it pass",
      ].join("\n"),
    );
  });

  test("says why a call was sent again, and why no more", async () => {
    const client = clientOf([retry({ attempts: 3, backoff: noWait })], statuses(503, 0, 502));
    assert.equal(
      await textOf(client),
      [
        "GET peer.internal under policy p: 502, after 3 attempts, in 0 ms",
        "  retry  attempt 1 came out as 503: attempt 2 follows after 0 ms",
        "         attempt 2 came out as unavailable: attempt 3 follows after 0 ms",
        "         attempt 3 came out as 502: no attempt is left of 3",
      ].join("\n"),
    );
  });

  test("says that a breaker is open, since when it counts what, and when it tries again", async () => {
    const clock = stopped();
    const layers = [timeout("1s"), breaker({ trip: { failureRate: 0.5, minCalls: 20, window: "10s" }, openFor: "5s" }), idempotency()];
    const client = clientOf(layers, statuses(...Array.from({ length: 6 }, () => 200), 503), clock.now);
    for (let call = 0; call < 20; call++) await client.fetch(url);
    clock.move(1_800);
    assert.equal(
      await textOf(client),
      [
        "GET peer.internal under policy p: refused by breaker, unsent, in 0 ms",
        "  timeout 1s   let it pass",
        "  breaker      refused: open, since 14 of 20 calls failed in 10s; next probe in 3.2 s",
        "  idempotency  was not reached",
      ].join("\n"),
    );
    client.isolate("p");
    assert.match(await textOf(client), /refused: isolated by hand/);
  });

  test("says what a limit was, and when there is room again", async () => {
    const client = clientOf([rateLimit({ rate: 2, per: "1s", burst: 1 })], statuses(200));
    await client.fetch(url);
    assert.match(
      await textOf(client),
      /refused by rateLimit, unsent.*\n {2}rateLimit {2}refused: over 2 per 1s \(burst 1\); room again in 500 ms$/,
    );
  });

  test("says how full a bulkhead was, and how long a call waited in its queue", async () => {
    let answer = (): void => undefined;
    const slow = new Promise<void>((resolve) => (answer = resolve));
    const clock = stopped();
    const client = clientOf([bulkhead({ limit: 1, queue: { size: 1 } })], () => slow.then(() => new Response()), clock.now);
    const first = client.fetch(url);
    const second = client.fetch(url);
    assert.match(await textOf(client), /refused by bulkhead, unsent.*\n {2}bulkhead {2}refused: 1 of 1 under way, 1 waiting$/);
    clock.move(40);
    answer();
    await (await first).text();
    assert.match(
      client.explain(await second)?.text ?? "",
      /200, after 1 attempt, in 40 ms\n.*put in the queue: 1 of 1 under way, 0 waiting\n.*let through after 40 ms in the queue$/,
    );
  });

  test("says which timeout ended the call, and what it waited for", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const client = clientOf([timeout({ after: "2s", name: "whole" })], statuses(-1));
    const text = textOf(client);
    await Promise.resolve();
    t.mock.timers.tick(2_000);
    assert.match(await text, /timed out by whole, after 1 attempt.*\n {2}whole {2}timed out: there was no response after 2 s$/);
    mock.reset();
  });

  test("says who answered instead", async () => {
    assert.match(
      await textOf(clientOf([fallback({ response: { status: 200 } })], statuses(503))),
      /: 200 by the fallback, after 1 attempt.*\n {2}fallback {2}answered 200 in place of 503$/,
    );
    assert.match(
      await textOf(clientOf([fault({ abort: { status: 418, percent: 100 } })], statuses(200))),
      /: 418 by fault, unsent.*\n {2}fault {2}answered 418 on purpose$/,
    );
  });

  test("says that the caller gave up", async () => {
    assert.match(await textOf(clientOf([retry()], statuses(-1)), { signal: AbortSignal.abort() }), /: aborted by the caller, unsent/);
  });

  test("says what would have been, in shadow", async () => {
    const client = clientOf([rateLimit({ rate: 1, per: "1s", shadow: true })], statuses(200));
    await client.fetch(url);
    assert.match(await textOf(client), /: 200, after 1 attempt.*\n {2}rateLimit {2}in shadow: refused: over 1 per 1s/);
  });

  test("gives the word and the numbers of a decision that it has no sentence for", () => {
    const decision = {
      layer: "x",
      kind: "retry",
      index: 0,
      what: "new-word",
      attempt: 1,
      atMs: 0,
      detail: { a: 1, b: undefined },
    } as const;
    assert.equal(sentenceOf(decision), "new word (a 1)");
  });
});

describe("the data", () => {
  test("says of each decision which layer it was, when, and of which attempt", async () => {
    const clock = stopped();
    const fetch = statuses(503, 200);
    const client = clientOf(
      [timeout("1s"), retry({ backoff: noWait })],
      (...all) => {
        clock.move(7);
        return fetch(...all);
      },
      clock.now,
    );
    const explanation = client.explain(await client.fetch(url));
    assert.equal(explanation?.tookMs, 14);
    assert.deepEqual(explanation?.decisions, [
      {
        layer: "retry",
        kind: "retry",
        index: 1,
        what: "retrying",
        attempt: 1,
        atMs: 7,
        detail: { code: "unavailable", status: 503, waitMs: 0, next: 2 },
      },
    ]);
    assert.deepEqual(explanation?.layers[1]?.decisions, explanation?.decisions);
  });

  test("puts the decision of a layer that two policies share at its place in the policy of the call", async () => {
    const shared = breaker({ name: "shared", trip: { consecutive: 1 } });
    const client = createClient({
      policies: [
        definePolicy({ name: "a", match: [{ host: "a" }], layers: [shared] }),
        definePolicy({ name: "b", match: [{ host: "b" }], layers: [timeout("1s"), retry({ backoff: noWait }), shared] }),
      ],
      fetch: statuses(503),
      now: () => 0,
    });
    await client.fetch("http://a/");
    const explanation = client.explain(await client.fetch("http://b/").catch((error: unknown) => error));
    assert.deepEqual(
      explanation?.decisions.map(({ layer, what, index }) => [layer, what, index]),
      [["shared", "refused", 2]],
    );
    assert.deepEqual(
      explanation?.layers.map(({ reached }) => reached),
      [true, true, true],
    );
  });
});

test("durations are written as people read them", () => {
  assert.deepEqual([0, 0.04, 1.26, 99.96, 100.4, 999, 1_000, 3_210, 59_000, 60_000, 90_000].map(duration), [
    "0 ms",
    "0 ms",
    "1.3 ms",
    "100 ms",
    "100 ms",
    "999 ms",
    "1 s",
    "3.2 s",
    "59 s",
    "1 min",
    "1.5 min",
  ]);
});
