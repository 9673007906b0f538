// Body parsers find the body of a call with a key as it came, however it came.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, request, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { pipeline } from "node:stream/promises";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import express from "express";
import fastify from "fastify";
import { createClient, definePolicy, idempotency } from "../../../src/index.ts";
import { inbound } from "../../../src/inbound.ts";

const policies = [definePolicy({ name: "p", match: [{ inbound: true }], layers: [idempotency({ buffer: 4_000_000 })] })];
const echoed = (body: { readonly text: string }): { readonly length: number; readonly last: string } => ({
  length: body.text.length,
  last: body.text.slice(-3),
});

const services: Readonly<Record<string, () => Promise<RequestListener>>> = {
  "express.json": () => {
    const app = express();
    app.use(inbound(createClient({ policies })), express.json({ limit: "5mb" }));
    app.post("/", (incoming, response) => response.json(echoed(incoming.body as { text: string }))); // the cast: what the test sends
    return Promise.resolve(app);
  },
  "Fastify's own": async () => {
    const app = fastify({ bodyLimit: 5_000_000 });
    const guard = inbound(createClient({ policies }));
    app.addHook("onRequest", (incoming, reply, done) => void guard(incoming.raw, reply.raw, done));
    app.post("/", (incoming) => echoed(incoming.body as { text: string })); // the cast: what the test sends
    await app.ready();
    return (incoming, response) => app.routing(incoming, response);
  },
  "a stream that is piped": () => {
    const guard = inbound(createClient({ policies }));
    return Promise.resolve((incoming, response) => {
      void guard(incoming, response, async () => {
        const chunks: Buffer[] = [];
        const through = new PassThrough().on("data", (chunk: Buffer) => chunks.push(chunk));
        await pipeline(incoming, through);
        response.setHeader("content-type", "application/json");
        response.end(JSON.stringify(echoed(JSON.parse(Buffer.concat(chunks).toString()) as { text: string }))); // the cast: what the test sends
      });
    });
  },
};

for (const [name, make] of Object.entries(services)) {
  test(name, async (t) => {
    const server = createServer(await make()).listen(0, "127.0.0.1");
    await once(server, "listening");
    t.after(() => {
      server.close();
      server.closeAllConnections();
    });
    const { port } = server.address() as AddressInfo; // the cast: it listens on a port
    let key = 0;
    for (const size of [0, 10, 100_000, 2_000_000]) {
      for (const chunked of [false, true]) {
        const body = Buffer.from(JSON.stringify({ text: `${"x".repeat(size)}end` }));
        key++;
        for (let nth = 0; nth < 2; nth++) {
          const headers = {
            "content-type": "application/json",
            "idempotency-key": `k${key}`,
            ...(chunked ? {} : { "content-length": body.length }),
          };
          const sent = request({ port, host: "127.0.0.1", method: "POST", path: "/", agent: false, headers });
          for (let at = 0; at < body.length; at += 60_000) sent.write(body.subarray(at, at + 60_000));
          sent.end();
          const [response] = (await once(sent, "response")) as [NodeJS.ReadableStream & { headers: Record<string, string> }]; // the cast: that is what the event has
          let text = "";
          for await (const chunk of response) text += String(chunk);
          assert.deepEqual(JSON.parse(text), { length: size + 3, last: "end" });
          assert.equal(response.headers["idempotency-replayed"], nth === 0 ? undefined : "true");
        }
      }
    }
  });
}
