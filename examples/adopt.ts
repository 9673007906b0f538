// adopt: a breaker, a retry policy and a limiter that a service has already go on as layers; only what is missing is premesh's own.
import Bottleneck from "bottleneck";
import { ExponentialBackoff, handleWhenResult, retry } from "cockatiel";
import CircuitBreaker from "opossum";
import { adopt, createClient, definePolicy, PolicyError, timeout } from "../src/index.ts";
import { serve } from "./server.ts";

let healthy = true;
let requests = 0;
const server = await serve((_request, response) => {
  requests += 1;
  response.writeHead(healthy && requests % 2 === 0 ? 200 : 503).end();
});

// What the service has today; other code goes on using it.
const existingBreaker = new CircuitBreaker((path: string) => fetch(path), {
  errorThresholdPercentage: 60,
  volumeThreshold: 4,
  resetTimeout: 5_000,
});
existingBreaker.on("open", () => console.log("  (opossum says: open)"));
const existingRetry = retry(
  handleWhenResult((result) => result instanceof Response && result.status >= 500),
  { maxAttempts: 2, backoff: new ExponentialBackoff({ initialDelay: 5 }) },
);
const existingLimiter = new Bottleneck({ maxConcurrent: 2 });

const client = createClient({
  policies: [
    definePolicy({
      name: "mail",
      match: [{ host: "127.0.0.1" }],
      layers: [
        timeout("2s"), // new: none of the three has a deadline for the whole call
        adopt(existingLimiter, { name: "limiter" }),
        adopt(existingRetry, { name: "retry" }),
        adopt(existingBreaker, { name: "breaker" }),
      ],
    }),
  ],
});

async function show(): Promise<void> {
  try {
    const response = await client.fetch(`${server.url}/send`);
    console.log(`${response.status} after ${client.explain(response)?.attempts} attempts`);
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    console.log(`${error.code} by the layer ${error.layer}`);
  }
}

console.log("a peer that fails every other time:");
await show();
console.log("the peer goes down:");
healthy = false;
for (let call = 1; call <= 3; call++) await show();
console.log(`the server has seen ${requests} requests`);

existingBreaker.shutdown();
server.close();
