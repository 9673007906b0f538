// Endpoints in a client: status and snapshots, isolate and reset, changes while calls are under way, and what is forgotten.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import test, { type TestContext } from "node:test";
import {
  breaker,
  bulkhead,
  type Client,
  type ClientOptions,
  createClient,
  definePolicy,
  type LayerDefinition,
  type LayerStatus,
  retry,
  route,
} from "../../src/index.ts";
import { gate, turns } from "../harness/time.ts";
import { openUpstream } from "../harness/upstream.ts";

const [A, B, C] = ["http://10.0.0.1:8080", "http://10.0.0.2:8080", "http://10.0.0.3:8080"] as const;
const trip = { consecutive: 1 } as const;

const policy = (...layers: LayerDefinition[]): ReturnType<typeof definePolicy> => definePolicy({ name: "p", layers });

function clientOf(t: TestContext, layers: readonly LayerDefinition[], options: Partial<ClientOptions> = {}): Client {
  const client = createClient({ policies: [policy(...layers)], seed: 1, ...options });
  t.after(() => client.close());
  return client;
}

const states = (client: Client): readonly LayerStatus[] => client.status().policies["p"]?.targets["run"] ?? [];

const phases = (client: Client): Readonly<Record<string, unknown>> =>
  Object.fromEntries(states(client).flatMap(({ kind, endpoint, state }) => (kind === "breaker" ? [[endpoint, state["phase"]]] : [])));

/** Work that fails at some endpoints; gives where it was done. */
const failingAt =
  (...bad: readonly string[]) =>
  ({ endpoint = "" }: { readonly endpoint: string | undefined }): string => {
    if (bad.includes(endpoint)) throw new Error(`${endpoint} is down`);
    return endpoint;
  };

const came = (call: Promise<unknown>): Promise<unknown> => call.catch((error: unknown) => error);

test("work is told the address and the endpoint", async (t) => {
  const client = clientOf(t, [route({ to: [{ endpoints: [A] }] })]);
  assert.deepEqual(await client.run("p", ({ target, endpoint }) => [target, endpoint]), ["10.0.0.1:8080", A]);
});

test("status shows each layer behind a route once for each endpoint that was called", async (t) => {
  const client = clientOf(t, [bulkhead({ limit: 5 }), route({ to: [{ endpoints: [A, B] }], balance: "round-robin" }), breaker({ trip })]);
  await came(client.run("p", failingAt(A)));
  await came(client.run("p", failingAt(A)));
  assert.deepEqual(phases(client), { [A]: "open", [B]: "closed" });
  assert.deepEqual(
    states(client).map(({ kind, index, endpoint }) => [kind, index, endpoint !== undefined]),
    [
      ["bulkhead", 0, false],
      ["route", 1, false],
      ["breaker", 2, true],
      ["breaker", 2, true],
    ],
  );
});

test("a snapshot holds the breakers of endpoints, and a new client goes on with them", async (t) => {
  const layers = [route({ to: [{ endpoints: [A, B] }], balance: "round-robin" }), breaker({ trip, openFor: "1h" })] as const;
  const before = clientOf(t, layers);
  for (let n = 0; n < 2; n++) await came(before.run("p", failingAt(A)));
  const snapshot: unknown = JSON.parse(JSON.stringify(before.snapshot()));
  const after = clientOf(t, layers, { snapshot: snapshot as NonNullable<ClientOptions["snapshot"]> }); // the cast: it was one before it was JSON
  assert.deepEqual(phases(after), { [A]: "open", [B]: "closed" });
  for (let n = 0; n < 6; n++) assert.equal(await after.run("p", failingAt(A)), B);
});

test("what does not belong into a snapshot changes nothing", async (t) => {
  const snapshot = { p: { run: { "1 not an endpoint": { phase: "open" }, "7 http://10.0.0.1:8080": { phase: "open" }, "": {}, "1": 5 } } };
  const client = clientOf(t, [route({ to: [{ endpoints: [A] }] }), breaker({ trip })], { snapshot: snapshot as never }); // the cast: it is no snapshot
  assert.equal(await client.run("p", failingAt()), A);
});

test("isolate shuts the breakers of all endpoints, of those to come too, and reset opens them again", async (t) => {
  const client = clientOf(t, [route({ to: [{ endpoints: [A, B] }], balance: "round-robin" }), breaker({ trip })]);
  await client.run("p", failingAt());
  client.isolate("p");
  for (let n = 0; n < 4; n++)
    assert.equal(((await came(client.run("p", failingAt()))) as { code?: unknown }).code, "ERR_PREMESH_BREAKER_OPEN"); // the cast: any error can be asked
  assert.deepEqual(phases(client), { [A]: "isolated", [B]: "isolated" });
  client.reset("p");
  const went = new Set<string>();
  for (let n = 0; n < 4; n++) went.add(await client.run("p", failingAt()));
  assert.deepEqual(went, new Set([A, B]));
});

