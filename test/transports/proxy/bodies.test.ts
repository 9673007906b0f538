// Bodies: streamed both ways with back-pressure, kept within the policy's bound to be sent again, with trailers and interim responses.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, request as httpRequest, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { suite, test, type TestContext } from "node:test";
import { definePolicy, fallback, type LayerDefinition, retry, route } from "../../../src/index.ts";
import { ask } from "../../harness/ask.ts";
import { rawClient, rawServer } from "../../harness/raw.ts";
import { openShim, type Shim } from "../../harness/shim.ts";
import { stoppedTime, turns } from "../../harness/time.ts";
import { closedPort, openUpstream } from "../../harness/upstream.ts";

async function serverOf(t: TestContext, answer: RequestListener): Promise<string> {
  const server = createServer(answer).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`; // the cast: a TCP server has such an address
}

const shimOf = (t: TestContext, layers: readonly LayerDefinition[]): Promise<Shim> =>
  openShim(t, { policies: [definePolicy({ name: "p", match: [{ host: "127.0.0.1" }], layers })] });

const again = (buffer?: number): LayerDefinition =>
  retry({ methods: ["*"], on: ["5xx"], backoff: { base: "0ms" }, ...(buffer === undefined ? {} : { buffer }) });

const whatsOf = (shim: Shim): readonly string[] => shim.client.decisions().map(({ what }) => what);

suite("a request's body", () => {
  test("is sent again, whole and in order, with its trailers", async (t) => {
    const seen: { body: string; trailers: unknown }[] = [];
    const host = await serverOf(t, (request, response) => {
      let body = "";
      request.setEncoding("utf8").on("data", (chunk: string) => (body += chunk));
      request.on("end", () => {
        seen.push({ body, trailers: request.trailers["x-sum"] });
        response.writeHead(seen.length < 3 ? 503 : 200).end(body);
      });
    });
    const shim = await shimOf(t, [again()]);
    const question = {
      method: "POST",
      host,
      headers: { "transfer-encoding": "chunked", trailer: "x-sum" },
      body: ["one", "two", "three"],
      trailers: { "x-sum": "11" },
    };
    const answer = await ask(shim.address, question);
    assert.deepEqual([answer.status, answer.body], [200, "onetwothree"]);
    assert.deepEqual(
      seen,
      Array.from({ length: 3 }, () => ({ body: "onetwothree", trailers: "11" })),
    );
    assert.equal(shim.entries[0]?.bytes_received, 11);
  });

  test("that outgrows the bound is sent once, and that is told", async (t) => {
    const host = await serverOf(t, (request, response) => {
      request.resume().on("end", () => response.writeHead(503).end());
    });
    const shim = await shimOf(t, [again(4)]);
    const answer = await ask(shim.address, { method: "POST", host, body: ["one", "two", "three"] });
    assert.deepEqual([answer.status, shim.entries[0]?.attempts], [503, 1]);
    assert.deepEqual(whatsOf(shim), ["committed-by-overflow", "body-not-replayable"]);
  });

  test("is not sent again where the method does not allow it, unless it was never sent", async (t) => {
    const upstream = await openUpstream(t, [{ status: 503 }]);
    const layers = [retry({ attempts: 3, backoff: { base: "0ms" } })];
    const shim = await shimOf(t, layers);
    assert.equal((await ask(shim.address, { method: "POST", host: upstream.host, body: ["x"] })).status, 503);
    assert.equal(upstream.requests.length, 1);
    const elsewhere = await openUpstream(t, [{}]);
    const dead = new URL(await closedPort()).origin;
    const routed = await shimOf(t, [...layers, route({ to: [{ endpoints: [dead, `http://${elsewhere.host}`] }], balance: "round-robin" })]);
    for (let n = 0; n < 4; n++) assert.equal((await ask(routed.address, { method: "POST", host: "127.0.0.1", body: ["x"] })).status, 200);
    assert.deepEqual(
      elsewhere.requests.map(({ body, method }) => [method, body]),
      Array.from({ length: 4 }, () => ["POST", "x"]),
    );
  });

  test("goes to the fallback's target as well", async (t) => {
    const down = await openUpstream(t, [{ status: 500 }]);
    const up = await openUpstream(t, [{ body: "there" }]);
    const shim = await shimOf(t, [fallback({ on: ["5xx"], response: { target: up.url } })]);
    const answer = await ask(shim.address, { method: "PUT", host: down.host, path: "/a?b", body: ["hello"] });
    assert.deepEqual([answer.status, answer.body, answer.headers["premesh-fallback"]], [200, "there", "p"]);
    assert.deepEqual([up.requests[0]?.body, up.requests[0]?.url, up.requests[0]?.headers.host], ["hello", "/a?b", up.host]);
  });

  test("is taken from the client no faster than the upstream takes it", async (t) => {
    let go = (): void => undefined;
    let got = 0;
    const host = await serverOf(t, (request, response) => {
      go = () => {
        request.on("data", (chunk: Buffer) => (got += chunk.byteLength)).on("end", () => response.end(String(got)));
      };
    });
    const shim = await shimOf(t, []);
    const asking = httpRequest({ host: "127.0.0.1", port: shim.address.split(":")[1], method: "POST", headers: { host }, agent: false });
    const answered = once(asking, "response");
    const size = 64 * 1024;
    let written = 0;
    // until nobody takes any more: the sockets' own buffers are full, and what the shim holds is bounded
    for (let full = 0; full < 20;) {
      if (asking.writableLength > 4 * size) {
        await turns(5);
        full++;
        continue;
      }
      asking.write(Buffer.alloc(size));
      written += size;
      full = 0;
      assert.ok(written < 200e6, "nobody slows the client down");
    }
    go();
    asking.end();
    const [response] = await answered;
    let text = "";
    for await (const chunk of response) text += String(chunk);
    assert.equal(text, String(written));
  });
});

