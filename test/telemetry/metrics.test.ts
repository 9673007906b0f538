// Metrics: what a real SDK collects of calls and of the state of layers, from whatever moment on it is registered.
import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { metrics as api } from "@opentelemetry/api";
import {
  AggregationTemporality,
  type DataPoint,
  type Histogram,
  MeterProvider,
  MetricReader,
  type MetricData,
} from "@opentelemetry/sdk-metrics";
import {
  breaker,
  bulkhead,
  type Client,
  createClient,
  definePolicy,
  type FetchFunction,
  type LayerDefinition,
  rateLimit,
  retry,
  sidecar,
} from "../../src/index.ts";

/** Collects when it is asked. */
class Reader extends MetricReader {
  protected override onShutdown(): Promise<void> {
    return Promise.resolve();
  }
  protected override onForceFlush(): Promise<void> {
    return Promise.resolve();
  }
}

let reader: Reader;

function register(): void {
  reader = new Reader({ aggregationTemporalitySelector: () => AggregationTemporality.CUMULATIVE });
  api.setGlobalMeterProvider(new MeterProvider({ readers: [reader] }));
}

beforeEach(() => {
  api.disable();
  register();
});

type Point = readonly [attributes: Record<string, unknown>, value: unknown];

/** The data points of a metric: attributes and value; of a histogram its sum and count. */
async function points(name: string): Promise<readonly Point[]> {
  const { resourceMetrics, errors } = await reader.collect();
  assert.deepEqual(errors, []);
  const found = resourceMetrics.scopeMetrics.flatMap(({ metrics }) => metrics).filter(({ descriptor }) => descriptor.name === name);
  return found.flatMap(
    (metric: MetricData) =>
      (metric.dataPoints as DataPoint<number | Histogram>[]).map(({ attributes, value }): Point => {
        return [attributes, typeof value === "number" ? value : { sum: value.sum, count: value.count }];
      }), // the cast: each kind of metric has one of these
  );
}

const statuses = (...list: number[]): FetchFunction => {
  let calls = 0;
  return () => Promise.resolve(new Response(null, { status: list[Math.min(calls++, list.length - 1)] ?? 200 }));
};

const clientOf = (layers: readonly LayerDefinition[], fetch: FetchFunction, now: () => number = () => 0): Client =>
  createClient({ policies: [definePolicy({ name: "p", match: [{ host: "*" }], layers })], fetch, now, seed: 1 });

const noWait = { base: "0ms", max: "0ms" } as const;
const url = "http://peer.internal/";

describe("metrics of calls", () => {
  test("are durations in seconds, attempts and retries, by policy, outcome and error.type", async () => {
    let time = 0;
    const answers = statuses(503, 200, 404, 503);
    const client = clientOf(
      [retry({ attempts: 2, backoff: noWait })],
      (...all) => {
        time += 250;
        return answers(...all);
      },
      () => time,
    );
    for (let call = 0; call < 3; call++) await client.fetch(url);
    assert.deepEqual(await points("premesh.call.duration"), [
      [
        { "premesh.policy": "p", outcome: "success" },
        { sum: 0.5, count: 1 },
      ],
      [
        { "premesh.policy": "p", outcome: "failure", "error.type": "404" },
        { sum: 0.25, count: 1 },
      ],
      [
        { "premesh.policy": "p", outcome: "failure", "error.type": "503" },
        { sum: 0.5, count: 1 },
      ],
    ]);
    assert.deepEqual(await points("premesh.attempt.duration"), [
      [
        { "premesh.policy": "p", "attempt.type": "initial", "error.type": "503" },
        { sum: 0.5, count: 2 },
      ],
      [
        { "premesh.policy": "p", "attempt.type": "retry" },
        { sum: 0.25, count: 1 },
      ],
      [
        { "premesh.policy": "p", "attempt.type": "initial", "error.type": "404" },
        { sum: 0.25, count: 1 },
      ],
      [
        { "premesh.policy": "p", "attempt.type": "retry", "error.type": "503" },
        { sum: 0.25, count: 1 },
      ],
    ]);
    assert.deepEqual(await points("premesh.call.attempts"), [
      [
        { "premesh.policy": "p", outcome: "success" },
        { sum: 2, count: 1 },
      ],
      [
        { "premesh.policy": "p", outcome: "failure" },
        { sum: 3, count: 2 },
      ],
    ]);
    assert.deepEqual(await points("premesh.retry.delay"), [
      [
        { "premesh.policy": "p", "premesh.layer": "retry" },
        { sum: 0, count: 2 },
      ],
    ]);
    const decided = { "premesh.policy": "p", "premesh.layer": "retry", "premesh.layer.kind": "retry" };
    assert.deepEqual(await points("premesh.decisions"), [
      [{ ...decided, "premesh.decision": "retrying" }, 2],
      [{ ...decided, "premesh.decision": "exhausted" }, 1],
    ]);
  });

  test("count refusals apart from failures of the peer, and no attempt for them", async () => {
    const client = clientOf([rateLimit({ rate: 1, per: "1h", burst: 1 })], statuses(200));
    await client.fetch(url);
    await assert.rejects(client.fetch(url));
    assert.deepEqual(await points("premesh.call.attempts"), [
      [
        { "premesh.policy": "p", outcome: "success" },
        { sum: 1, count: 1 },
      ],
      [
        { "premesh.policy": "p", outcome: "refusal" },
        { sum: 0, count: 1 },
      ],
    ]);
    assert.equal((await points("premesh.attempt.duration")).length, 1);
  });

  test("begin when a MeterProvider is registered, however late, and follow to another one", async () => {
    api.disable();
    const client = clientOf([], statuses(200));
    await client.fetch(url);
    register();
    await client.fetch(url);
    assert.deepEqual(await points("premesh.call.attempts"), [
      [
        { "premesh.policy": "p", outcome: "success" },
        { sum: 1, count: 1 },
      ],
    ]);
    api.disable();
    register();
    await client.fetch(url);
    assert.deepEqual(await points("premesh.call.attempts"), [
      [
        { "premesh.policy": "p", outcome: "success" },
        { sum: 1, count: 1 },
      ],
    ]);
  });
});

