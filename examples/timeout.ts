// timeout: before retry it bounds the whole call, after retry each attempt; the loser is aborted, and the time that is left travels along.
import { createClient, definePolicy, PolicyError, retry, timeout } from "../src/index.ts";
import { serve } from "./server.ts";

let requests = 0;
const server = await serve((request, response) => {
  requests += 1;
  console.log(`  server: request ${requests} must be answered within ${String(request.headers["x-envoy-expected-rq-timeout-ms"])} ms`);
  response.once("close", () => response.writableEnded || console.log("  server: it was aborted"));
  if (request.url === "/slow-once" && requests > 1) response.end("here you are");
});

const client = createClient({
  policies: [
    definePolicy({
      name: "search",
      match: [{ host: "127.0.0.1" }],
      layers: [
        timeout({ after: "1s", name: "whole-call" }),
        retry({ backoff: { base: "1ms" } }),
        timeout({ after: "400ms", name: "each-attempt" }),
      ],
    }),
  ],
});

console.log("an attempt that hangs is given up and sent again:");
const response = await client.fetch(`${server.url}/slow-once`);
console.log(`${response.status} ${await response.text()}`);

requests = 0;
console.log("when every attempt hangs, the timeout of the whole call ends it:");
try {
  await client.fetch(`${server.url}/slow-always`);
} catch (error) {
  if (!(error instanceof PolicyError)) throw error;
  console.log(`${error.code} by ${error.layer} after ${error.attempts} attempts`);
}

server.close();
