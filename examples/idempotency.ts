// idempotency: one key for all attempts of a call, so a POST can be retried and a server that knows the key charges once.
import { createClient, definePolicy, idempotency, retry } from "../src/index.ts";
import { serve } from "./server.ts";

const charged = new Set<string>();
let requests = 0;
const server = await serve((request, response) => {
  const key = String(request.headers["idempotency-key"]);
  requests += 1;
  const known = charged.has(key);
  charged.add(key);
  console.log(`  server: request ${requests} ${known ? "has a key that I know: not charged again" : "has a new key: charged"}`);
  if (requests === 1) request.socket.destroy(); // the charge is made, the answer is lost
  else response.writeHead(201).end();
});

const client = createClient({
  policies: [definePolicy({ name: "payments", match: [{ host: "127.0.0.1" }], layers: [idempotency(), retry()] })],
});

const response = await client.fetch(`${server.url}/charges`, { method: "POST", body: JSON.stringify({ amount: 100 }) });
console.log(`${response.status} after ${client.explain(response)?.attempts} attempts, charged ${charged.size} time`);

// A key of one's own, such as an order number, holds beyond this process: a repeat after a crash is recognised too.
await client.fetch(`${server.url}/charges`, { method: "POST", body: "{}", premesh: { idempotencyKey: "order-4711" } });
console.log(`keys with the server: ${[...charged].map((key) => (key.includes("order") ? key : "a fresh one")).join(", ")}`);

server.close();