test("an update of the endpoints acts with the next call, and those that stay keep their breakers", async (t) => {
  const behind = breaker({ trip, openFor: "1h" });
  const client = clientOf(t, [route({ to: [{ endpoints: [A, B] }], balance: "round-robin" }), behind]);
  for (let n = 0; n < 2; n++) await came(client.run("p", failingAt(A)));
  client.update([policy(route({ to: [{ endpoints: [A, C] }], balance: "round-robin" }), behind)]);
  for (let n = 0; n < 6; n++) assert.equal(await client.run("p", failingAt(A)), C);
  assert.deepEqual(phases(client), { [A]: "open", [C]: "closed" }, "B is forgotten");
});

test("an update of a layer behind keeps the route, and one of the route keeps layers behind", async (t) => {
  const to = route({ to: [{ endpoints: [A] }], outliers: { consecutive5xx: 1 } });
  const client = clientOf(t, [retry({ attempts: 1 }), to, bulkhead({ limit: 3 })]);
  await came(client.run("p", failingAt(A)));
  const ejected = (): unknown => states(client).find(({ kind }) => kind === "route")?.state["ejected"];
  assert.equal(ejected(), 1);
  client.update([policy(retry({ attempts: 1 }), to, bulkhead({ limit: 4 }))]);
  assert.equal(ejected(), 1);
});

test("an endpoint that leaves gets no new calls; the one under way ends as ever, and is counted until then", async (t) => {
  let endpoints: readonly string[] = [A, B];
  const client = clientOf(
    t,
    [route({ to: [{ endpoints: () => endpoints, refresh: "1s" }], balance: "round-robin" }), bulkhead({ limit: 5 })],
    {
      clock: { now: () => now, setTimer: (due, ms) => void timers.push({ due, at: now + ms }), clearTimer: () => undefined },
    },
  );
  let now = 0;
  const timers: { due: () => void; at: number }[] = [];
  const pass = async (ms: number): Promise<void> => {
    now += ms;
    for (const timer of timers.splice(0))
      if (timer.at <= now) timer.due();
      else timers.push(timer);
    await turns();
  };
  const held = gate();
  const where: string[] = [];
  const first = client.run("p", async ({ endpoint }) => {
    where.push(endpoint ?? "");
    await held.promise;
    return endpoint;
  });
  await turns();
  const left = where[0] ?? "";
  const stays = left === A ? B : A;
  endpoints = [stays];
  await pass(1_200);
  for (let n = 0; n < 4; n++) assert.equal(await client.run("p", failingAt()), stays);
  const ofThoseThatLeft = (): number => states(client).filter(({ endpoint }) => endpoint === left).length;
  assert.equal(ofThoseThatLeft(), 1, "its bulkhead is there while the call is under way");
  assert.equal(states(client).find(({ kind }) => kind === "route")?.state["active"], 1);
  held.open();
  assert.equal(await first, left);
  await client.run("p", failingAt());
  assert.equal(ofThoseThatLeft(), 0, "and forgotten afterwards");
});

test("endpoints that were found stay while a changed route looks them up anew", async (t) => {
  let asked = 0;
  const find = (): Promise<string[]> => (asked++ === 0 ? Promise.resolve([A]) : new Promise(() => undefined));
  const client = clientOf(t, [route({ to: [{ endpoints: find }] })]);
  assert.equal(await client.run("p", failingAt()), A);
  client.update([policy(route({ to: [{ endpoints: find }], balance: "random" }))]);
  assert.equal(await client.run("p", failingAt()), A, "it does not wait for the second answer");
  assert.equal(asked, 2);
});

test("a call that waits for the first answer gets it, though the route is replaced meanwhile", async (t) => {
  const held = gate<readonly string[]>();
  const client = clientOf(t, [route({ to: [{ endpoints: () => held.promise }] })]);
  const waiting = client.run("p", failingAt());
  await turns();
  client.update([policy(route({ to: [{ endpoints: [B] }] }))]);
  assert.equal(await client.run("p", failingAt()), B);
  held.open([A]);
  assert.equal(await waiting, A);
});

