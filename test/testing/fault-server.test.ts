// faultServer: what its script says is what comes over the wire, and nothing of it stays behind.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { test } from "node:test";
import { createClient, definePolicy, retry } from "../../src/index.ts";
import { faultServer, scriptedUpstream, virtualClock } from "../../src/testing/index.ts";

const causeOf = (error: unknown): Error & { readonly code?: string } => (error as { cause: Error }).cause; // the cast: fetch's errors have one

const close = { headers: { connection: "close" } };

/** The bytes of the answer to one request, until the connection is over. */
async function rawAnswer(port: number): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined).write("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
  let text = "";
  socket.setEncoding("latin1").on("data", (chunk: string) => (text += chunk));
  await once(socket, "close");
  return text;
}

test("answers by its script, and has seen what came", async () => {
  await using server = await faultServer([503, { status: 201, body: { id: 7 }, retryAfter: "1500ms" }], { forever: 404 });
  const first = await fetch(server.url, close);
  assert.equal(first.status, 503);
  const second = await fetch(`${server.url}items?all=1`, {
    method: "POST",
    body: "héllo",
    headers: { "X-Mine": "yes", connection: "close" },
  });
  assert.equal(second.status, 201);
  assert.equal(second.headers.get("retry-after"), "2");
  assert.deepEqual(await second.json(), { id: 7 });
  assert.equal((await fetch(server.url, close)).status, 404);
  server.assertDone();
  const seen = await server.arrived(2);
  assert.deepEqual([seen.number, seen.method, seen.url, seen.body, seen.headers["x-mine"]], [2, "POST", "/items?all=1", "héllo", "yes"]);
});

test("what was not expected is answered with 500, and told", async () => {
  await using server = await faultServer([]);
  const response = await fetch(server.url, close);
  assert.equal(response.status, 500);
  assert.match(await response.text(), /request 1 \(GET \/\) was not expected/);
  assert.throws(() => server.assertDone(), { name: "AssertionError" });
});

test("a fault is one on the wire, and the same as that of a scripted upstream", async () => {
  const faults = ["reset", "garbage"] as const;
  await using server = await faultServer(faults);
  const scripted = scriptedUpstream(faults);
  for (const fault of faults) {
    const [real, made] = await Promise.all([fetch, scripted].map((to) => to(server.url, close).catch((thrown: unknown) => thrown)));
    for (const error of [real, made]) assert.ok(error instanceof TypeError && error.message === "fetch failed", fault);
    assert.equal(causeOf(real).code, causeOf(made).code, fault);
    assert.equal(causeOf(real).name, causeOf(made).name, fault);
  }
});

test("a body that breaks off fails after its head and its first part have come", async () => {
  await using server = await faultServer([{ body: "part", after: "reset" }]);
  const response = await fetch(server.url, close);
  const reader: ReadableStreamDefaultReader<Uint8Array> | undefined = response.body?.getReader();
  assert.equal(Buffer.from((await reader?.read())?.value ?? []).toString(), "part");
  await assert.rejects(async () => reader?.read(), { name: "TypeError", message: "terminated" });
});

test("a false content-length fails the client, too long and too short", async () => {
  await using server = await faultServer([
    { body: "four", contentLength: 40 },
    { body: "four", contentLength: 2 },
  ]);
  await assert.rejects((await fetch(server.url)).text(), { name: "TypeError", message: "terminated" });
  const port = Number(server.host.split(":")[1]);
  const short = await rawAnswer(port);
  assert.match(short, /content-length: 2\r\n/i);
  assert.match(short, /\r\n\r\nfour$/);
});

test("delays and dripping take the clock's time", async () => {
  const clock = virtualClock();
  await using server = await faultServer([{ body: "abc", delay: "1h", drip: { bytes: 1, every: "1m" } }], { clock });
  const answering = fetch(server.url, close);
  await server.arrived(1);
  await clock.advance(0);
  assert.equal(clock.pending(), 1);
  await clock.advance(3_600_000);
  const response = await answering;
  const reader: ReadableStreamDefaultReader<Uint8Array> | undefined = response.body?.getReader();
  for (const letter of "abc") {
    while (clock.pending() === 0) await new Promise(setImmediate); // the piece before is on its way through the socket
    await clock.advance(60_000);
    assert.equal(Buffer.from((await reader?.read())?.value ?? []).toString(), letter);
  }
  assert.equal((await reader?.read())?.done, true);
});

test("refuses connections when told to, takes them again on the same port, and a retry finds it back", async () => {
  await using server = await faultServer([200]);
  await server.refuse();
  await server.refuse(); // harmless
  assert.equal(causeOf(await fetch(server.url, close).catch((thrown: unknown) => thrown)).code, "ECONNREFUSED");
  const policy = definePolicy({
    name: "api",
    match: [{ host: "*" }],
    layers: [retry({ attempts: 50, backoff: { base: "1ms", max: "20ms" } })],
  });
  const client = createClient({ policies: [policy] });
  const answering = client.fetch(server.url, { ...close, method: "POST", body: "x" });
  await server.accept();
  await server.accept(); // harmless
  assert.equal((await answering).status, 200);
  assert.equal(server.requests.length, 1);
});

test("closing leaves nothing: no connection, no timer, no promise", async () => {
  const clock = virtualClock();
  const server = await faultServer(["hang", { delay: "1h" }, { body: "ab", drip: { bytes: 1, every: "1h" } }], { clock });
  const calls = [1, 2, 3].map(() => fetch(server.url).then(async (response) => response.text()));
  const ended = Promise.allSettled(calls);
  await server.arrived(3);
  await clock.advance(0);
  assert.equal(clock.pending(), 2);
  const never = server.arrived(4);
  await server.close();
  await server.close(); // harmless
  for (const settled of await ended) assert.equal(settled.status, "rejected");
  await assert.rejects(never, /closed, and request 4 had not come/);
  assert.equal(clock.pending(), 0);
  await assert.rejects(fetch(server.url));
});

test("a client that goes away does not trouble it", async () => {
  const clock = virtualClock();
  await using server = await faultServer([{ delay: "1h" }, "hang"], { clock, forever: 200 });
  for (let gone = 1; gone <= 2; gone++) {
    const controller = new AbortController();
    const call = fetch(server.url, { ...close, signal: controller.signal });
    await server.arrived(gone);
    controller.abort();
    await assert.rejects(call, { name: "AbortError" });
  }
  assert.equal((await fetch(server.url, close)).status, 200);
  while (clock.pending() > 0) await new Promise(setImmediate); // the server hears of it
});

test("a step that a server cannot take is told when it is made", async () => {
  await assert.rejects(faultServer(["refuse"]), {
    code: "ERR_PREMESH_INVALID_OPTIONS",
    message: /call refuse\(\) and accept\(\) of the server/,
  });
  await assert.rejects(faultServer([{ status: 42 }]), /script\[0\]: status must be/);
});

test("what the script's function throws is answered with 500", async () => {
  await using server = await faultServer(() => {
    throw new Error("out of ideas");
  });
  const response = await fetch(server.url, close);
  assert.equal(response.status, 500);
  assert.match(await response.text(), /out of ideas/);
});
