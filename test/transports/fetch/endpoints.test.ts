// An attempt goes to the address of an endpoint, while everything that the caller and the peer see is as if it had gone to the name.
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type IncomingHttpHeaders, type RequestListener } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Server } from "node:net";
import { afterEach, test, type TestContext } from "node:test";
import tls, { type TLSSocket } from "node:tls";
import nodeFetch from "node-fetch";
import { fetch as fetch7, MockAgent, setGlobalDispatcher, getGlobalDispatcher } from "undici7";
import { fetch as fetch8 } from "undici8";
import {
  bulkhead,
  type Client,
  type ClientOptions,
  createClient,
  definePolicy,
  fallback,
  type FetchFunction,
  type LayerDefinition,
  retry,
  route,
  type RouteOptions,
} from "../../../src/index.ts";
import { routeOf } from "../../harness/endpoints.ts";
import { closedPort, openUpstream } from "../../harness/upstream.ts";
import { cameOut, failureOf, unhandled, until } from "./upstream.ts";

afterEach(() => assert.deepEqual(unhandled.splice(0), [], "nothing was left unhandled"));

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly servername: string | undefined;
}

interface Site {
  readonly origin: string;
  readonly host: string;
  readonly seen: readonly Seen[];
}

const pem = (name: string): string => readFileSync(new URL(`../../harness/tls/${name}`, import.meta.url), "utf8");

/** `/to/<status>/<location>` redirects there; `/status/<n>` answers that; anything else answers 200 and the site's name. */
async function site(t: TestContext, name: string, { secure = false }: { secure?: boolean } = {}): Promise<Site> {
  const seen: Seen[] = [];
  const answer: RequestListener = (request, response) => {
    let body = "";
    request.on("data", (part: Buffer) => (body += part.toString()));
    request.on("end", () => {
      const { method = "", url = "", headers } = request;
      const { servername } = request.socket as Partial<TLSSocket>; // the cast: only a secure socket has one
      seen.push({ method, url, headers, body, servername: typeof servername === "string" ? servername : undefined });
      const [, status, location = ""] = /^\/(?:to|status)\/(\d+)\/?(.*)$/.exec(url) ?? [];
      if (status !== undefined) response.writeHead(Number(status), location === "" ? {} : { location: decodeURIComponent(location) }).end();
      else response.end(name);
    });
  };
  const server: Server = secure ? createTlsServer({ key: pem("server.key"), cert: pem("server.pem") }, answer) : createServer(answer);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    (server as ReturnType<typeof createServer>).closeAllConnections(); // the cast: both kinds have it
    server.close();
  });
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`; // the cast: it listens on TCP
  return { origin: `${secure ? "https" : "http"}://${host}`, host, seen };
}

function clientOf(t: TestContext, options: RouteOptions, more: Partial<ClientOptions> = {}, ...before: readonly LayerDefinition[]): Client {
  const layers = [...before, route(options)];
  const client = createClient({ policies: [definePolicy({ name: "p", match: [{ host: "*.internal" }], layers })], ...more });
  t.after(() => client.close());
  return client;
}

test("the peer is called by the name that the caller used, and the response is from there", async (t) => {
  const a = await site(t, "a");
  const response = await clientOf(t, { to: [{ endpoints: [a.origin] }] }).fetch("http://payments.internal:81/x?y=1", {
    method: "POST",
    body: "hello",
    headers: { "x-mine": "1" },
  });
  assert.deepEqual([response.url, response.redirected, await response.text()], ["http://payments.internal:81/x?y=1", false, "a"]);
  const [{ method, url, headers, body } = {} as Partial<Seen>] = a.seen;
  assert.deepEqual([method, url, headers?.host, headers?.["x-mine"], body], ["POST", "/x?y=1", "payments.internal:81", "1", "hello"]);
});

test("with host: rewrite it is called by its address", async (t) => {
  const a = await site(t, "a");
  const response = await clientOf(t, { to: [{ endpoints: [a.origin] }], host: "rewrite" }).fetch("http://payments.internal/x");
  assert.deepEqual([response.url, await response.text(), a.seen[0]?.headers.host], ["http://payments.internal/x", "a", a.host]);
});

