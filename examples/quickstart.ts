// Quickstart: the README's twelve lines, against a server of their own that answers two requests of three with 503.
import { breaker, createClient, definePolicy, retry, timeout } from "../src/index.ts";
import { serve } from "./server.ts";

let requests = 0;
const server = await serve((_request, response) => {
  requests += 1;
  response.writeHead(requests % 3 === 0 ? 200 : 503).end();
});

const payments = definePolicy({
  name: "payments",
  match: [{ host: "127.0.0.1" }],
  // outermost first: 5 s for the call, up to 3 attempts, one breaker per host, 1 s for each attempt
  layers: [timeout("5s"), retry(), breaker(), timeout("1s")],
});

const client = createClient({ policies: [payments] });
const response = await client.fetch(`${server.url}/flaky`);
console.log(client.explain(response)?.text);

server.close();
