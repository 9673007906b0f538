// bulkhead: so many calls at the same time and no more, so that one slow peer cannot take every socket; a place is held until the response ends.
import { bulkhead, createClient, definePolicy, PolicyError } from "../src/index.ts";
import { serve } from "./server.ts";

let now = 0;
let most = 0;
const server = await serve((_request, response) => {
  most = Math.max(most, ++now);
  response.once("close", () => now--);
  setTimeout(() => response.end("a long report"), 50);
});

const client = createClient({
  policies: [
    definePolicy({
      name: "reports",
      match: [{ host: "127.0.0.1" }],
      layers: [bulkhead({ limit: 2, queue: { size: 3, timeout: "1s" } })],
    }),
  ],
});

async function report(): Promise<string> {
  try {
    const response = await client.fetch(server.url);
    return await response.text();
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    return error.code;
  }
}

const outcomes = await Promise.all(Array.from({ length: 7 }, report));
console.log("seven calls at once; two may run, three may wait:");
for (const [index, outcome] of outcomes.entries()) console.log(`  call ${index + 1}: ${outcome}`);
console.log(`the server never saw more than ${most} at a time`);

server.close();
