// Requests that no client of good will sends, and that break nothing.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { test } from "node:test";
import { bulkhead, idempotency, rateLimit } from "../../../src/index.ts";
import { turns } from "../../harness/time.ts";
import { ask, open, type Service } from "./service.ts";

/** Sends bytes, and gives all that comes back until the server ends the connection, or the first answer where it does not. */
async function raw({ port }: Service, text: string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  let got = "";
  socket.on("data", (chunk: Buffer) => (got += chunk.toString("latin1"))).on("error", () => undefined);
  await once(socket, "connect");
  socket.write(text, "latin1");
  while (!got.includes("\r\n\r\n") && !socket.closed) await turns(1);
  await turns(5);
  socket.destroy();
  return got;
}

const status = (answer: string): string => answer.slice(9, 12);

test("odd request lines and fields get an answer, and hold nothing", async (t) => {
  const service = await open(
    t,
    [bulkhead({ limit: 1 }), rateLimit({ rate: 1e6, per: "1s", key: { header: "x-tenant" } }), idempotency()],
    (_incoming, response) => response.end("done"),
    { inbound: { trustDeadline: true } },
  );
  const post = (more: string, body = ""): string => `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n${more}\r\n${body}`;
  for (const [text, expected] of [
    ["OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "200"],
    ["GET / HTTP/1.0\r\n\r\n", "200"],
    ["GET http://other/path?x HTTP/1.1\r\nHost: a\r\n\r\n", "200"],
    ["GET //../%2e%2e/%zz HTTP/1.1\r\nHost: a:99999999\r\n\r\n", "200"],
    ["GET / HTTP/1.1\r\nHost: a\r\nx-tenant: \xff\xfe\r\nx-tenant: b\r\n\r\n", "200"],
    [post("Idempotency-Key: a\r\nIdempotency-Key: b\r\n"), "400"],
    [post(`Idempotency-Key: ${"k".repeat(8_000)}\r\n`), "400"],
    [post("Idempotency-Key: \xff\r\n"), "400"],
    [post('Idempotency-Key: "\\x"\r\n'), "400"],
    [post("Idempotency-Key: __proto__\r\n", "x"), "200"],
    [post("Idempotency-Key: constructor\r\n", "x"), "200"],
    [post("x-envoy-expected-rq-timeout-ms: -1\r\n"), "200"],
    [post("x-envoy-expected-rq-timeout-ms: 99999999999999999999\r\n"), "200"],
    [post("x-envoy-expected-rq-timeout-ms: 1\r\nx-envoy-expected-rq-timeout-ms: 2\r\n"), "200"],
  ] as const)
    assert.equal(status(await raw(service, text)), expected, JSON.stringify(text.slice(0, 80)));
  const active = (): unknown => service.client.status().policies["guard"]?.targets["inbound"]?.[0]?.state["active"];
  const socket = connect(service.port, "127.0.0.1");
  await once(socket, "connect");
  socket.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\nIdempotency-Key: gone\r\n\r\nhalf");
  while (active() !== 1) await turns(1);
  socket.destroy();
  while (active() !== 0) await turns(1);
  const chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nIdempotency-Key: broken\r\n\r\n5\r\nhello\r\nXYZ\r\n";
  assert.equal(status(await raw(service, chunked)), "400");
  while (active() !== 0) await turns(1);
  assert.equal((await ask(service)).status, 200);
});
