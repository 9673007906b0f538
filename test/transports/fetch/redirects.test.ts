// Redirects under a policy: each mode does what bare fetch does, and what fetch itself refuses is not retried.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, test, type TestContext } from "node:test";
import { breaker, bulkhead, type Client, createClient, definePolicy, fallback, retry, timeout } from "../../../src/index.ts";
import { cameOut, described, failureOf, unhandled } from "./upstream.ts";

afterEach(() => assert.deepEqual(unhandled.splice(0), [], "nothing was left unhandled"));

interface Site {
  readonly url: string;
  /** `METHOD path body` of each request. */
  readonly seen: string[];
}

/** `/to/<status>/<location>` redirects there; `/flaky` fails twice, then answers; `/loop` goes round; anything else answers. */
async function site(t: TestContext): Promise<Site> {
  const seen: string[] = [];
  let failures = 0;
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (part: Buffer) => (body += part.toString()));
    request.on("end", () => {
      seen.push(`${request.method} ${request.url} ${body}`.trim());
      const [, status, location] = /^\/to\/(\d+)\/(.*)$/.exec(request.url ?? "") ?? [];
      if (request.url === "/loop") response.writeHead(302, { location: "/loop" }).end();
      else if (status !== undefined) response.writeHead(Number(status), { location: decodeURIComponent(location ?? "") }).end();
      else if (request.url === "/flaky" && failures++ < 2) response.writeHead(503).end();
      else response.end("arrived");
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen }; // the cast: it listens on TCP
}

async function closedPort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // the cast: it listens on TCP
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function clientFor(t: TestContext): Client {
  const client = createClient({
    policies: [
      definePolicy({
        name: "p",
        match: [{ host: "127.0.0.1" }],
        layers: [
          timeout("60s"),
          retry({ attempts: 3, backoff: { base: "0ms" } }),
          breaker({ trip: { consecutive: 100 } }),
          bulkhead({ limit: 2 }),
        ],
      }),
    ],
  });
  t.after(() => client.close());
  return client;
}

function stateOf(client: Client): { readonly active: unknown; readonly failures: unknown } {
  const states = Object.values(client.status().policies["p"]?.targets ?? {}).flat();
  const trips = states.find(({ kind }) => kind === "breaker")?.state["trips"] as { consecutive: number }[]; // the cast: the breaker's own status
  return { active: states.find(({ kind }) => kind === "bulkhead")?.state["active"], failures: trips[0]?.consecutive };
}

const stream = (): ReadableStream<Uint8Array> => new Blob(["streamed"]).stream();

interface Case {
  readonly path: string;
  readonly init: () => RequestInit;
}

const cases: Readonly<Record<string, Case>> = {
  "follow, GET": { path: "/to/302/%2Fend", init: () => ({}) },
  "follow, POST becomes GET": { path: "/to/303/%2Fend", init: () => ({ method: "POST", body: "x" }) },
  "follow, 307 keeps method and body": { path: "/to/307/%2Fend", init: () => ({ method: "PUT", body: "kept" }) },
  "follow, 308 keeps method and a form": {
    path: "/to/308/%2Fend",
    init: () => ({ method: "POST", body: new URLSearchParams({ a: "b" }) }),
  },
  "follow, 307 with a stream, which fetch refuses": {
    path: "/to/307/%2Fend",
    init: () => ({ method: "PUT", body: stream(), duplex: "half" }),
  },
  "follow, round and round": { path: "/loop", init: () => ({}) },
  "follow, to a scheme that is none of fetch's": { path: "/to/302/ftp%3A%2F%2Fa", init: () => ({}) },
  "follow, to no URL": { path: "/to/302/http%3A%2F%2F%5B", init: () => ({}) },
  "follow, without a location": { path: "/to/302/", init: () => ({}) },
  manual: { path: "/to/302/%2Fend", init: () => ({ redirect: "manual" }) },
  error: { path: "/to/302/%2Fend", init: () => ({ redirect: "error" }) },
};