test("a Request, a stream and a retry go to endpoints with all that belongs to them", async (t) => {
  const [bad, good] = [await site(t, "bad"), await site(t, "good")];
  const client = clientOf(
    t,
    { to: [{ endpoints: [bad.origin, good.origin, "http://127.0.0.1:1"] }] },
    {},
    retry({ attempts: 5, methods: ["*"] }),
  );
  for (let n = 0; n < 5; n++) {
    const request = new Request("http://payments.internal/a", { method: "PUT", body: `request ${n}` });
    assert.match(await (await client.fetch(request)).text(), /good|bad/);
    const stream = new Blob([`stream ${n}`]).stream();
    const init = { method: "POST", body: stream, duplex: "half" } as const;
    assert.match(await (await client.fetch("http://payments.internal/b", init)).text(), /good|bad/);
  }
  const bodies = [...bad.seen, ...good.seen].map(({ body }) => body);
  assert.deepEqual(new Set(bodies), new Set(Array.from({ length: 5 }, (_, n) => [`request ${n}`, `stream ${n}`]).flat()));
});

test("a redirect to the same origin goes to the endpoint, one to another origin goes there and not to the endpoint", async (t) => {
  const [a, other] = [await site(t, "a"), await site(t, "other")];
  const client = clientOf(t, { to: [{ endpoints: [a.origin] }] });
  const same = await client.fetch("http://payments.internal/to/302/%2Fhere");
  assert.deepEqual([same.url, await same.text()], ["http://payments.internal/here", "a"]);
  const absolute = await client.fetch(`http://payments.internal/to/307/${encodeURIComponent("http://payments.internal/there")}`);
  assert.deepEqual([absolute.url, await absolute.text()], ["http://payments.internal/there", "a"]);
  const elsewhere = await client.fetch(`http://payments.internal/to/302/${encodeURIComponent(`${other.origin}/x`)}`);
  assert.deepEqual([elsewhere.url, await elsewhere.text(), other.seen[0]?.headers.host], [`${other.origin}/x`, "other", other.host]);
  assert.deepEqual(
    a.seen.map(({ url, headers }) => [url.replace(/\/http.*/, ""), headers.host]),
    ["/to/302/%2Fhere", "/here", "/to/307", "/there", "/to/302"].map((url) => [url, "payments.internal"]),
  );
});

test("over TLS the server name and the certificate are those of the name, and the scheme that of the endpoint", async (t) => {
  const before = tls.getCACertificates("default");
  tls.setDefaultCACertificates([...before, pem("ca.pem")]);
  t.after(() => tls.setDefaultCACertificates(before));
  const a = await site(t, "a", { secure: true });
  const client = clientOf(t, { to: [{ endpoints: [a.origin] }] });
  for (const url of ["https://payments.internal/x", "http://payments.internal/x"]) {
    const response = await client.fetch(url);
    assert.deepEqual([response.url, await response.text()], [url, "a"]);
  }
  assert.deepEqual(
    a.seen.map(({ servername, headers }) => [servername, headers.host]),
    [
      ["payments.internal", "payments.internal"],
      ["payments.internal", "payments.internal"],
    ],
  );
  const wrong = await failureOf(client.fetch("https://orders.internal/x"));
  assert.equal(((wrong as Error).cause as { code?: unknown }).code, "ERR_TLS_CERT_ALTNAME_INVALID"); // the casts: it is fetch's TypeError
  const rewriting = await failureOf(clientOf(t, { to: [{ endpoints: [a.origin] }], host: "rewrite" }).fetch("https://payments.internal/x"));
  assert.equal(((rewriting as Error).cause as { code?: unknown }).code, "ERR_TLS_CERT_ALTNAME_INVALID"); // as above: it is called by its address
});

test("a fallback in front sends to its own origin's endpoints by its own name", async (t) => {
  const a = await site(t, "a");
  const client = clientOf(t, { to: [{ endpoints: [a.origin] }] }, {}, fallback({ response: { target: "http://backup.internal" } }));
  const response = await client.fetch("http://payments.internal/status/503");
  await response.text();
  assert.deepEqual(
    a.seen.map(({ headers }) => headers.host),
    ["payments.internal", "backup.internal"],
  );
});

