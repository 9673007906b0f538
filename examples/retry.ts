// retry: what failed and is safe to send again is sent again; a POST is not, unless nothing of it was sent or somebody vouches for it.
import { createClient, definePolicy, retry } from "../src/index.ts";
import { serve } from "./server.ts";

let requests = 0;
const server = await serve((_request, response) => {
  requests += 1;
  response.writeHead(requests % 2 === 1 ? 503 : 200).end();
});

const client = createClient({
  policies: [
    definePolicy({
      name: "stock",
      match: [{ host: "127.0.0.1" }],
      layers: [retry({ attempts: 3, backoff: { base: "10ms", max: "100ms" }, budget: { percent: 20, min: 3 } })],
    }),
  ],
});

async function show(what: string, init?: Parameters<typeof client.fetch>[1]): Promise<void> {
  requests = 0;
  const response = await client.fetch(`${server.url}/items/7`, init);
  const attempts = client.explain(response)?.attempts;
  console.log(`${what}: ${response.status} after ${attempts} ${attempts === 1 ? "attempt" : "attempts"}`);
}

await show("GET");
await show("POST", { method: "POST", body: "{}" });
await show("POST that the caller calls idempotent", { method: "POST", body: "{}", premesh: { idempotent: true } });

server.close();
