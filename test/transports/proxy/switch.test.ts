// Switches: connections that go over to another protocol, through Upgrade and through CONNECT.
import assert from "node:assert/strict";
import { suite, test, type TestContext } from "node:test";
import { breaker, bulkhead, definePolicy, type LayerDefinition, rateLimit, retry, route, timeout } from "../../../src/index.ts";
import { ask } from "../../harness/ask.ts";
import { rawClient, type RawEnd, rawServer, type RawServer } from "../../harness/raw.ts";
import { openShim, type Shim } from "../../harness/shim.ts";
import { stoppedTime, turns } from "../../harness/time.ts";
import { closedPort } from "../../harness/upstream.ts";

const shimOf = (t: TestContext, layers: readonly LayerDefinition[], settings: Parameters<typeof openShim>[2] = {}): Promise<Shim> =>
  openShim(t, { policies: [definePolicy({ name: "p", match: [{ host: "*.internal" }, { host: "127.0.0.1" }], layers })] }, settings);

const activeIn = ({ client }: Shim): number =>
  Object.values(client.status().policies["p"]?.targets ?? {})
    .flat()
    .reduce((sum, { kind, state }) => sum + (kind === "bulkhead" ? Number(state["active"]) : 0), 0);

suite("a WebSocket", () => {
  const SWITCHED = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: abc\r\n\r\n";

  async function opened(t: TestContext, layers: readonly LayerDefinition[]): Promise<{ shim: Shim; client: RawEnd; server: RawEnd }> {
    const upstream = await rawServer(t);
    const shim = await shimOf(t, layers);
    const client = await rawClient(t, shim.address);
    client.send(
      `GET /chat HTTP/1.1\r\nHost: ${upstream.origin.host}\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n`,
    );
    const server = await upstream.connection(1);
    const head = await server.until(/\r\n\r\n/);
    assert.match(head, /^GET \/chat HTTP\/1\.1\r\n/);
    assert.match(head, /\r\nSec-WebSocket-Key: k\r\n/);
    assert.match(head, /\r\nConnection: Upgrade\r\n/i);
    assert.match(head, /\r\nUpgrade: websocket\r\n/i);
    server.send(`${SWITCHED}hello`);
    assert.match(await client.until(/hello$/), /^HTTP\/1\.1 101 [^]*\r\nSec-WebSocket-Accept: abc\r\n/);
    return { shim, client, server };
  }

  test("passes both ways, and holds its permit until it ends", async (t) => {
    const { shim, client, server } = await opened(t, [timeout("20s"), retry(), bulkhead({ limit: 1 }), timeout("10s")]);
    client.send("ping");
    await server.until(/ping$/);
    server.send("pong");
    await client.until(/pong$/);
    assert.equal(activeIn(shim), 1);
    server.end();
    await client.over;
    client.end();
    const [entry] = await shim.logged(1);
    assert.deepEqual([entry?.response_code, entry?.response_flags, entry?.bytes_received, entry?.bytes_sent], [101, "-", 4, 9]);
    assert.equal(activeIn(shim), 0);
  });

  test("is not ended by the time that the policy gives a call", async (t) => {
    const time = stoppedTime(t);
    const { client, server } = await opened(t, [timeout("50ms")]);
    await time.pass(1_000);
    client.send("still");
    await server.until(/still$/);
  });

  test("is waited for by a drain", async (t) => {
    const { shim, client, server } = await opened(t, []);
    let drained = false;
    const draining = shim.listener.drain().then(() => (drained = true));
    client.send("still");
    await server.until(/still$/);
    server.send("here");
    await client.until(/here$/);
    assert.equal(drained, false);
    server.end();
    client.end();
    await draining;
  });

  test("ends at the upstream when its client leaves", async (t) => {
    const { shim, client, server } = await opened(t, [bulkhead({ limit: 1 })]);
    client.socket.resetAndDestroy();
    await server.over;
    const [entry] = await shim.logged(1);
    assert.equal(entry?.response_flags, "DC");
    assert.equal(activeIn(shim), 0);
  });

  test("that is refused is an answer like any other", async (t) => {
    const upstream = await rawServer(
      t,
      (end) => void end.until(/\r\n\r\n/).then(() => end.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")),
    );
    const shim = await shimOf(t, [retry()]);
    const answer = await ask(shim.address, { host: upstream.origin.host, headers: { connection: "upgrade", upgrade: "websocket" } });
    assert.deepEqual([answer.status, answer.body], [403, "no"]);
  });
});

suite("a tunnel", () => {
  const HELLO = "\x16\x03\x01\x00\x05hello"; // what a ClientHello begins with

  async function connected(t: TestContext, shim: Shim, host: string): Promise<RawEnd> {
    const client = await rawClient(t, shim.address);
    client.send(`CONNECT ${host} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    await client.until(/^HTTP\/1\.1 200 [^]*\r\n\r\n$/);
    return client;
  }

  const joined = async (upstream: RawServer): Promise<RawEnd> => upstream.connection(1);

  test("of TLS is opaque: its bytes pass, as a call of method CONNECT", async (t) => {
    const upstream = await rawServer(t);
    const shim = await shimOf(t, [rateLimit({ rate: 1, per: "1h", burst: 1 }), timeout("5s"), bulkhead({ limit: 1 }), breaker()]);
    const client = await connected(t, shim, upstream.origin.host);
    client.send(HELLO);
    const server = await joined(upstream);
    await server.until(/hello$/);
    server.send("welcome");
    await client.until(/welcome$/);
    assert.equal(activeIn(shim), 1);
    client.end();
    await server.over;
    server.send(" and bye");
    server.end();
    assert.match(await client.over, /welcome and bye$/);
    const [entry] = await shim.logged(1);
    assert.deepEqual(
      [entry?.method, entry?.authority, entry?.response_code, entry?.upstream_cluster, entry?.bytes_received, entry?.bytes_sent],
      ["CONNECT", upstream.origin.host, 200, "p", HELLO.length, 15],
    );
    assert.equal(activeIn(shim), 0);

    const refused = await connected(t, shim, upstream.origin.host);
    refused.send(HELLO);
    await refused.over;
    assert.equal((await shim.logged(2))[1]?.response_flags, "RL");
  });

  test("goes where a route sends it, and is tried elsewhere while nothing was sent", async (t) => {
    const upstream = await rawServer(t);
    const dead = new URL(await closedPort()).origin;
    const shim = await shimOf(t, [
      retry({ backoff: { base: "0ms" } }),
      route({ to: [{ endpoints: [dead, upstream.origin.origin] }], balance: "round-robin" }),
    ]);
    const client = await connected(t, shim, "shop.internal:443");
    client.send(HELLO);
    await (await joined(upstream)).until(/hello$/);
  });

  test("with HTTP in it is looked into: policies apply to each request", async (t) => {
    const upstream = await rawServer(
      t,
      (end) => void end.until(/\r\n\r\n/).then(() => end.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")),
    );
    const shim = await shimOf(t, [rateLimit({ rate: 1, per: "1h", burst: 1 })]);
    const client = await connected(t, shim, upstream.origin.host);
    const request = `GET /a HTTP/1.1\r\nHost: ${upstream.origin.host}\r\n\r\n`;
    client.send(request);
    await client.until(/ok$/);
    client.send(request);
    await client.until(/429 Too Many Requests/);
    assert.deepEqual(
      shim.entries.map(({ method, response_code: code }) => [method, code]),
      [
        ["GET", 200],
        ["GET", 429],
      ],
    );
  });

  test("to where no policy is is refused, and no tunnel is made", async (t) => {
    const shim = await shimOf(t, []);
    const client = await rawClient(t, shim.address);
    client.send("CONNECT elsewhere.example:443 HTTP/1.1\r\nHost: elsewhere.example:443\r\n\r\n");
    const refused = await client.until(/no open proxy$/);
    assert.match(refused, /^HTTP\/1\.1 404 [^]*\r\nproxy-status: shim; error=destination_not_found/i);
    client.send("GET / HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n");
    await client.until(/(?:no open proxy[^]*){2}$/);
    assert.deepEqual(
      (await shim.logged(2)).map(({ method, response_code: code, response_flags: flags, attempts }) => [method, code, flags, attempts]),
      [
        ["CONNECT", 404, "NR", 0],
        ["GET", 404, "NR", 0],
      ],
    );
  });

  test("to where no policy is, at another port than that of TLS, may bring calls whose layers have run: what nobody can look into breaks", async (t) => {
    const shim = await shimOf(t, []);
    const client = await connected(t, shim, "elsewhere.example:8443");
    client.send(HELLO);
    await client.over;
    const [entry] = await shim.logged(1);
    assert.deepEqual([entry?.response_code, entry?.response_flags, entry?.attempts], [404, "NR", 0]);
  });

  test("to where no policy is is refused at any port when its client is not trusted", async (t) => {
    const shim = await shimOf(t, [], { trusts: () => false });
    const client = await rawClient(t, shim.address);
    client.send("CONNECT elsewhere.example:8443 HTTP/1.1\r\nHost: elsewhere.example:8443\r\n\r\n");
    assert.match(await client.until(/no open proxy$/), /^HTTP\/1\.1 404 /);
  });

  test("is made where a policy is for some of what may come through it", async (t) => {
    const upstream = await rawServer(
      t,
      (end) => void end.until(/\r\n\r\n/).then(() => end.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")),
    );
    const { host } = upstream.origin;
    const policies = [definePolicy({ name: "p", match: [{ host, path: "/api", methods: ["GET"] }], layers: [] })];
    const shim = await openShim(t, { policies }, { trusts: () => false });
    const client = await connected(t, shim, host);
    client.send(`GET /api HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    await client.until(/ok$/);
  });

  test("to the shim itself is refused", async (t) => {
    const shim = await shimOf(t, []);
    const client = await connected(t, shim, `127.0.0.1:${shim.address.split(":")[1]}`);
    client.send(HELLO);
    await client.over;
    assert.equal((await shim.logged(1))[0]?.response_code, 502);
    await turns(1);
  });
});
