// Hedged calls over real sockets: what servers see of them, whatever the body and whichever fetch, and that nothing stays behind.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { Readable } from "node:stream";
import { afterEach, test, type TestContext } from "node:test";
import nodeFetch from "node-fetch";
import { fetch as fetch6 } from "undici6";
import { fetch as fetch7 } from "undici7";
import { fetch as fetch8 } from "undici8";
import { bulkhead, createClient, definePolicy, hedge, type LayerDefinition } from "../../../src/index.ts";
import { unhandled, until } from "./upstream.ts";

afterEach(() => assert.deepEqual(unhandled.splice(0), [], "nothing was left unhandled"));

type FetchFunction = typeof globalThis.fetch;

/** The fetch functions that premesh is held to. The casts: each has types of its own for the same things. */
const fetches: Readonly<Record<string, FetchFunction>> = {
  "the runtime's": globalThis.fetch,
  "undici 6's": fetch6 as unknown as FetchFunction,
  "undici 7's": fetch7 as unknown as FetchFunction,
  "undici 8's": fetch8 as unknown as FetchFunction,
  "node-fetch's": nodeFetch as unknown as FetchFunction,
};

interface Server {
  readonly url: string;
  /** The bodies of the requests that came whole. */
  readonly bodies: Buffer[];
  /** How many requests were cut off by the client before they were answered. */
  cut(): number;
  open(): number;
}

/** Gives each request, once its body is in, to `serve`. */
async function serverOf(t: TestContext, serve: (nth: number, response: ServerResponse, request: IncomingMessage) => void): Promise<Server> {
  const bodies: Buffer[] = [];
  const sockets = new Set<Socket>();
  let cut = 0;
  const server = createServer({ keepAliveTimeout: 0 }, (request, response) => {
    const parts: Buffer[] = [];
    response.once("close", () => {
      if (!response.writableFinished) cut++;
    });
    request.on("error", () => undefined);
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      bodies.push(Buffer.concat(parts));
      serve(bodies.length, response, request);
    });
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, bodies, cut: () => cut, open: () => sockets.size }; // the cast: it listens on TCP
}

const policyOf = (...layers: readonly LayerDefinition[]) => definePolicy({ name: "p", match: [{ host: "*" }], layers });

/** The first of each two requests is never answered. */
const everyOther = (nth: number, response: ServerResponse): void => void (nth % 2 === 0 && response.end("answered"));

const bytes = Buffer.alloc(300_000, "0123456789");
const hash = (body: Uint8Array): string => createHash("sha256").update(body).digest("hex");

async function* pieces(): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 10_000) {
    await new Promise((resolve) => setImmediate(resolve));
    yield bytes.subarray(at, at + 10_000);
  }
}

const bodies: Readonly<Record<string, () => RequestInit>> = {
  "a string": () => ({ body: bytes.toString() }),
  bytes: () => ({ body: bytes }),
  // the casts: `duplex` and iterables are undici's extensions
  "a stream": () => ({ body: ReadableStream.from(pieces()), duplex: "half" }) as unknown as RequestInit,
  "an async iterable": () => ({ body: pieces(), duplex: "half" }) as unknown as RequestInit,
};

for (const [name, fetch] of Object.entries(fetches)) {
  for (const [kind, init] of Object.entries(bodies)) {
    if (name.startsWith("node-fetch") && init().body instanceof ReadableStream) continue; // it takes Node's streams only: see below
    if (name.startsWith("node-fetch") && kind === "an async iterable") continue;
    test(`${name} fetch: both copies of ${kind} come whole, and the loser's socket is closed`, async (t) => {
      const server = await serverOf(t, everyOther);
      const client = createClient({ policies: [policyOf(hedge({ after: "30ms" }))], fetch });
      const response = await client.fetch(server.url, { method: "PUT", ...init() });
      assert.equal(await response.text(), "answered");
      assert.deepEqual(server.bodies.map(hash), [hash(bytes), hash(bytes)]);
      await until(() => server.cut() === 1, "the first request was cut off");
    });
  }
}

