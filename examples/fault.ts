// fault: failures on purpose, to see that the rest of the policy holds; inside retry, every attempt rolls the dice, and a seed makes them repeatable.
import { createClient, definePolicy, fault, retry } from "../src/index.ts";
import { serve } from "./server.ts";

const server = await serve((_request, response) => response.end());
const chaos = fault({ abort: { status: 503, percent: 30 }, delay: { for: "5ms", percent: 10 } });

const client = createClient({
  seed: 1,
  policies: [
    definePolicy({ name: "bare", layers: [chaos] }),
    definePolicy({ name: "retried", layers: [retry({ attempts: 4, backoff: { base: "1ms" } }), chaos] }),
  ],
});

for (const policy of ["bare", "retried"]) {
  let good = 0;
  let attempts = 0;
  for (let call = 0; call < 200; call++) {
    const response = await client.fetch(server.url, { premesh: { policy } });
    await response.text();
    if (response.ok) good++;
    attempts += client.explain(response)?.attempts ?? 0;
  }
  console.log(`${policy}: ${good} of 200 calls succeeded; ${attempts} requests reached the server`);
}

server.close();
