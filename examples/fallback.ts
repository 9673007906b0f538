// fallback: a fixed answer, or another place to ask, instead of a failure; the answer says that it is one.
import { createClient, definePolicy, fallback, retry } from "../src/index.ts";
import { serve } from "./server.ts";

const broken = await serve((_request, response) => response.writeHead(503).end());
const backup = await serve((request, response) => response.end(`${request.url} from the backup`));

const client = createClient({
  policies: [
    definePolicy({ name: "fixed", layers: [fallback({ response: { status: 200, body: { recommendations: [] } } }), retry()] }),
    definePolicy({ name: "elsewhere", layers: [fallback({ response: { target: backup.url } }), retry()] }),
  ],
});

for (const policy of ["fixed", "elsewhere"]) {
  const response = await client.fetch(`${broken.url}/recommendations`, { premesh: { policy } });
  console.log(`${policy}: ${response.status} ${await response.text()} (premesh-fallback: ${response.headers.get("premesh-fallback")})`);
}

broken.close();
backup.close();
