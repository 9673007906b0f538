// Events: what listeners and channels hear of calls, in which order, and that nothing they do touches a call.
import assert from "node:assert/strict";
import { channel } from "node:diagnostics_channel";
import { describe, test } from "node:test";
import {
  breaker,
  type Client,
  createClient,
  definePolicy,
  fallback,
  type FetchFunction,
  type LayerDefinition,
  rateLimit,
  retry,
  type TelemetryEvent,
  timeout,
} from "../../src/index.ts";
import { turns } from "../harness/time.ts";

const statuses = (...list: number[]): FetchFunction => {
  let calls = 0;
  return () => Promise.resolve(new Response(null, { status: list[Math.min(calls++, list.length - 1)] ?? 200 }));
};

const clientOf = (layers: readonly LayerDefinition[], fetch: FetchFunction, now: () => number = () => 0): Client =>
  createClient({ policies: [definePolicy({ name: "p", match: [{ host: "*" }], layers })], fetch, now, seed: 1 });

const url = "http://peer.internal/";
const noWait = { base: "0ms", max: "0ms" } as const;

const short = (event: TelemetryEvent): string =>
  event.type === "decision" ? `${event.layer} ${event.what}` : `${event.type} ${event.result} ${event.errorType ?? event.code}`;

function heard(client: Client): { events: TelemetryEvent[]; stop: () => void } {
  const events: TelemetryEvent[] = [];
  return { events, stop: client.on((event) => void events.push(event)) };
}

describe("a listener", () => {
  test("hears of each decision, attempt and call, as they happen, until it stops", async () => {
    const client = clientOf([retry({ backoff: noWait })], statuses(503, 200));
    const { events, stop } = heard(client);
    await client.fetch(url);
    assert.deepEqual(events.map(short), ["attempt failure 503", "retry retrying", "attempt success ok", "call success ok"]);
    stop();
    await client.fetch(url);
    assert.equal(events.length, 4);
  });

  test("gets plain data that says what it is about", async () => {
    let time = 0;
    const client = clientOf(
      [],
      () => {
        time += 5;
        return Promise.resolve(new Response());
      },
      () => time,
    );
    const { events } = heard(client);
    await client.fetch(url, { method: "PUT" });
    const about = {
      policy: "p",
      revision: client.status().policies["p"]?.revision,
      protocol: "http",
      direction: "outbound",
      target: "peer.internal",
      method: "PUT",
    };
    const came = { result: "success", code: "ok", status: 200, by: undefined, errorType: undefined, tookMs: 5 };
    assert.deepEqual(events, [
      { type: "attempt", ...about, attempt: 1, attemptType: "initial", ...came },
      { type: "call", ...about, attempts: 1, ...came },
    ]);
  });

  test("is told in one word how a call came out", async () => {
    const results: string[] = [];
    const outcome = async (layers: readonly LayerDefinition[], fetch: FetchFunction, init: RequestInit = {}): Promise<void> => {
      const client = clientOf(layers, fetch);
      const { events } = heard(client);
      await client.fetch(url, init).catch(() => undefined);
      results.push(...events.flatMap((event) => (event.type === "call" ? [`${event.result} by ${event.by ?? "nobody"}`] : [])));
    };
    const hang: FetchFunction = (_input, init) =>
      new Promise((_resolve, reject) => init?.signal?.addEventListener("abort", () => reject(init.signal?.reason as Error))); // the cast: an error aborts it
    await outcome([], statuses(200));
    await outcome([], statuses(500));
    await outcome([fallback({ response: { status: 200 } })], statuses(500));
    await outcome(
      [rateLimit({ rate: 1e-6, per: "1h", burst: 1 }), rateLimit({ rate: 1e-6, per: "1h", burst: 1, name: "b" })],
      statuses(200),
    );
    await outcome([timeout("1ms")], hang);
    await outcome([retry()], hang, { signal: AbortSignal.abort() });
    assert.deepEqual(results, [
      "success by nobody",
      "failure by peer",
      "fallback by nobody",
      "success by nobody",
      "timeout by timeout",
      "cancelled by caller",
    ]);
  });

  test("that throws, or rejects, harms neither the call nor other listeners, and is told of once", async () => {
    const client = clientOf([], statuses(200));
    const warnings: string[] = [];
    const warned = (warning: Error & { code?: string }): void => void warnings.push(`${warning.code} ${warning.message.split("\n")[0]}`);
    process.on("warning", warned);
    client.on(() => {
      throw new Error("thrown");
    });
    client.on((): unknown => Promise.reject(new Error("rejected")));
    const { events } = heard(client);
    for (let call = 0; call < 3; call++) assert.equal((await client.fetch(url)).status, 200);
    assert.equal(events.length, 6);
    await turns();
    process.off("warning", warned);
    assert.deepEqual(
      warnings.map((warning) => warning.replace(/and further.*: Error/, "...")),
      [
        "PREMESH_LISTENER_THREW a listener given to client.on threw; the call went on, ...: thrown",
        "PREMESH_LISTENER_THREW a listener given to client.on threw; the call went on, ...: rejected",
      ],
    );
  });

  test("may take itself off, or add another, while it is told", async () => {
    const client = clientOf([], statuses(200));
    const seen: string[] = [];
    const stop = client.on(({ type }) => {
      seen.push(`first ${type}`);
      stop();
      client.on((event) => void seen.push(`second ${event.type}`));
    });
    await client.fetch(url);
    assert.deepEqual(seen, ["first attempt", "second call"]);
  });

  test("must be a function", () => {
    assert.throws(() => clientOf([], statuses(200)).on(undefined as never), { code: "ERR_PREMESH_INVALID_OPTIONS" }); // the cast: that is what is tested
  });
});

describe("the channels", () => {
  test("tell the same of all clients", async (t) => {
    const published: unknown[] = [];
    for (const name of ["premesh:decision", "premesh:attempt", "premesh:call"]) {
      const one = channel(name);
      const listener = (message: unknown): void => void published.push(message);
      one.subscribe(listener);
      t.after(() => one.unsubscribe(listener));
    }
    const client = clientOf([retry({ backoff: noWait })], statuses(503, 200));
    const { events } = heard(client);
    await client.fetch(url);
    assert.equal(published.length, 4);
    assert.deepEqual(published, events);
    await clientOf([], statuses(200)).fetch(url);
    assert.equal(published.length, 6);
  });
});

describe("the decision log", () => {
  test("keeps the last 256 decisions, those without a call too", async () => {
    const client = clientOf([rateLimit({ rate: 1, per: "24h" }), breaker()], statuses(200));
    await client.fetch(url);
    for (let call = 0; call < 300; call++) await assert.rejects(client.fetch(url));
    client.isolate("p");
    const log = client.decisions();
    assert.equal(log.length, 256);
    assert.deepEqual(
      [log[0], log.at(-1)].map((one) => [one?.policy, one?.target, one?.layer, one?.what]),
      [
        ["p", "peer.internal", "rateLimit", "refused"],
        ["p", undefined, "breaker", "isolated"],
      ],
    );
  });
});
