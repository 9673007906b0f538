// A fetch that is not the runtime's, node-fetch: bodies are Node streams, errors its own, signals perhaps a polyfill's.
import assert from "node:assert/strict";
import test from "node:test";
import nodeFetch, { AbortError } from "node-fetch";
import { bulkhead, createClient, definePolicy, type PolicyError, retry, timeout } from "../../src/index.ts";
import { openUpstream } from "../harness/upstream.ts";

const fetchOver = (...layers: Parameters<typeof definePolicy>[0]["layers"]): typeof nodeFetch => {
  const policies = [definePolicy({ name: "foreign", match: [{ host: "*" }], layers })];
  // the casts: node-fetch types its own Request and Response
  return createClient({ policies, fetch: nodeFetch as unknown as typeof globalThis.fetch }).fetch as unknown as typeof nodeFetch;
};

const quick = { attempts: 2, backoff: { base: "1ms", max: "1ms" } } as const;

test("a 503 is let go and the call retried", async (t) => {
  const upstream = await openUpstream(t, [{ status: 503, body: "x".repeat(100_000), after: "hang" }, { body: "up" }]);
  const response = await fetchOver(timeout("10s"), retry(quick), timeout("5s"))(upstream.url);
  assert.equal(await response.text(), "up");
  assert.equal(await (await upstream.arrived(1)).over, false); // its connection was closed, not drained for ever
});

test("an abort while the body is read is node-fetch's own error", async (t) => {
  const upstream = await openUpstream(t, [{ after: "hang" }]);
  const controller = new AbortController();
  const response = await fetchOver(timeout("10s"), retry(quick), timeout("5s"))(upstream.url, { signal: controller.signal });
  const text = response.text();
  controller.abort();
  await assert.rejects(text, AbortError);
});

test("an abort before and while the head is awaited is node-fetch's own error", async (t) => {
  const upstream = await openUpstream(t, ["hang"]);
  const fetch = fetchOver(timeout("10s"), retry(quick), timeout("5s"));
  await assert.rejects(fetch(upstream.url, { signal: AbortSignal.abort() }), AbortError);
  assert.equal(upstream.requests.length, 0);
  const controller = new AbortController();
  const promise = fetch(upstream.url, { signal: controller.signal });
  await upstream.arrived(1);
  controller.abort();
  await assert.rejects(promise, AbortError);
});

test("a fetch that heeds no signal is left behind at once", async () => {
  const reason = new RangeError("mine");
  const controller = new AbortController();
  const policies = [definePolicy({ name: "deaf", match: [{ host: "*" }], layers: [timeout("10s")] })];
  const client = createClient({ policies, fetch: () => new Promise<never>(() => undefined) });
  const promise = client.fetch("http://a.test/", { signal: controller.signal });
  controller.abort(reason);
  await assert.rejects(promise, reason);
  await assert.rejects(client.fetch("http://a.test/", { signal: controller.signal }), reason);
});

test("a permit comes back when the Node stream closes", async (t) => {
  const upstream = await openUpstream(t, [{ after: "hang" }, {}]);
  const fetch = fetchOver(bulkhead({ limit: 1 }));
  const first = await fetch(upstream.url);
  await assert.rejects(fetch(upstream.url), ({ code }: PolicyError) => code === "ERR_PREMESH_BULKHEAD_FULL");
  upstream.finish();
  assert.equal(await first.text(), "part");
  assert.equal((await fetch(upstream.url)).status, 200);
});

/** An AbortController of before AbortSignals were everywhere: no EventTarget, no reason, functions only. */
function oldController(): { readonly signal: AbortSignal; readonly abort: () => void; readonly listeners: ReadonlySet<() => void> } {
  const listeners = new Set<() => void>();
  const signal = {
    [Symbol.toStringTag]: "AbortSignal",
    aborted: false,
    addEventListener: (_type: string, listener: () => void) => void listeners.add(listener),
    removeEventListener: (_type: string, listener: () => void) => void listeners.delete(listener),
  };
  const abort = (): void => {
    signal.aborted = true;
    for (const listener of listeners) listener.call(signal);
  };
  return { signal: signal as unknown as AbortSignal, abort, listeners }; // the cast: that it is none is the point
}

test("a polyfill's signal ends the call, and no listener stays on it", async (t) => {
  const upstream = await openUpstream(t, [{}, "hang"]);
  const fetch = fetchOver(timeout("10s"), retry(quick), timeout("5s"));
  const { signal, abort, listeners } = oldController();
  const response = await fetch(upstream.url, { signal });
  assert.equal(await response.text(), "ok");
  await new Promise<void>((resolve) => {
    response.body?.once("close", resolve);
    if (response.body === null || (response.body as { closed?: boolean }).closed === true) resolve(); // the cast: a Readable
  });
  assert.equal(listeners.size, 0);
  const promise = fetch(upstream.url, { signal });
  await upstream.arrived(2);
  abort();
  await assert.rejects(promise, AbortError);
});

test("a mock may give anything: what lacks fields of a Response passes, and what is no object is told", async () => {
  const over = (gives: unknown): Promise<Response> => {
    const policies = [
      definePolicy({ name: "mock", match: [{ host: "*" }], layers: [timeout("10s"), retry(quick), bulkhead({ limit: 1 })] }),
    ];
    // the cast: that is what is tested
    const client = createClient({ policies, fetch: (() => Promise.resolve(gives)) as unknown as typeof globalThis.fetch });
    return client.fetch("http://a.test/");
  };
  for (const response of [{ ok: true }, { ok: false, status: 500 }, { status: "odd" }]) assert.equal(await over(response), response);
  for (const none of [undefined, null, 5]) await assert.rejects(over(none), new TypeError("the fetch function gave no Response"));
});
