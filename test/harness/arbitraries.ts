// Random valid policies, for property tests: every kind of layer with every field, in any order.
import fc from "fast-check";
import type {
  Balance,
  Condition,
  Duration,
  FieldMatch,
  HashKey,
  HedgeDefinition,
  LayerDefinition,
  LayerKind,
  Match,
  Percentile,
  Policy,
  RouteMatch,
  RouteTarget,
  Trip,
} from "../../src/index.ts";
import { CONDITIONS, GRPC_STATUSES } from "../../src/policy/conditions.ts";
import { durationMs } from "../../src/policy/duration.ts";

const DAY_MS = 86_400_000;

/** A duration in any spelling, within bounds in milliseconds. */
export function durations({ min = 1, max = DAY_MS }: { min?: number; max?: number } = {}): fc.Arbitrary<Duration> {
  return fc.integer({ min, max }).chain((ms) => fc.constantFrom(...spellings(ms)));
}

/** Every way to write so many milliseconds. */
export function spellings(ms: number): Duration[] {
  const all: Duration[] = [`${ms}ms`, `${ms}.0ms` as Duration, `${ms / 1_000}s`, `${ms / 60_000}m`, `${ms / 3_600_000}h`];
  // the cast: ".0" is part of a number, which the compiler does not see
  return all.filter((text) => durationMs(text) === ms); // a small number may need an exponent, a long one may not come out even
}

const identifiers = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,20}$/);
const methods = fc.uniqueArray(fc.constantFrom("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "X-MINE"), {
  minLength: 1,
});
const anyMethods = fc.oneof(methods, fc.constant(["*"]), fc.constant(["PUT", "payments.v1.Payments/Charge"]));
const headerNames = fc.stringMatching(/^[A-Za-z][A-Za-z0-9-]{0,15}$/);
const percents = fc.oneof(fc.integer({ min: 0, max: 100 }), fc.double({ min: 0.001, max: 100, noNaN: true }));
const queues = fc.record({ size: fc.integer({ min: 1, max: 1_000_000 }), timeout: durations() }, { requiredKeys: ["size"] });
const outcomes: fc.Arbitrary<(Condition | number)[]> = fc.array(
  fc.oneof(fc.constantFrom(...CONDITIONS), fc.integer({ min: 400, max: 599 })),
  {
    minLength: 1,
    maxLength: 6,
  },
);
/** JSON as it comes back from JSON: without -0, and without the one key that no JSON object should have. */
const json = fc
  .jsonValue({ maxDepth: 3, stringUnit: "binary" })
  .map((value) => JSON.stringify(value))
  .filter((text) => !text.includes("__proto__"))
  .map((text): unknown => JSON.parse(text));

const rates = fc.double({ min: 0.01, max: 1, noNaN: true });
const windows = { minCalls: fc.integer({ min: 1, max: 1_000_000 }), window: durations() };
const trips: fc.Arbitrary<Trip> = fc.oneof(
  fc.record({ consecutive: fc.integer({ min: 1, max: 1_000_000 }) }),
  fc.record({ failureRate: rates, ...windows }),
  fc.record({ slowRate: rates, slowerThan: durations(), ...windows }),
);

const origins = fc.constantFrom("https://a.internal", "http://10.0.0.1:8080", "http://[::1]:80/", "http://10.0.0.2:8080");
const weights = fc.oneof(fc.nat(1_000_000), fc.double({ min: 0.001, max: 1_000, noNaN: true }));
const priorities = fc.nat(127);
const localities = fc.constantFrom("eu", "eu/a", "eu/a/1");
const hashKeys: fc.Arbitrary<HashKey> = fc.oneof<fc.Arbitrary<HashKey>[]>(
  fc.record({ header: headerNames }),
  fc.record({ cookie: headerNames }),
  fc.record({ path: fc.constant<true>(true) }),
);
const fieldMatches = (name: fc.Arbitrary<string>): fc.Arbitrary<FieldMatch[]> =>
  fc.array(
    fc.oneof(
      fc.record({ name, exact: fc.string() }),
      fc.record({ name, prefix: fc.string({ minLength: 1 }), invert: fc.boolean() }),
      fc.record({ name, regex: fc.constantFrom("a+", "[a-z]{2}(?:x|y)?") }),
      fc.record({ name, present: fc.boolean() }),
    ),
    { minLength: 1, maxLength: 2 },
  );