test("a Node stream that node-fetch sends cannot be sent twice: it is sent whole, once, and that is said", async (t) => {
  const server = await serverOf(t, (_nth, response) => void setTimeout(() => response.end("answered"), 60));
  const client = createClient({ policies: [policyOf(hedge({ after: "20ms" }))], fetch: fetches["node-fetch's"] as FetchFunction });
  const init = { method: "PUT", body: Readable.from(pieces()) } as unknown as RequestInit; // the cast: node-fetch's own kind of body
  const response = await client.fetch(server.url, init);
  assert.equal(await response.text(), "answered");
  assert.deepEqual(server.bodies.map(hash), [hash(bytes)]);
  assert.deepEqual(
    client.explain(response)?.decisions.map(({ what }) => what),
    ["body-not-replayable"],
  );
});

for (const [kind, make] of Object.entries<(url: string) => Request>({
  "a string": (url) => new Request(url, { method: "PUT", body: bytes.toString() }),
  "a stream": (url) => new Request(url, { method: "PUT", body: ReadableStream.from(pieces()), duplex: "half" }),
})) {
  test(`a Request with ${kind} is hedged, whole both times`, async (t) => {
    const server = await serverOf(t, everyOther);
    const client = createClient({ policies: [policyOf(hedge({ after: "30ms" }))] });
    const response = await client.fetch(make(server.url));
    assert.equal(await response.text(), "answered");
    assert.deepEqual(server.bodies.map(hash), [hash(bytes), hash(bytes)]);
    await until(() => server.cut() === 1, "the first request was cut off");
  });
}

test("three copies of a stream that are read side by side come whole", async (t) => {
  const server = await serverOf(t, (nth, response) => void (nth === 3 && response.end("answered")));
  const client = createClient({ policies: [policyOf(hedge({ after: "20ms", max: 2 }))] });
  const response = await client.fetch(server.url, { method: "PUT", ...bodies["a stream"]?.() });
  assert.equal(await response.text(), "answered");
  assert.deepEqual(server.bodies.map(hash), [hash(bytes), hash(bytes), hash(bytes)]);
  await until(() => server.cut() === 2, "the others were cut off");
});

test("a body that the caller gives slowly is not sent twice while it is on its way", async (t) => {
  const server = await serverOf(t, (_nth, response) => void response.end("answered"));
  const client = createClient({ policies: [policyOf(hedge({ after: "5ms" }))] });
  async function* slow(): AsyncGenerator<Uint8Array> {
    for (let n = 0; n < 4; n++) {
      await new Promise((resolve) => setTimeout(resolve, 15));
      yield bytes.subarray(0, 10);
    }
  }
  const init = { method: "PUT", body: slow(), duplex: "half" } as unknown as RequestInit; // the cast: as above
  const response = await client.fetch(server.url, init);
  assert.equal(await response.text(), "answered");
  assert.ok(server.bodies.every((body) => body.length === 40));
});

test("1,000 hedged calls leave nothing: no place, no timer, no socket of a loser", async (t) => {
  const seen = new Set<string | undefined>();
  const server = await serverOf(t, (_nth, response, { url }) => {
    if (seen.has(url)) response.end("answered");
    seen.add(url);
  });
  const client = createClient({
    policies: [policyOf(bulkhead({ limit: 50 }), hedge({ after: "5ms", budget: false }), bulkhead({ limit: 200, name: "copies" }))],
  });
  const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
  const one = async (n: number): Promise<void> => {
    const response = await client.fetch(`${server.url}${n}`);
    assert.equal(await response.text(), "answered");
  };
  await one(1_001);
  const before = timers();
  let left = 1_000;
  await Promise.all(
    Array.from({ length: 20 }, async () => {
      while (left > 0) await one(left--);
    }),
  );
  const states = Object.values(client.status().policies["p"]?.targets ?? {})[0] ?? [];
  assert.deepEqual(
    states.map(({ layer, state }) => [layer, state["active"]]),
    [
      ["bulkhead", 0],
      ["hedge", 0],
      ["copies", 0],
    ],
  );
  await until(() => server.cut() >= 1_000, "the losers were cut off");
  await until(() => timers() <= before + 1, "timers are gone");
  await client.close();
});
