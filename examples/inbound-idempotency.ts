// inbound idempotency: a POST that is sent again with its key is done once, whatever became of the first answer.
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import express from "express";
import { createClient, definePolicy, idempotency } from "../src/index.ts";
import { inbound } from "../src/inbound.ts";

const client = createClient({
  policies: [definePolicy({ name: "orders", match: [{ path: "/orders", inbound: true }], layers: [idempotency({ required: true })] })],
});

let orders = 0;
const app = express();
app.use(inbound(client), express.json()); // before whatever reads bodies
app.post("/orders", (_request, response) => {
  orders += 1;
  console.log(`  service: order ${orders} is written down`);
  response.status(201).json({ order: orders });
});
const server = app.listen(0, "127.0.0.1");
await once(server, "listening");
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/orders`; // the cast: it listens on a port

async function order(key: string | undefined, item: string): Promise<void> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", ...(key === undefined ? {} : { "idempotency-key": key }) },
    body: JSON.stringify({ item }),
  });
  const again = response.headers.get("idempotency-replayed") === "true" ? " (given again)" : "";
  const body = (await response.json()) as { order?: number; detail?: string }; // the cast: an order or a problem
  console.log(`${key ?? "no key"}, ${item}: ${response.status}${again} ${body.detail ?? `order ${body.order}`}`);
}

await order("k-1", "book");
await order("k-1", "book"); // its answer was lost, say
await order("k-1", "lamp");
await order("k-2", "lamp");
await order(undefined, "lamp");
console.log(`${orders} orders`);

server.close();
server.closeAllConnections();
await client.close();