for (const [name, fetch] of Object.entries({ "undici 7": fetch7, "undici 8": fetch8, "node-fetch": nodeFetch })) {
  test(`a fetch function that goes by the URL is given the address, and the name as Host: ${name}`, async (t) => {
    const a = await site(t, "a");
    // the cast: each types its own Request and Response
    const client = clientOf(t, { to: [{ endpoints: [a.origin] }] }, { fetch: fetch as unknown as FetchFunction });
    const response = await client.fetch("http://payments.internal/x?y=1", { headers: { "x-mine": "1" } });
    assert.equal(await response.text(), "a");
    const [{ url, headers } = {} as Partial<Seen>] = a.seen;
    assert.deepEqual([url, headers?.host, headers?.["x-mine"]], ["/x?y=1", "payments.internal", "1"]);
    const rewriting = clientOf(t, { to: [{ endpoints: [a.origin] }], host: "rewrite" }, { fetch: fetch as unknown as FetchFunction }); // the cast: as above
    await (await rewriting.fetch("http://payments.internal/x")).text();
    assert.equal(a.seen[1]?.headers.host, a.host);
  });
}

test("a bulkhead behind is held until the response has ended", async (t) => {
  const a = await openUpstream(t, [{ after: "hang" }]);
  const layers = [route({ to: [{ endpoints: [a.url] }] }), bulkhead({ limit: 1 })];
  const client = createClient({ policies: [definePolicy({ name: "p", match: [{ host: "*.internal" }], layers })] });
  t.after(() => client.close());
  const response = await client.fetch("http://payments.internal/");
  const active = (): unknown => client.status().policies["p"]?.targets["payments.internal"]?.map(({ state }) => state["active"]);
  assert.deepEqual(active(), [1, 1]);
  a.finish();
  await response.text();
  await until(() => String(active()) === "0,0", "both have let go");
});

test("an endpoint whose health check says no takes no calls, until one says that it is well", async (t) => {
  let well = false;
  const names = new Set<string | undefined>();
  const ill = createServer((request, response) => {
    if (request.url === "/healthz") names.add(request.headers.host);
    response.writeHead(request.url !== "/healthz" || well ? 200 : 503).end("ill");
  }).listen(0, "127.0.0.1");
  await once(ill, "listening");
  t.after(() => {
    ill.closeAllConnections();
    ill.close();
  });
  const good = await site(t, "good");
  const health = { http: { path: "/healthz" }, interval: "10ms", healthyThreshold: 1 } as const;
  const to = [{ endpoints: [good.origin, `http://127.0.0.1:${(ill.address() as AddressInfo).port}`] }]; // the cast: it listens on TCP
  const client = clientOf(t, { to, health, balance: "round-robin", panicThreshold: 0 });
  const told: string[] = [];
  client.on((event) => event.type === "decision" && told.push(event.what));
  const call = async (): Promise<string> => (await client.fetch("http://payments.internal/x")).text();
  await call();
  await until(() => told.includes("unhealthy"), "the check has failed");
  for (let n = 0; n < 6; n++) assert.equal(await call(), "good");
  well = true;
  await until(() => told.includes("healthy"), "it is well");
  const went = new Set([await call(), await call()]);
  assert.deepEqual(went, new Set(["good", "ill"]));
  assert.deepEqual(names, new Set(["payments.internal"]), "checks call it as calls do");
  await client.close();
});

test("a mirror gets a copy of each call, with its body and marked, and its answer is dropped", async (t) => {
  const [a, shadow] = [await site(t, "a"), await site(t, "shadow")];
  const client = clientOf(
    t,
    { to: [{ endpoints: [a.origin] }], mirror: { to: shadow.origin } },
    {},
    retry({ methods: ["*"], backoff: { base: "0ms" } }),
  );
  const bodies: (readonly [string, RequestInit & { duplex?: "half" }])[] = [
    ["/text?x=1", { method: "POST", body: "text" }],
    ["/stream", { method: "POST", body: new Blob(["stream"]).stream(), duplex: "half" }],
    ["/status/503", { method: "PUT", body: "fails" }],
  ];
  for (const [path, init] of bodies) await (await client.fetch(`http://payments.internal${path}`, init)).text();
  const request = new Request("http://payments.internal/request", { method: "POST", body: "request", headers: { "x-mine": "1" } });
  await (await client.fetch(request)).text();
  await until(() => shadow.seen.length === 4, "all are mirrored");
  assert.deepEqual(
    shadow.seen
      .map(({ url, body, headers }) => [url, body, headers.host, headers["premesh-mirror"]])
      .toSorted(([x], [y]) => (String(x) < String(y) ? -1 : 1)),
    [
      ["/request", "request", shadow.host, "p"],
      ["/status/503", "fails", shadow.host, "p"],
      ["/stream", "stream", shadow.host, "p"],
      ["/text?x=1", "text", shadow.host, "p"],
    ],
  );
  assert.equal(
    a.seen.some(({ headers }) => "premesh-mirror" in headers),
    false,
  );
  assert.equal(a.seen.filter(({ url }) => url === "/status/503").length, 3, "retries are not mirrored");
  await until(() => mirrorOf(client)["underWay"] === 0, "none is left");
});