const routeMatches: fc.Arbitrary<RouteMatch> = fc.record(
  {
    path: fc.oneof(fc.constantFrom("/", "/v1"), fc.record({ exact: fc.constant("/v1") }), fc.record({ regex: fc.constant("/v[0-9]+/.*") })),
    methods,
    headers: fieldMatches(headerNames),
    query: fieldMatches(identifiers),
    service: fc.constant("payments.v1.Payments"),
    method: fc.constant("Charge"),
  },
  { requiredKeys: ["service"] },
);
const sources: fc.Arbitrary<Omit<RouteTarget, "match">> = fc.oneof(
  fc.record({
    endpoints: fc.uniqueArray(
      fc.oneof(
        origins,
        fc.record({ url: origins, weight: weights, priority: priorities, locality: localities }, { requiredKeys: ["url"] }),
      ),
      { maxLength: 3, selector: (one) => (typeof one === "string" ? one : one.url) },
    ),
  }),
  fc.record({ dns: origins, refresh: durations() }, { requiredKeys: ["dns"] }),
  fc.record({ srv: fc.constantFrom("_http._tcp.a.internal", "https://_grpc._tcp.a.internal") }),
  fc.record({
    file: fc.oneof(
      fc.constant("a.json"),
      fc.record({ path: fc.constant("a.yaml"), port: fc.constantFrom("http", 80) }, { requiredKeys: ["path"] }),
    ),
  }),
);
const routeTargets: fc.Arbitrary<RouteTarget> = fc
  .tuple(sources, fc.record({ match: routeMatches, weight: weights, priority: priorities, locality: localities }, { requiredKeys: [] }))
  .map(([source, more]) => ({ ...source, ...more }));
const balances: fc.Arbitrary<Balance> = fc.oneof(
  fc.constantFrom<Balance[]>("round-robin", "least-request", "peak-ewma", "random"),
  fc.record({ leastRequest: fc.record({ choiceCount: fc.integer({ min: 2, max: 100 }) }, { requiredKeys: [] }) }),
  fc.record({ peakEwma: fc.record({ decay: durations(), defaultRtt: durations() }, { requiredKeys: [] }) }),
  hashKeys.map((maglev) => ({ maglev })),
  hashKeys.map((key) => ({ ringHash: { ...key, minimumRingSize: 64 } })),
);

const budgets = fc.oneof(
  fc.constant<false>(false),
  fc.record({ percent: percents, min: fc.integer({ min: 0, max: 1_000_000 }) }, { requiredKeys: [] }),
);

const refusing = { shadow: fc.boolean() };