suite("a response's body", () => {
  test("large ones pass unchanged both ways at once", async (t) => {
    const host = await serverOf(t, (request, response) => request.pipe(response));
    const body = randomBytes(5_000_000);
    const routed = await shimOf(t, [again(1_000), route({ to: [{ endpoints: [`http://${host}`] }] })]);
    const echoed = await fetch(`${routed.url}/`, { method: "POST", body });
    const sum = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
    assert.equal(sum(new Uint8Array(await echoed.arrayBuffer())), sum(body));
  });

  test("trailers pass, and interim responses before the head", async (t) => {
    const upstream = await rawServer(t, (end) => {
      void end.until(/\r\n\r\n/).then(() => {
        end.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: close\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n");
        end.send(
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n2\r\nok\r\n0\r\nx-sum: 2\r\npremesh-outcome: x\r\n\r\n",
        );
      });
    });
    const shim = await shimOf(t, [again()]);
    const answer = await ask(shim.address, { host: upstream.origin.host });
    assert.deepEqual([answer.interim, answer.body, { ...answer.trailers }], [[103, 102], "ok", { "x-sum": "2" }]);
  });

  test("is taken from the upstream no faster than the client takes it", async (t) => {
    let written = 0;
    let full = false;
    const host = await serverOf(t, (_request, response) => {
      const more = (): void => {
        full = false;
        while (!full && written < 200e6) {
          full = !response.write(Buffer.alloc(65_536));
          written += 65_536;
        }
      };
      response.on("drain", more);
      more();
    });
    const shim = await shimOf(t, []);
    const client = await rawClient(t, shim.address);
    client.socket.pause();
    client.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    for (let same = 0, before = -1; same < 40;) {
      await turns(5);
      same = written === before ? same + 1 : 0;
      before = written;
    }
    assert.ok(written < 100e6, `${written} bytes were taken`);
  });

  test("that breaks off is cut for the client too", async (t) => {
    const upstream = await openUpstream(t, [{ body: "part", after: "reset" }]);
    const shim = await shimOf(t, [again()]);
    await assert.rejects(ask(shim.address, { host: upstream.host }));
    const [entry] = await shim.logged(1);
    assert.deepEqual(
      [entry?.response_code, entry?.response_flags, entry?.response_code_details, entry?.attempts, entry?.bytes_sent],
      [200, "UC", "upstream_reset_after_response_started{connection_termination}", 1, 4],
    );
  });

  test("of an attempt that is dropped is drained, so that its connection is used again", async (t) => {
    const sockets = new Set<unknown>();
    let requests = 0;
    const host = await serverOf(t, (request, response) => {
      sockets.add(request.socket);
      response.writeHead(++requests < 3 ? 503 : 200).end("x".repeat(10_000));
    });
    const shim = await shimOf(t, [retry({ backoff: { base: "5ms" } })]);
    const answer = await ask(shim.address, { host });
    assert.deepEqual([answer.status, answer.body.length, requests], [200, 10_000, 3]);
    assert.equal(sockets.size, 1);
  });

  test("of an attempt that is dropped and has no end is cut", async (t) => {
    const time = stoppedTime(t);
    const upstream = await openUpstream(t, [{ status: 503, body: "part", after: "hang" }, {}]);
    const shim = await shimOf(t, [retry({ backoff: { base: "0ms" } })]);
    assert.equal((await ask(shim.address, { host: upstream.host })).status, 200);
    await time.pass(1_000);
    assert.equal(await upstream.requests[0]?.over, false);
  });
});