describe("a redirect", () => {
  for (const [name, { path, init }] of Object.entries(cases)) {
    test(`${name}: as bare fetch has it, and once`, async (t) => {
      const client = clientFor(t);
      const plain = await site(t);
      const under = await site(t);
      const without = (lines: readonly string[], { url }: Site): string[] => lines.map((line) => line.replaceAll(url, ""));
      const bare = without(await cameOut(fetch(plain.url + path, init())), plain);
      const given = without(await cameOut(client.fetch(under.url + path, init())), under);
      assert.deepEqual(given, bare);
      assert.deepEqual(under.seen, plain.seen);
      assert.deepEqual(stateOf(client), { active: 0, failures: 0 });
    });
  }

  test("keeps url and redirected on the response", async (t) => {
    const client = clientFor(t);
    const { url } = await site(t);
    const response = await client.fetch(`${url}/to/302/%2Fend`);
    assert.equal(response.url, `${url}/end`);
    assert.equal(response.redirected, true);
    await response.text();
  });

  test("to a failing page is retried from its beginning", async (t) => {
    const client = clientFor(t);
    const { url, seen } = await site(t);
    const response = await client.fetch(`${url}/to/307/%2Fflaky`, { method: "PUT", body: "x" });
    assert.equal(await response.text(), "arrived");
    assert.equal(client.explain(response)?.attempts, 3);
    assert.deepEqual(
      seen.filter((line) => line.includes("/flaky")),
      ["PUT /flaky x", "PUT /flaky x", "PUT /flaky x"],
    );
  });

  test("to a host that refuses is retried for GET, with the native error at the end", async (t) => {
    const client = clientFor(t);
    const { url, seen } = await site(t);
    const there = encodeURIComponent(`http://127.0.0.1:${await closedPort()}/`);
    const bare = described(await failureOf(fetch(`${url}/to/302/${there}`)));
    seen.length = 0;
    const error = await failureOf(client.fetch(`${url}/to/302/${there}`));
    assert.deepEqual(described(error), bare);
    assert.equal(client.explain(error)?.attempts, 3);
    assert.equal(seen.length, 3);
    assert.equal(stateOf(client).failures, 3);
  });

  test("of a POST to a host that refuses may have done its work before", async (t) => {
    const client = clientFor(t);
    const { url, seen } = await site(t);
    const there = encodeURIComponent(`http://127.0.0.1:${await closedPort()}/`);
    await failureOf(client.fetch(`${url}/to/307/${there}`, { method: "POST", body: "x" }));
    assert.deepEqual(seen.length, 1, "the first hop has seen it, so it is not sent again");
  });
});

describe("a fallback to another target", () => {
  const bodies: Readonly<Record<string, (url: string) => readonly [input: string | Request, init?: RequestInit]>> = {
    "a string": (url) => [url, { method: "POST", body: "the body" }],
    bytes: (url) => [url, { method: "POST", body: new TextEncoder().encode("the body") }],
    "a stream": (url) => [url, { method: "POST", body: new Blob(["the body"]).stream(), duplex: "half" }],
    "a Request": (url) => [new Request(url, { method: "POST", body: "the body", headers: { "content-type": "text/x-mine" } })],
    "a Request with a stream": (url) => [new Request(url, { method: "POST", body: new Blob(["the body"]).stream(), duplex: "half" })],
    "a Request and init": (url) => [new Request(url, { method: "PUT", body: "not this" }), { method: "POST", body: "the body" }],
    "a Request as init": (url) => [url, new Request("http://other.internal/", { method: "POST", body: "the body" })],
  };
  for (const [name, make] of Object.entries(bodies)) {
    for (const before of ["after the first target failed", "without asking the first target, whose breaker is open"] as const) {
      test(`sends ${name} whole, ${before}`, async (t) => {
        const asked: string[] = [];
        const main = createServer((request, response) => {
          asked.push(request.url ?? "");
          request.resume().on("end", () => response.writeHead(500).end());
        }).listen(0, "127.0.0.1");
        await once(main, "listening");
        t.after(() => {
          main.closeAllConnections();
          main.close();
        });
        const backup = await site(t);
        const client = createClient({
          policies: [
            definePolicy({
              name: "p",
              match: [{ host: "127.0.0.1" }],
              layers: [
                fallback({ response: { target: backup.url } }),
                breaker({ trip: { consecutive: before.startsWith("after") ? 100 : 1 }, openFor: "1h" }),
              ],
            }),
          ],
        });
        const url = `http://127.0.0.1:${(main.address() as AddressInfo).port}/path?query`; // the cast: it listens on TCP
        if (!before.startsWith("after")) {
          await (await client.fetch(url)).text(); // trips the breaker
          asked.length = backup.seen.length = 0;
        }
        const response = await client.fetch(...make(url));
        assert.equal(await response.text(), "arrived");
        assert.equal(response.headers.get("premesh-fallback"), "p");
        assert.equal(response.url, `${backup.url}/path?query`);
        assert.deepEqual(backup.seen, ["POST /path?query the body"]);
        assert.equal(asked.length, before.startsWith("after") ? 1 : 0);
        await client.close();
      });
    }
  }

  test("is not asked when the body was too long to keep; the first answer stays", async (t) => {
    const backup = await site(t);
    const server = createServer((request, response) => void request.resume().on("end", () => response.writeHead(500).end("main"))).listen(
      0,
      "127.0.0.1",
    );
    await once(server, "listening");
    t.after(() => {
      server.closeAllConnections();
      server.close();
    });
    const client = createClient({
      policies: [definePolicy({ name: "p", match: [{ host: "*" }], layers: [fallback({ response: { target: backup.url } })] })],
    });
    const body = new Blob([new Uint8Array(2_000_000)]).stream();
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`; // the cast: it listens on TCP
    const response = await client.fetch(url, { method: "POST", body, duplex: "half" });
    assert.equal(response.status, 500);
    assert.equal(await response.text(), "main");
    assert.deepEqual(
      client.explain(response)?.decisions.map(({ what }) => what),
      ["body-not-replayable"],
    );
    assert.deepEqual(backup.seen, []);
  });
});
