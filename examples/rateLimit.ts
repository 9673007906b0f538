// rateLimit: so many calls per second and no more; a queue turns refusals into short waits.
import { createClient, definePolicy, PolicyError, rateLimit } from "../src/index.ts";
import { serve } from "./server.ts";

const server = await serve((_request, response) => response.end());

const limit = { rate: 5, per: "1s", burst: 3 } as const;
const client = createClient({
  policies: [
    definePolicy({ name: "refusing", layers: [rateLimit(limit)] }),
    definePolicy({ name: "queueing", layers: [rateLimit({ ...limit, queue: { size: 10, timeout: "1s" } })] }),
  ],
});

async function call(policy: string): Promise<string> {
  try {
    const response = await client.fetch(server.url, { premesh: { policy } });
    return String(response.status);
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    return `${error.code}, try again in ${error.retryAfterMs} ms`;
  }
}

for (const policy of ["refusing", "queueing"]) {
  const began = performance.now();
  const outcomes = await Promise.all(Array.from({ length: 5 }, () => call(policy)));
  console.log(`${policy}, five calls at once, a burst of three:`);
  console.log(`  ${outcomes.join("\n  ")}`);
  console.log(`  all answered after about ${Math.round((performance.now() - began) / 10) * 10} ms`);
}

server.close();
