// A service on Fastify that calls two upstreams through one client: one whose answer may be missing, and one that must be paid.
import Fastify, { type FastifyReply } from "fastify";
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
function callerOf({ raw }: FastifyReply): AbortSignal {
  const controller = new AbortController();
  raw.once("close", () => {
    if (!raw.writableFinished) controller.abort();
  });
  return controller.signal;
}

const app = Fastify();

app.get<{ Params: { id: string } }>("/books/:id", async ({ params }, reply) => {
  const response = await client.fetch(`${recommendations.url}/${params.id}`, { signal: callerOf(reply) });
  return { id: params.id, alsoRead: await response.json() };
});

app.post("/orders", async (_request, reply) => {
  const response = await client.fetch(`${payments.url}/charges`, { method: "POST", body: "amount=10", signal: callerOf(reply) });
  await response.text();
  reply.status(response.ok ? 201 : 502);
  return { paid: response.ok };
});

// A refusal becomes an answer that says when to come again; all else is Fastify's affair.
app.setErrorHandler((error, _request, reply) => {
  if (!(error instanceof PolicyError)) throw error;
  if (error.retryAfterMs !== undefined) reply.header("retry-after", Math.ceil(error.retryAfterMs / 1_000));
  return reply.status(error.code === "ERR_PREMESH_RATE_LIMITED" ? 429 : 503).send({ error: error.code });
});

// app.close() answers what is under way here; then what is under way upstream ends.
app.addHook("onClose", () => client.close());
process.once("SIGTERM", () => void app.close());

await play(await app.listen({ port: 0, host: "127.0.0.1" }), { recommendations, payments });
await app.close();
recommendations.close();
payments.close();
console.log("shut down: nothing was under way any more");
