// A service on Express that calls two upstreams through one client: one whose answer may be missing, and one that must be paid.
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import express, { type ErrorRequestHandler, type Response as Reply } from "express";
import { breaker, createClient, definePolicy, fallback, idempotency, PolicyError, retry, timeout } from "../../src/index.ts";
import { play, upstreams } from "../upstreams.ts";

const { recommendations, payments } = await upstreams();

const client = createClient({
  policies: [
    definePolicy({
      name: "recommendations", // nice to have: a short wait, then none
      match: [{ host: recommendations.host }],
      layers: [fallback({ response: { status: 200, body: [] } }), timeout("1s")],
    }),
    definePolicy({
      name: "payments", // must succeed, and must not be paid twice
      match: [{ host: payments.host }],
      layers: [
        timeout("2s"),
        idempotency(),
        retry({ attempts: 3, backoff: { base: "5ms" } }),
        breaker({ trip: { consecutive: 3 }, openFor: "5s" }),
      ],
    }),
  ],
});

/** Aborted when whoever asked has gone, so that nobody works on for them. */
function callerOf(reply: Reply): AbortSignal {
  const controller = new AbortController();
  reply.once("close", () => {
    if (!reply.writableFinished) controller.abort();
  });
  return controller.signal;
}

const app = express();

app.get("/books/:id", async ({ params }, reply) => {
  const response = await client.fetch(`${recommendations.url}/${params.id}`, { signal: callerOf(reply) });
  reply.json({ id: params.id, alsoRead: await response.json() });
});

app.post("/orders", async (_request, reply) => {
  const response = await client.fetch(`${payments.url}/charges`, { method: "POST", body: "amount=10", signal: callerOf(reply) });
  await response.text();
  reply.status(response.ok ? 201 : 502).json({ paid: response.ok });
});

/** A refusal becomes an answer that says when to come again. */
const refused: ErrorRequestHandler = (error, _request, reply, next) => {
  if (reply.destroyed) return; // the caller has gone
  if (!(error instanceof PolicyError)) return next(error);
  if (error.retryAfterMs !== undefined) reply.set("retry-after", String(Math.ceil(error.retryAfterMs / 1_000)));
  reply.status(error.code === "ERR_PREMESH_RATE_LIMITED" ? 429 : 503).json({ error: error.code });
};
app.use(refused);

const server = app.listen(0, "127.0.0.1");
await once(server, "listening");

/** What is under way is answered first, here and upstream. */
async function shutDown(): Promise<void> {
  const closed = once(server, "close");
  server.close();
  await closed;
  await client.close();
}
process.once("SIGTERM", () => void shutDown());

await play(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, { recommendations, payments }); // the cast: it listens on a port
await shutDown();
recommendations.close();
payments.close();
console.log("shut down: nothing was under way any more");