describe("gauges", () => {
  const at = (layer: string): Record<string, string> => ({
    "premesh.policy": "p",
    "premesh.target": "peer.internal",
    "premesh.layer": layer,
  });

  test("show the state of every breaker, and a counter its transitions", async () => {
    const client = clientOf([breaker({ trip: { consecutive: 1 }, openFor: "5s" })], statuses(503));
    await client.fetch(url);
    const states = async (): Promise<Record<string, unknown>> =>
      Object.fromEntries((await points("premesh.breaker.state")).map(([{ state }, value]) => [String(state), value]));
    assert.deepEqual(await states(), { closed: 0, open: 1, "half-open": 0, isolated: 0 });
    client.isolate("p");
    assert.deepEqual(await states(), { closed: 0, open: 0, "half-open": 0, isolated: 1 });
    assert.deepEqual(await points("premesh.breaker.transitions"), [
      [{ ...at("breaker"), state: "open" }, 1],
      [{ "premesh.policy": "p", "premesh.layer": "breaker", state: "isolated" }, 1],
    ]);
  });

  test("show places, limits, queues and budgets, and the policies in force", async () => {
    let answer = (): void => undefined;
    const slow = new Promise<void>((resolve) => (answer = resolve));
    const client = clientOf([retry(), bulkhead({ limit: 1, queue: { size: 5 } }), rateLimit({ rate: 7, per: "1s" })], () =>
      slow.then(() => new Response()),
    );
    const calls = [client.fetch(url), client.fetch(url)];
    assert.deepEqual(await points("premesh.limiter.inflight"), [[at("bulkhead"), 1]]);
    assert.deepEqual(await points("premesh.limiter.limit"), [
      [at("bulkhead"), 1],
      [at("rateLimit"), 7],
    ]);
    assert.deepEqual(await points("premesh.limiter.queue.length"), [
      [at("bulkhead"), 1],
      [at("rateLimit"), 0],
    ]);
    assert.deepEqual(await points("premesh.retry.budget.remaining"), [[at("retry"), 3]]);
    assert.deepEqual(await points("premesh.policy.info"), [[{ "premesh.policy": "p", hash: client.status().policies["p"]?.revision }, 1]]);
    answer();
    await Promise.all(calls);
    assert.deepEqual(
      (await points("premesh.limiter.wait.duration")).map(([attributes]) => attributes),
      [{ "premesh.policy": "p", "premesh.layer": "bulkhead" }],
    );
  });

  test("are no longer read after client.close", async () => {
    const client = clientOf([breaker({ trip: { consecutive: 1 } })], statuses(503));
    await client.fetch(url);
    await client.close();
    assert.deepEqual(await points("premesh.breaker.state"), []);
  });
});

test("a sidecar shows whether it takes calls", async () => {
  const layers = [sidecar({ address: "http://127.0.0.1:9" }), retry({ attempts: 1 })]; // nobody listens on that port
  const policies = [definePolicy({ name: "p", match: [{ host: "*" }], layers })];
  const alone = createClient({ policies: [definePolicy({ name: "q", match: [{ host: "*" }], layers: [sidecar()] })] });
  const client = createClient({ policies });
  await Promise.all([client, alone].map((one) => one.fetch("http://127.0.0.1:9/").catch(() => undefined)));
  assert.deepEqual(await points("premesh.sidecar.up"), [
    [{ "premesh.policy": "p", "premesh.target": "127.0.0.1:9", "premesh.layer": "sidecar" }, 0],
  ]);
  await Promise.all([client.close(), alone.close()]);
});
