// Nothing stays behind: no socket beyond the pool, no listener on the caller's signal, no timer, no place in a layer.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { getEventListeners, once, setMaxListeners } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { afterEach, describe, test, type TestContext } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { breaker, bulkhead, type Client, createClient, definePolicy, retry, timeout } from "../../../src/index.ts";
import { failureOf, unhandled, until } from "./upstream.ts";

afterEach(() => assert.deepEqual(unhandled.splice(0), [], "nothing was left unhandled"));

const CONCURRENCY = 20;

interface Server {
  readonly url: string;
  opened(): number;
  open(): number;
}

async function server(t: TestContext, listener: RequestListener): Promise<Server> {
  const sockets = new Set<Socket>();
  let opened = 0;
  const made = createServer({ keepAliveTimeout: 0 }, listener);
  made.on("connection", (socket) => {
    opened++;
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  made.listen(0, "127.0.0.1");
  await once(made, "listening");
  t.after(() => {
    made.closeAllConnections();
    made.close();
  });
  return { url: `http://127.0.0.1:${(made.address() as AddressInfo).port}/`, opened: () => opened, open: () => sockets.size }; // the cast: it listens on TCP
}

function clientFor(t: TestContext): Client {
  const client = createClient({
    policies: [
      definePolicy({
        name: "p",
        match: [{ host: "127.0.0.1" }],
        layers: [
          timeout("1h"),
          bulkhead({ limit: 10_000 }),
          retry({ attempts: 2, backoff: { base: "0ms" }, budget: false }),
          breaker({ trip: { consecutive: 1_000_000 } }),
          timeout("1h"),
        ],
      }),
    ],
  });
  t.after(() => client.close());
  return client;
}

function active(client: Client): unknown {
  const [states] = Object.values(client.status().policies["p"]?.targets ?? {});
  return states?.find(({ kind }) => kind === "bulkhead")?.state["active"];
}

const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void; // the cast: what the flag has put there

/** fetch lets go of its own listeners when its requests are collected; ours are gone before. */
async function listenersAfterCollection(signal: AbortSignal): Promise<number> {
  let left = Number.POSITIVE_INFINITY;
  await until(() => {
    collect();
    left = getEventListeners(signal, "abort").length;
    return left === 0;
  }, "no listener is left").catch(() => undefined);
  return left;
}

async function inParallel(calls: number, call: () => Promise<void>): Promise<void> {
  let begun = 0;
  const worker = async (): Promise<void> => {
    while (begun++ < calls) await call();
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
}

describe("retried calls leave nothing behind", () => {
  test("10,000 of them, with small bodies that are dropped: the sockets of the pool serve all", async (t) => {
    let requests = 0;
    const upstream = await server(t, (_request, response) => {
      if (++requests % 2 === 1) response.writeHead(503).end("not now");
      else response.end("ok");
    });
    const client = clientFor(t);
    const { signal } = new AbortController();
    setMaxListeners(0, signal);
    const before = timers();
    let failed = 0;
    await inParallel(10_000, async () => {
      const response = await client.fetch(upstream.url, { signal });
      if (!response.ok) failed++;
      await response.text();
    });
    // calls that run side by side share the count of odd and even, so some fail twice
    assert.ok(requests >= 10_000 + failed);
    assert.ok(upstream.opened() <= 4 * CONCURRENCY, `${upstream.opened()} sockets were opened for ${requests} requests`);
    assert.ok(upstream.open() <= 4 * CONCURRENCY);
    assert.equal(active(client), 0);
    assert.equal(await listenersAfterCollection(signal), 0);
    await until(() => timers() <= before + 2, "its timers are gone");
  });

  test("with big bodies that are dropped: what was cancelled is closed", async (t) => {
    const big = Buffer.alloc(1_000_000, "x");
    let requests = 0;
    const upstream = await server(t, (_request, response) => {
      if (++requests % 2 === 1) response.writeHead(503).end(big);
      else response.end("ok");
    });
    const client = clientFor(t);
    const { signal } = new AbortController();
    setMaxListeners(0, signal);
    await inParallel(200, async () => {
      await (await client.fetch(upstream.url, { signal })).arrayBuffer();
    });
    await until(() => upstream.open() <= 2 * CONCURRENCY, "only the pool's sockets are open");
    assert.equal(active(client), 0);
    assert.equal(await listenersAfterCollection(signal), 0);
  });

  test("with bodies that never end: each is cancelled and its socket closed", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    let requests = 0;
    const upstream = await server(t, (_request, response) => {
      if (++requests % 2 === 1) response.writeHead(503).write("and so on");
      else response.end("ok");
    });
    const client = clientFor(t);
    for (let call = 0; call < 20; call++) {
      const given = client.fetch(upstream.url);
      const answered = given.then((response) => response.text());
      let done = false;
      void answered.finally(() => (done = true));
      await until(() => {
        if (!done) t.mock.timers.tick(1); // the backoff
        return done;
      }, "the call is over");
      assert.equal(await answered, "ok");
    }
    t.mock.timers.tick(1_000);
    await until(() => upstream.open() <= 2, "what trickled is closed");
    assert.equal(active(client), 0);
  });
});

test("1,000 aborts at the same time leave nothing behind", async (t) => {
  let requests = 0;
  const upstream = await server(t, () => void requests++);
  const client = clientFor(t);
  const before = timers();
  const together = new AbortController();
  setMaxListeners(0, together.signal);
  const alone = Array.from({ length: 500 }, () => new AbortController());
  const failures = [
    ...alone.map(({ signal }) => failureOf(client.fetch(upstream.url, { signal }))),
    ...Array.from({ length: 500 }, () => failureOf(client.fetch(upstream.url, { signal: together.signal }))),
  ];
  await until(() => requests > 500, "most of them are sent");
  together.abort();
  for (const controller of alone) controller.abort();
  for (const error of await Promise.all(failures)) assert.ok(error instanceof Error && error.name === "AbortError", String(error));
  assert.equal(active(client), 0);
  await until(() => upstream.open() === 0, "all connections are closed");
  await until(() => timers() <= before + 2, "its timers are gone");
  const response = await Promise.race([
    client.fetch(upstream.url, { signal: AbortSignal.abort() }).catch(() => "aborted"),
    once(process, "never"),
  ]);
  assert.equal(response, "aborted");
});

for (const [beside, layers] of [
  ["", ""],
  [", whatever timeouts still wait for its end", 'timeout("1h"), timeout({ after: "1h", name: "again" }), '],
] as const)
  test(`a response that is collected unread gives back its place and its connection${beside}`, async (t) => {
    const upstream = await server(t, (_request, response) => {
      response.writeHead(200, { "content-length": 10_000_000 });
      response.write(Buffer.alloc(2_000_000));
    });
    const script = `
    import { bulkhead, createClient, definePolicy, timeout } from ${JSON.stringify(new URL("../../../src/index.ts", import.meta.url).href)};
    const client = createClient({ policies: [definePolicy({ name: "p", match: [{ host: "*" }], layers: [${layers}bulkhead({ limit: 3 })] })] });
    const active = () => Object.values(client.status().policies.p.targets)[0][0].state.active;
    const url = process.argv[1];
    await (async () => { for (let call = 0; call < 3; call++) await client.fetch(url); })();
    if (active() !== 3) throw new Error("each unread response holds its place: " + active());
    const refused = await client.fetch(url).catch((error) => error.code);
    for (let round = 0; active() > 0 && round < 1000; round++) { gc(); await new Promise((resolve) => setTimeout(resolve, 5)); }
    console.log(JSON.stringify({ refused, active: active() }));
    process.exit();
  `;
    const output = await new Promise<string>((resolve, reject) => {
      execFile(process.execPath, ["--expose-gc", "--input-type=module", "-e", script, upstream.url], (error, stdout, stderr) => {
        if (error === null) resolve(stdout);
        else reject(new Error(`${error.message}\n${stderr}`));
      });
    });
    assert.deepEqual(JSON.parse(output), { refused: "ERR_PREMESH_BULKHEAD_FULL", active: 0 });
  });
