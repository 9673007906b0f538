// Hot update: policies are swapped while calls are under way; layers that stay as they are keep their state, and a bad set changes nothing.
import { breaker, createClient, definePolicy, PolicyError, retry } from "../src/index.ts";
import { serve } from "./server.ts";

const server = await serve((_request, response) => response.writeHead(500).end());

const shop = (attempts: number, consecutive = 3) =>
  definePolicy({ name: "shop", match: [{ host: "127.0.0.1" }], layers: [retry({ attempts }), breaker({ trip: { consecutive } })] });

const client = createClient({ policies: [shop(2)] });
const phase = (): unknown =>
  Object.values(client.status().policies["shop"]?.targets ?? {})[0]?.find(({ kind }) => kind === "breaker")?.state["phase"];

for (let call = 1; call <= 3; call++) await client.fetch(server.url);
console.log(`three failures: the breaker is ${String(phase())}`);

client.update([shop(5)]);
console.log(`another retry layer: the breaker, which did not change, is still ${String(phase())}`);

try {
  client.update([{ ...shop(5), layers: [{ kind: "retry", attempts: -1 }] }]);
} catch (error) {
  if (!(error instanceof PolicyError)) throw error;
  console.log(`a bad set throws (${error.issues[0]?.path}), and the breaker is still ${String(phase())}`);
}

client.update([shop(5, 100)]);
console.log(`another breaker layer begins anew: it is ${String(phase())}`);

server.close();