const mirrorOf = (client: Client): Readonly<Record<string, unknown>> =>
  routeOf(client, "payments.internal")["mirror"] as Readonly<Record<string, unknown>>; // the cast: the route shows it

test("a mirror that fails, hangs or is full touches no call, and says so", async (t) => {
  const a = await site(t, "a");
  const whats: string[] = [];
  const hearing = (client: Client): Client => {
    client.on((event) => {
      if (event.type !== "decision") return;
      const { reason, code } = (event.detail ?? {}) as Readonly<Record<string, string>>; // the cast: what a mirror tells is text
      whats.push(`${event.what} ${reason ?? code ?? ""}`.trim());
    });
    return client;
  };
  const dead = hearing(clientOf(t, { to: [{ endpoints: [a.origin] }], mirror: { to: await closedPort() } }));
  assert.deepEqual(await cameOut(dead.fetch("http://payments.internal/")), ["response", "200", "a"]);
  await until(() => whats.length === 2, "it has failed");
  assert.deepEqual(whats.splice(0), ["mirrored", "mirror-failed unavailable"]);
  const silent = createServer(() => undefined).listen(0, "127.0.0.1");
  await once(silent, "listening");
  t.after(() => {
    silent.closeAllConnections();
    silent.close();
  });
  const to = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`; // the cast: it listens on TCP
  const hung = hearing(clientOf(t, { to: [{ endpoints: [a.origin] }], mirror: { to, limit: 1, timeout: "1h", buffer: 3 } }));
  for (let n = 0; n < 2; n++) assert.deepEqual(await cameOut(hung.fetch("http://payments.internal/")), ["response", "200", "a"]);
  assert.deepEqual(whats.splice(0), ["mirrored", "mirror-dropped limit"]);
  await hung.close();
  const busy = hearing(clientOf(t, { to: [{ endpoints: [a.origin] }], mirror: { to, buffer: 3 } }));
  const stream = { method: "POST", body: new Blob(["too long"]).stream(), duplex: "half" } as const;
  assert.deepEqual(await cameOut(busy.fetch("http://payments.internal/", stream)), ["response", "200", "a"]);
  assert.deepEqual(whats.splice(0), ["mirror-dropped body"]);
  assert.equal(await busy.run("p", () => "work"), "work");
  assert.deepEqual(whats.splice(0), ["mirror-dropped transport"]);
});

test("a mirrored call outlives the caller's abort", async (t) => {
  const shadow = await site(t, "shadow");
  const silent = createServer(() => undefined).listen(0, "127.0.0.1");
  await once(silent, "listening");
  t.after(() => {
    silent.closeAllConnections();
    silent.close();
  });
  const to = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`; // the cast: it listens on TCP
  const client = clientOf(t, { to: [{ endpoints: [to] }], mirror: { to: shadow.origin } });
  const controller = new AbortController();
  const call = failureOf(client.fetch("http://payments.internal/", { signal: controller.signal }));
  controller.abort();
  assert.equal(((await call) as Error).name, "AbortError");
  await until(() => shadow.seen.length === 1, "it has come all the same");
});

test("half of the calls are mirrored by a percentage", async (t) => {
  const [a, shadow] = [await site(t, "a"), await site(t, "shadow")];
  const client = clientOf(t, { to: [{ endpoints: [a.origin] }], mirror: { to: shadow.origin, percent: 50 } }, { seed: 1 });
  for (let n = 0; n < 100; n++) await (await client.fetch("http://payments.internal/")).text();
  await until(() => mirrorOf(client)["underWay"] === 0, "none is left");
  assert.ok(shadow.seen.length > 30 && shadow.seen.length < 70, `${shadow.seen.length} of 100`);
});

test("a mock of undici sees the address", async (t) => {
  const before = getGlobalDispatcher();
  const agent = new MockAgent();
  agent.disableNetConnect();
  agent.get("http://10.0.0.1:8080").intercept({ path: "/x" }).reply(200, "mocked");
  setGlobalDispatcher(agent);
  t.after(() => setGlobalDispatcher(before));
  const client = clientOf(t, { to: [{ endpoints: ["http://10.0.0.1:8080"] }] });
  assert.equal(await (await client.fetch("http://payments.internal/x")).text(), "mocked");
});
