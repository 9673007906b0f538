// A policy file: YAML or JSON that is the same policy as code, and told apart from it by nothing, not even its revision.
import { readFile } from "node:fs/promises";
import { breaker, createClient, definePolicy, parsePolicies, PolicyError, retry, revision, timeout } from "../../src/index.ts";
import { serve } from "../server.ts";

const policies = parsePolicies(await readFile(new URL("policies.yaml", import.meta.url), "utf8"));

const inCode = definePolicy({
  name: "payments",
  match: [{ host: "payments.internal" }, { host: "127.0.0.1" }],
  layers: [
    timeout("2000ms"),
    retry({ attempts: 3, backoff: { base: "25ms", max: "250ms" } }),
    breaker({ trip: { failureRate: 0.5, minCalls: 20, window: "10s" }, openFor: "5s" }),
    timeout("300ms"),
  ],
});
console.log(
  `the same revision from file, code and JSON: ${new Set([...policies, inCode, ...parsePolicies(JSON.stringify(inCode))].map(revision)).size === 1}`,
);

const server = await serve((_request, response) => response.end("paid"));
const client = createClient({ policies });
const response = await client.fetch(server.url);
console.log(`${response.status} under policy ${client.explain(response)?.policy}`);
server.close();

console.log("a file with mistakes names them all:");
try {
  parsePolicies("name: payments\nlayers:\n  - kind: retry\n    atempts: 3\n  - kind: timeout\n    after: 2 seconds\n");
} catch (error) {
  if (!(error instanceof PolicyError)) throw error;
  for (const { path, message, hint } of error.issues) console.log(`  ${path}: ${message}${hint === undefined ? "" : ` (${hint})`}`);
}
