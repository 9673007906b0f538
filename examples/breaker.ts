// breaker: a peer that keeps failing is left alone; after a while a trial call finds out whether it is well again.
import { setTimeout as wait } from "node:timers/promises";
import { breaker, createClient, definePolicy, PolicyError } from "../src/index.ts";
import { serve } from "./server.ts";

let healthy = false;
let requests = 0;
const server = await serve((_request, response) => {
  requests += 1;
  response.writeHead(healthy ? 200 : 500).end();
});

const client = createClient({
  policies: [
    definePolicy({
      name: "mail",
      match: [{ host: "127.0.0.1" }],
      layers: [breaker({ trip: [{ consecutive: 3 }, { failureRate: 0.5, minCalls: 20, window: "10s" }], openFor: "500ms" })],
    }),
  ],
});

const phase = (): unknown => Object.values(client.status().policies["mail"]?.targets ?? {})[0]?.[0]?.state["phase"];

async function show(): Promise<void> {
  let what: string;
  try {
    what = String((await client.fetch(`${server.url}/send`)).status);
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    what = `${error.code}, try again in ${error.retryAfterMs} ms`;
  }
  console.log(`${what} (breaker ${String(phase())}, the server has seen ${requests})`);
}

for (let call = 1; call <= 5; call++) await show();
console.log("the server recovers, and the breaker has been open long enough");
healthy = true;
await wait(600);
await show();

server.close();