/** One layer of each kind that is data and nothing else, without a name. */
export const layersByKind: { readonly [K in Exclude<LayerKind, "adopt">]: fc.Arbitrary<Extract<LayerDefinition, { kind: K }>> } = {
  trace: fc.record({ kind: fc.constant("trace") }),
  rateLimit: fc.record(
    {
      kind: fc.constant("rateLimit"),
      ...refusing,
      rate: fc.double({ min: 0.001, max: 1e9, noNaN: true }),
      per: durations(),
      burst: fc.integer({ min: 1, max: 1_000_000_000 }),
      queue: queues,
      key: fc.record({ header: headerNames }),
    },
    { requiredKeys: ["kind", "rate", "per"] },
  ),
  bulkhead: fc.record(
    {
      kind: fc.constant("bulkhead"),
      ...refusing,
      limit: fc.integer({ min: 100, max: 1_000_000 }),
      queue: queues,
      adaptive: fc.record(
        {
          min: fc.integer({ min: 1, max: 100 }),
          initial: fc.integer({ min: 1, max: 1_000_000 }),
          window: durations(),
          percentile: fc.integer({ min: 1, max: 99 }),
          buffer: percents,
          minRtt: fc.record(
            { interval: durations(), jitter: percents, requests: fc.integer({ min: 1, max: 10_000 }) },
            { requiredKeys: [] },
          ),
        },
        { requiredKeys: [] },
      ),
    },
    { requiredKeys: ["kind", "limit"] },
  ),
  timeout: fc.record({ kind: fc.constant("timeout"), ...refusing, after: durations() }, { requiredKeys: ["kind", "after"] }),
  retry: fc.record(
    {
      kind: fc.constant("retry"),
      attempts: fc.integer({ min: 1, max: 100 }),
      on: outcomes,
      methods: anyMethods,
      statuses: fc.array(fc.integer({ min: 400, max: 599 }), { minLength: 1, maxLength: 4 }),
      backoff: fc.oneof(
        fc.record({ base: durations({ min: 0 }) }, { requiredKeys: [] }),
        fc.record({ base: durations({ min: 0, max: 50 }), max: durations({ min: 50 }) }),
      ),
      budget: budgets,
      retryAfter: fc.oneof(fc.constant<false>(false), fc.record({ max: durations({ min: 0 }) })),
      buffer: fc.integer({ min: 0, max: 1_073_741_824 }),
    },
    { requiredKeys: ["kind"] },
  ),
  hedge: fc.record(
    {
      kind: fc.constant("hedge"),
      after: fc.oneof(durations(), fc.constantFrom<Percentile>("p50", "p95", "p99.9")),
      max: fc.integer({ min: 1, max: 10 }),
      methods: anyMethods,
      on: outcomes,
      budget: budgets,
      buffer: fc.integer({ min: 0, max: 1_073_741_824 }),
    },
    { requiredKeys: ["kind", "after"] },
  ),
  breaker: fc.record(
    {
      kind: fc.constant("breaker"),
      ...refusing,
      trip: fc.oneof(trips, fc.array(trips, { minLength: 1, maxLength: 3 })),
      openFor: durations({ max: 5_000 }),
      maxOpenFor: durations({ min: 5_000 }),
      probes: fc.integer({ min: 1, max: 1_000 }),
      on: outcomes,
    },
    { requiredKeys: ["kind"] },
  ),
  fallback: fc.record(
    {
      kind: fc.constant("fallback"),
      on: outcomes,
      response: fc.oneof(
        fc.record(
          {
            status: fc.constantFrom(200, 202, 404, 503),
            headers: fc.dictionary(headerNames, fc.stringMatching(/^[\x20-\x7e]{0,20}$/), { maxKeys: 3, noNullPrototype: true }),
            body: json,
          },
          { requiredKeys: ["status"] },
        ),
        fc.record({ target: fc.constantFrom("https://backup.internal", "http://10.0.0.1:8080", "http://[::1]:80/") }),
      ),
    },
    { requiredKeys: ["kind", "response"] },
  ),
  fault: fc
    .record(
      {
        kind: fc.constant("fault"),
        ...refusing,
        delay: fc.record({ for: durations(), percent: percents }),
        abort: fc.oneof(
          fc.record({ status: fc.integer({ min: 400, max: 599 }), percent: percents }),
          fc.record({ code: fc.constantFrom(...GRPC_STATUSES), percent: percents }),
        ),
      },
      { requiredKeys: ["kind"] },
    )
    .filter(({ delay, abort }) => delay !== undefined || abort !== undefined),
  route: fc.record(
    {
      kind: fc.constant("route"),
      to: fc.array(routeTargets, { minLength: 1, maxLength: 3 }),
      balance: balances,
      slowStart: fc.record(
        { window: durations(), aggression: fc.integer({ min: 1, max: 5 }), minWeightPercent: percents },
        { requiredKeys: ["window"] },
      ),
      outliers: fc.record({ interval: durations(), consecutive5xx: fc.nat(100), maxEjectionPercent: fc.nat(100) }, { requiredKeys: [] }),
      health: fc.oneof(
        fc.record(
          { http: fc.record({ path: fc.constant("/healthz") }), interval: durations(), unhealthyThreshold: fc.integer({ min: 1, max: 9 }) },
          { requiredKeys: ["http"] },
        ),
        fc.record(
          { grpc: fc.record({ service: fc.constant("a.B") }, { requiredKeys: [] }), timeout: durations() },
          { requiredKeys: ["grpc"] },
        ),
      ),
      sticky: hashKeys,
      locality: localities,
      overprovisioningFactor: fc.integer({ min: 1, max: 100 }),
      panicThreshold: percents,
      host: fc.constantFrom("preserve", "rewrite"),
      mirror: fc.record(
        { to: origins, percent: percents, timeout: durations(), limit: fc.integer({ min: 1, max: 10_000 }), buffer: fc.nat(1_000_000) },
        { requiredKeys: ["to"] },
      ),
    },
    { requiredKeys: ["kind", "to"] },
  ),
  sidecar: fc.record(
    {
      kind: fc.constant("sidecar"),
      address: fc.constantFrom("http://127.0.0.1:15001", "http://[::1]:1", "http://shim.internal", "unix:/run/premesh.sock"),
      fallback: fc.constantFrom("in-process", "fail"),
    },
    { requiredKeys: ["kind"] },
  ),
  idempotency: fc.record({ kind: fc.constant("idempotency"), header: headerNames, methods: anyMethods }, { requiredKeys: ["kind"] }),
};