test("close ends the look-ups of every route, and an update those of routes that are gone", async (t) => {
  const signals: AbortSignal[] = [];
  const find = ({ signal }: { readonly signal: AbortSignal }): Promise<string[]> => {
    signals.push(signal);
    return new Promise((_resolve, reject) => {
      signal.addEventListener("abort", () => reject(new Error("aborted")));
    });
  };
  const client = clientOf(t, [route({ to: [{ endpoints: find }] })]);
  const one = came(client.run("p", failingAt(), { signal: AbortSignal.abort() }));
  await one;
  assert.equal(signals.length, 1);
  client.update([policy(route({ to: [{ endpoints: find }], name: "other" }))]);
  assert.equal(signals[0]?.aborted, true);
  const waiting = new AbortController();
  const two = came(client.run("p", failingAt(), { signal: waiting.signal }));
  await turns();
  waiting.abort(new Error("enough"));
  assert.equal(((await two) as Error).message, "enough");
  assert.equal(signals.length, 2);
  await client.close();
  assert.equal(signals[1]?.aborted, true);
});

test("routes with one name are one route, over targets and policies", async (t) => {
  const shared = route({ name: "pool", to: [{ endpoints: [A, B] }], balance: "round-robin", outliers: { consecutive5xx: 1 } });
  const client = createClient({
    policies: [
      definePolicy({ name: "reads", layers: [shared] }),
      definePolicy({ name: "writes", layers: [retry({ attempts: 1 }), shared] }),
    ],
  });
  t.after(() => client.close());
  for (let n = 0; n < 2; n++) await came(client.run("reads", failingAt(A), { target: "a" }));
  for (let n = 0; n < 4; n++) assert.equal(await client.run("writes", failingAt(A), { target: "b" }), B);
});

test("the attempts of a call and its explanation say where they went", async (t) => {
  const upstream = await openUpstream(t, [{}]);
  const origin = upstream.url.replace(/\/$/, "");
  const client = createClient({
    policies: [
      definePolicy({
        name: "p",
        match: [{ host: "*" }],
        layers: [
          retry({ attempts: 2, backoff: { base: "0ms", max: "0ms" } }),
          route({ to: [{ endpoints: ["http://127.0.0.1:1", origin] }], balance: "round-robin" }),
        ],
      }),
    ],
  });
  t.after(() => client.close());
  const events: (string | undefined)[] = [];
  client.on((event) => {
    if (event.type === "attempt") events.push(event.endpoint);
  });
  const went = new Set<string>();
  for (let n = 0; n < 2; n++) {
    const response = await client.fetch("http://api.internal/");
    await response.text();
    const explained = client.explain(response);
    assert.deepEqual(
      explained?.endpoints.map(({ attempt }) => attempt),
      explained?.attempts === 1 ? [1] : [1, 2],
    );
    assert.equal(explained?.endpoints.at(-1)?.endpoint, origin);
    assert.match(explained?.text ?? "", new RegExp(`sent attempt \\d to ${origin}`));
    for (const { endpoint } of explained?.endpoints ?? []) went.add(endpoint);
  }
  assert.deepEqual(went, new Set(["http://127.0.0.1:1", origin]));
  assert.deepEqual(new Set(events), went);
});

test("an endpoint that a health check finds unwell takes no calls, and takes them again when it is well, or is not asked any more", async (t) => {
  let well = false;
  const [good, bad] = await Promise.all(
    [true, false].map(async (always) => {
      const server = createServer((request, response) => {
        if (request.url !== "/healthz") return void response.end();
        return void response.writeHead(always || well ? 200 : 503).end();
      }).listen(0, "127.0.0.1");
      await once(server, "listening");
      t.after(() => {
        server.closeAllConnections();
        server.close();
      });
      return `http://127.0.0.1:${(server.address() as AddressInfo).port}`; // the cast: it listens on TCP
    }),
  );
  assert.ok(good !== undefined && bad !== undefined);
  const health = { http: { path: "/healthz" }, interval: "20ms", healthyThreshold: 1 } as const;
  const layer = route({ to: [{ endpoints: [good, bad] }], balance: "round-robin", panicThreshold: 0, health });
  const client = clientOf(t, [layer]);
  const whats = (): readonly string[] => client.decisions().map(({ what, detail }) => `${what} ${String(detail?.["endpoint"])}`);
  const ends = async (): Promise<readonly unknown[]> => [
    ...new Set(await Promise.all([1, 2, 3, 4].map(() => client.run("p", failingAt())))),
  ];
  await ends();
  while (!whats().includes(`unhealthy ${bad}`)) await turns(1);
  assert.deepEqual(await ends(), [good]);
  client.update([policy(layer, breaker({ trip }))]);
  assert.deepEqual(await ends(), [good], "an update does not forget it");
  const { health: _health, ...unasked } = layer;
  client.update([policy(unasked)]);
  assert.equal((await ends()).length, 2, "whom nobody asks any more nobody holds for unwell");
  client.update([policy(layer)]);
  await ends();
  while (whats().filter((what) => what === `unhealthy ${bad}`).length < 2) await turns(1);
  well = true;
  while (!whats().includes(`healthy ${bad}`)) await turns(1);
  assert.equal((await ends()).length, 2);
});
