// inbound: a service that is asked for more than it can work on refuses some at once, and answers the others in time.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as work } from "node:timers/promises";
import { bulkhead, createClient, definePolicy, timeout } from "../src/index.ts";
import { inbound, inboundCall } from "../src/inbound.ts";

const client = createClient({
  policies: [
    definePolicy({
      name: "front",
      match: [{ path: "/reports", inbound: true }], // health checks are not among them
      layers: [timeout("3s"), bulkhead({ limit: 2 })],
    }),
  ],
});
const guard = inbound(client);
const server = createServer((request, response) => {
  void guard(request, response, async () => {
    const slow = request.url?.endsWith("slow") === true;
    const signal = inboundCall(request)?.signal;
    await work(slow ? 60_000 : 1_000, undefined, signal === undefined ? {} : { signal }).catch(() =>
      console.log("  service: given up, nobody waits any more"),
    );
    response.end("a report"); // after a timeout this goes nowhere, and harms nothing
  });
}).listen(0, "127.0.0.1");
await once(server, "listening");
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`; // the cast: it listens on a port

console.log("five ask at once, and two places are there:");
const answers = await Promise.all(Array.from({ length: 5 }, () => fetch(`${url}/reports`)));
for (const { status, headers } of answers.toSorted((a, b) => a.status - b.status))
  console.log(`  ${status}${status === 503 ? `, try again in ${headers.get("retry-after")} s` : ""}`);

console.log("work that takes too long:");
const late = await fetch(`${url}/reports/slow`);
console.log(`  ${late.status} ${((await late.json()) as { code: string }).code}`); // the cast: a problem has a code

console.log(`a health check: ${(await fetch(`${url}/healthz`)).status}`);

server.close();
server.closeAllConnections();
await client.close();
