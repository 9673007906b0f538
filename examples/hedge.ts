// hedge: one call in ten is slow; a second copy of it is sent after 30 ms, the first answer counts, and the other is cancelled.
import { createClient, definePolicy, hedge } from "../src/index.ts";
import { serve } from "./server.ts";

let requests = 0;
let cancelled = 0;
const server = await serve((_request, response) => {
  requests += 1;
  const slow = requests % 10 === 0 ? 300 : 5;
  response.once("close", () => {
    if (!response.writableFinished) cancelled += 1;
  });
  setTimeout(() => response.end("here you are"), slow);
});

const client = createClient({
  policies: [definePolicy({ name: "bare", layers: [] }), definePolicy({ name: "hedged", layers: [hedge({ after: "30ms" })] })],
});

async function show(policy: string): Promise<void> {
  const took: number[] = [];
  requests = 0;
  for (let call = 0; call < 50; call++) {
    const begun = performance.now();
    const response = await client.fetch(server.url, { premesh: { policy } });
    await response.text();
    took.push(performance.now() - begun);
  }
  const slow = took.filter((ms) => ms > 150).length;
  console.log(`${policy}: ${slow} of 50 calls took more than 150 ms; the server got ${requests} requests`);
}

await show("bare");
await show("hedged");
console.log(cancelled > 0 ? "the server saw the slow copies cancelled" : "no copy was cancelled");

server.close();