/** A hedge keeps to the budget of the policy's retry. */
const withoutBudget = ({ budget: _budget, ...rest }: HedgeDefinition): HedgeDefinition => rest;

/** Lists of layers that may stand together: at most one trace, one idempotency, one route and one budget, names apart. */
export const layerLists: fc.Arbitrary<readonly LayerDefinition[]> = fc
  .array(fc.tuple(fc.oneof(...Object.values<fc.Arbitrary<LayerDefinition>>(layersByKind)), fc.option(identifiers)), { maxLength: 8 })
  .map((pairs) => {
    const names = new Set<string>();
    const single = new Set<string>();
    const retries = pairs.some(([{ kind }]) => kind === "retry");
    return pairs.flatMap(([drawn, name]): LayerDefinition[] => {
      const layer = drawn.kind === "hedge" && retries ? withoutBudget(drawn) : drawn;
      if (layer.kind === "trace" || layer.kind === "idempotency" || layer.kind === "route") {
        if (single.has(layer.kind)) return [];
        single.add(layer.kind);
      }
      if (name === null || names.has(name)) return [layer];
      names.add(name);
      return [{ ...layer, name }];
    });
  });

const hosts = fc.constantFrom(
  "*",
  "api.internal",
  "*.internal",
  "API.Internal:8080",
  "127.0.0.1",
  "[::1]",
  "[fe80::1]:443",
  "*.a.b:80",
  "a_b",
);

export const matches: fc.Arbitrary<Match> = fc.oneof(
  fc.record(
    { host: hosts, path: fc.constantFrom("/", "/v1", "/v1/", "/a%20b"), methods, inbound: fc.boolean() },
    { requiredKeys: ["host"] },
  ),
  fc.record(
    { service: fc.constantFrom("*", "payments.v1.Payments"), method: fc.constantFrom("Charge", "Refund_2") },
    { requiredKeys: ["service"] },
  ),
);

/** Random valid policies. */
export const policies: fc.Arbitrary<Policy> = fc
  .record({ name: identifiers, match: fc.array(matches, { maxLength: 4 }), layers: layerLists }, { requiredKeys: ["name", "layers"] })
  .map((policy) => structuredClone(policy)); // objects of fast-check have no prototype at times
