// Dispatchers that users bring along: setGlobalDispatcher, init.dispatcher, interceptors and mocks of undici 6, 7 and 8 act as under the bare fetch.
import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import * as undici6 from "undici6";
import * as undici7 from "undici7";
import * as undici8 from "undici8";
import { healthyClient } from "./healthy.ts";
import { type AnyFetch, failure, type Observed } from "./observe.ts";
import { type Logged, openPeer, type Peer } from "./peer.ts";

// The casts here: three majors of one library have types of their own for the same things.
const majors = { 6: undici6, 7: undici7, 8: undici8 } as unknown as Record<string, typeof undici7>;

const GLOBALS = [Symbol.for("undici.globalDispatcher.1"), Symbol.for("undici.globalDispatcher.2")];
const slots = globalThis as unknown as Record<symbol, unknown>; // the cast: undici keeps its dispatchers there

/** Puts the process back to the dispatchers that it had. */
function keepGlobals(t: TestContext): void {
  const before = GLOBALS.map((name) => slots[name]);
  t.after(() => {
    GLOBALS.forEach((name, index) => {
      if (slots[name] !== before[index]) slots[name] = before[index];
    });
  });
}

/** undici 8 has another interface between fetch and dispatcher than those before. */
const generation = (version: string): number => (Number.parseInt(version, 10) >= 8 ? 2 : 1);
const RUNTIME = generation(process.versions["undici"] ?? "");

interface Use {
  /** fetch and dispatcher are of one generation. */
  readonly kin: boolean;
  readonly undici: typeof undici7;
  readonly fetch: AnyFetch;
  readonly peer: Peer;
}

async function came(promise: Promise<Response>): Promise<Observed> {
  try {
    const response = await promise;
    return { status: response.status, headers: [...response.headers].filter(([name]) => name !== "date"), body: await response.text() };
  } catch (error) {
    return failure(error);
  }
}

/** An agent that counts what it connects, so that it is known to have been used. */
function countingAgent(undici: typeof undici7): { readonly agent: undici7.Agent; readonly dispatched: () => number } {
  let dispatched = 0;
  const agent = new undici.Agent();
  const dispatch = agent.dispatch.bind(agent);
  agent.dispatch = (options, handler) => {
    dispatched++;
    return dispatch(options, handler);
  };
  return { agent, dispatched: () => dispatched };
}

function mocked(undici: typeof undici7): undici7.MockAgent {
  const mock = new undici.MockAgent();
  mock.disableNetConnect();
  const pool = mock.get("http://mocked.test");
  pool
    .intercept({ path: "/get" })
    .reply(200, { hello: "mock" }, { headers: { "content-type": "application/json" } })
    .times(2);
  pool.intercept({ path: "/post", method: "POST", body: "sent" }).reply(201, "posted");
  pool.intercept({ path: "/down" }).reply(503, "down").times(2);
  pool.intercept({ path: "/down" }).reply(200, "up");
  pool.intercept({ path: "/error" }).replyWithError(new Error("mocked error")).times(3);
  return mock;
}

async function askMock({ fetch, kin }: Use, more: object = {}): Promise<Observed> {
  const get = await came(fetch("http://mocked.test/get", more));
  // to a global mock of another generation the bare fetch cannot show the body; premesh can
  if (!kin) return get;
  return {
    get,
    post: await came(fetch("http://mocked.test/post", { method: "POST", body: "sent", ...more })),
    unknown: await came(fetch("http://mocked.test/unknown", { method: "POST", body: "sent", ...more })),
  };
}

