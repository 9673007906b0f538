// Ten servers behind one name: one hangs, one is dead, one resets, one flaps. A policy gets every answer all the same; bare round robin does not.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import { createClient, definePolicy, type LayerDefinition, retry, route, timeout } from "../../../src/index.ts";
import { closedPort } from "../../harness/upstream.ts";

const CALLS = 400;

/** How many requests came to each, in the order of the list. */
interface Fleet {
  readonly endpoints: readonly string[];
  readonly requests: readonly number[];
}

async function fleet(t: TestContext): Promise<Fleet> {
  let flaps = 0;
  const well: RequestListener = (_request, response) => void response.end("well");
  const ill: readonly RequestListener[] = [
    () => undefined,
    (request) => void request.socket.resetAndDestroy(),
    (_request, response) => void response.writeHead(flaps++ % 40 < 20 ? 503 : 200).end(),
  ];
  const requests: number[] = [];
  const endpoints: string[] = [await closedPort()];
  for (const [index, answer] of [...ill, ...Array.from({ length: 6 }, () => well)].entries()) {
    requests.push(0);
    const server = createServer((request, response) => {
      requests[index] = (requests[index] ?? 0) + 1;
      return answer(request, response);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    t.after(() => {
      server.closeAllConnections();
      server.close();
    });
    endpoints.push(`http://127.0.0.1:${(server.address() as AddressInfo).port}`); // the cast: it listens on TCP
  }
  return { endpoints, requests };
}

/** How many of the calls succeeded, eight at a time. */
async function succeeded(t: TestContext, layers: readonly LayerDefinition[]): Promise<number> {
  const client = createClient({ policies: [definePolicy({ name: "p", match: [{ host: "api.internal" }], layers })], seed: 1 });
  t.after(() => client.close());
  let left = CALLS;
  let good = 0;
  const worker = async (): Promise<void> => {
    while (left-- > 0) {
      const came = await client.fetch("http://api.internal/").then(
        async (response) => response.ok && (await response.text()) !== undefined,
        () => false,
      );
      if (came) good++;
    }
  };
  await Promise.all(Array.from({ length: 8 }, worker));
  return good;
}

test("under a policy every call succeeds, and those that are ill get few requests", async (t) => {
  const { endpoints, requests } = await fleet(t);
  const good = await succeeded(t, [
    retry({ attempts: 6, backoff: { base: "1ms", max: "10ms" }, budget: { percent: 100, min: 50 } }),
    timeout("1s"),
    route({ to: [{ endpoints }], outliers: { consecutive5xx: 2, consecutiveGatewayFailure: 2, maxEjectionPercent: 50 } }),
  ]);
  assert.equal(good, CALLS);
  const [hangs = 0, resets = 0, , ...well] = requests;
  for (const count of well) assert.ok(count > hangs + resets, requests.join(" "));
});

test("by bare round robin about a third of the calls fail", async (t) => {
  const { endpoints } = await fleet(t);
  const good = await succeeded(t, [timeout("300ms"), route({ to: [{ endpoints }], balance: "round-robin" })]);
  assert.ok(good < 0.75 * CALLS, `${good} of ${CALLS}`);
});
