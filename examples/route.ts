// route: calls to one name go to several servers; a new version gets a share, and a server that fails is passed over.
import { createClient, definePolicy, retry, route } from "../src/index.ts";
import { serve, type ExampleServer } from "./server.ts";

const named = async (name: string): Promise<ExampleServer> => serve((_request, response) => void response.end(name));
const [one, two, canary] = [await named("v1"), await named("v1"), await named("v2")];

/** Nothing but the route changes between the parts below. */
const policy = (share: number): ReturnType<typeof definePolicy> =>
  definePolicy({
    name: "catalog",
    match: [{ host: "catalog.internal" }], // a name that no DNS knows: the route says where it is
    layers: [
      retry({ attempts: 3, backoff: { base: "5ms" } }),
      route({
        to: [
          { endpoints: [one.url, two.url], weight: 100 - share },
          { endpoints: [canary.url], weight: share },
        ],
        sticky: { header: "x-user" },
        outliers: { consecutive5xx: 2, maxEjectionPercent: 50 },
      }),
    ],
  });

const client = createClient({ policies: [policy(20)], seed: 7 });

async function ask(user: number): Promise<string> {
  const response = await client.fetch("http://catalog.internal/books", { headers: { "x-user": `user-${user}` } });
  return response.text();
}

async function seen(): Promise<string> {
  let ofCanary = 0;
  for (let user = 0; user < 200; user++) if ((await ask(user)) === "v2") ofCanary++;
  return `${ofCanary} of 200 users see v2`;
}

console.log(`a canary with a share of 20 %: ${await seen()}`);
const versions = new Set<string>();
for (let call = 0; call < 10; call++) versions.add(await ask(42));
console.log(`user 42 has seen ${versions.size} version in ten calls`);

client.update([policy(100)]);
console.log(`rolled out, while calls go on: ${await seen()}`);

client.update([policy(0)]);
one.close();
let failed = 0;
for (let call = 0; call < 100; call++) await ask(call).catch(() => failed++);
const ejected = client.decisions().filter(({ what }) => what === "ejected").length;
console.log(`rolled back, and one server dies: ${failed} of 100 calls failed, ${ejected} server was ejected`);

await client.close();
two.close();
canary.close();