const uses: Record<string, (use: Use) => Promise<Observed>> = {
  "an Agent in init": async ({ undici, fetch, peer }) => {
    const { agent, dispatched } = countingAgent(undici);
    return [await came(fetch(`${peer.origin}/gzip`, { dispatcher: agent })), dispatched(), await settled(agent.close())];
  },
  "an Agent in init, for a stream": async ({ undici, fetch, peer }) => {
    const { agent, dispatched } = countingAgent(undici);
    const body = ReadableStream.from([Buffer.from("one,"), Buffer.from("two")]);
    return [await came(fetch(`${peer.origin}/echo`, { method: "POST", body, duplex: "half", dispatcher: agent })), dispatched()];
  },
  "an Agent in init, along redirects": async ({ undici, fetch, peer }) => {
    const { agent, dispatched } = countingAgent(undici);
    return [await came(fetch(`${peer.origin}/chain/3`, { dispatcher: agent })), dispatched()];
  },
  "a composed Agent in init": async ({ undici, fetch, peer }) => {
    const agent = new undici.Agent().compose(
      (dispatch) => (options, handler) =>
        dispatch({ ...options, headers: { ...(options.headers as Record<string, string>), "x-composed": "yes" } }, handler),
    );
    return came(fetch(`${peer.origin}/echo`, { method: "POST", body: "a", dispatcher: agent }));
  },
  "no dispatcher at all in init": ({ fetch, peer }) => came(fetch(`${peer.origin}/large/5`, { dispatcher: {} })),
  "an aborted call over an Agent in init": async ({ undici, fetch, peer }) => {
    const { agent } = countingAgent(undici);
    const controller = new AbortController();
    const promise = came(fetch(`${peer.origin}/hang`, { dispatcher: agent, signal: controller.signal }));
    await Promise.race([peer.begun(1), promise]); // an Agent of another generation than fetch fails at once
    controller.abort();
    return promise;
  },
  setGlobalDispatcher: async ({ undici, fetch, peer }) => {
    const { agent, dispatched } = countingAgent(undici);
    undici.setGlobalDispatcher(agent);
    const first = await came(fetch(`${peer.origin}/large/5`));
    return [
      first,
      dispatched(),
      await came(fetch(`${peer.origin}/redirect/302?to=/large/3`)),
      dispatched(),
      undici.getGlobalDispatcher() === agent,
    ];
  },
  "setGlobalDispatcher, a stream": async ({ undici, fetch, peer }) => {
    undici.setGlobalDispatcher(new undici.Agent({ pipelining: 1 }));
    return came(fetch(`${peer.origin}/echo`, { method: "POST", body: ReadableStream.from([Buffer.from("one")]), duplex: "half" }));
  },
  "MockAgent as the global dispatcher": async (use) => {
    const mock = mocked(use.undici);
    use.undici.setGlobalDispatcher(mock);
    const seen = await askMock(use);
    return [seen, mock.pendingInterceptors().map(({ path }) => path)];
  },
  "MockAgent in init": async (use) => askMock(use, { dispatcher: mocked(use.undici) }),
  "MockPool in init": async (use) =>
    came(use.fetch("http://mocked.test/get", { dispatcher: mocked(use.undici).get("http://mocked.test") })),
};

async function settled(promise: Promise<unknown>): Promise<Observed> {
  try {
    return { gave: await promise };
  } catch (error) {
    return failure(error);
  }
}

for (const [major, undici] of Object.entries(majors)) {
  for (const [name, use] of Object.entries(uses)) {
    for (const [whose, bare] of [
      ["the runtime's fetch", globalThis.fetch],
      [`undici ${major}'s own fetch`, undici.fetch],
    ] as const) {
      const native = bare === globalThis.fetch;
      const kin = !native || RUNTIME === generation(major);
      if (!kin && /^Mock.* in init$/.test(name)) continue; // the bare fetch hangs with a mock of another generation in init: nothing to compare with
      test(`undici ${major}, ${whose}: ${name}`, { timeout: 20_000 }, async (t) => {
        keepGlobals(t);
        const peer = await openPeer(t);
        const { fetch } = healthyClient(native ? {} : { fetch: bare as typeof globalThis.fetch });
        const expected = await use({ undici, fetch: bare as AnyFetch, peer, kin });
        const seen = await peer.seen();
        assert.deepEqual(await use({ undici, fetch: fetch as AnyFetch, peer, kin }), expected);
        const heads = (all: readonly Logged[]): unknown => all.map(({ method, url, body }) => ({ method, url, body }));
        assert.deepEqual(heads(await peer.seen()), heads(seen));
      });
    }
  }

  test(`undici ${major}: premesh retries what a MockAgent fails`, { timeout: 20_000 }, async (t) => {
    keepGlobals(t);
    const mock = mocked(undici);
    const { fetch } = healthyClient({ fetch: undici.fetch as unknown as typeof globalThis.fetch });
    const init = { dispatcher: mock } as object;
    assert.equal(await (await fetch("http://mocked.test/down", init)).text(), "up");
    await assert.rejects(
      fetch("http://mocked.test/error", init),
      ({ cause }: Error) => cause instanceof Error && cause.message === "mocked error",
    );
    assert.deepEqual(
      mock.pendingInterceptors().map(({ path }) => path),
      ["/get", "/post"],
    );
  });
}

test("a dispatcher within a Request is used where undici lets it be seen: before undici 7", async (t) => {
  const peer = await openPeer(t);
  const undici = undici6 as unknown as typeof undici7; // the cast: see above
  const { agent, dispatched } = countingAgent(undici);
  const request = new undici.Request(`${peer.origin}/large/5`, { dispatcher: agent });
  const { fetch } = healthyClient({ fetch: undici.fetch as unknown as typeof globalThis.fetch });
  assert.equal(await (await fetch(request as unknown as Request)).text(), "abcde");
  assert.equal(dispatched(), 1);
});
